// uses: grid
// rope.wgsl for head sizes that are multiples of 8: four pairs an invocation.
struct Dims { N: u32, R: u32, D: u32, W: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> positions: array<u32>; // [N]
@group(0) @binding(2) var<storage, read> table: array<vec4f>;   // [positions, D/2] of (cos, sin), two to an element
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;
override INVERSE: bool = false;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let half = dims.D / 8u;
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.R * half) { return; }
  let d = i % half;
  let head = i / half; // n * R + h
  let n = head / dims.R;
  let angle = (positions[n] * half + d) * 2u;
  let first = table[angle];
  let second = table[angle + 1u];
  let cosine = vec4f(first.xz, second.xz);
  var sine = vec4f(first.yw, second.yw);
  if (INVERSE) { sine = -sine; }
  let low = n * (dims.W / 4u) + (head % dims.R) * (dims.D / 4u) + d;
  let high = low + half;
  let a = x[low];
  let b = x[high];
  x[low] = a * cosine - b * sine;
  x[high] = b * cosine + a * sine;
}

// uses: grid
// Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's Llama: dimension d is paired with
// d + D/2. Rotates the first R heads of each token of x [N,W] in place. Angles come from a table made in float64 on the
// host: sin and cos of large arguments are inexact on GPUs.
struct Dims { N: u32, R: u32, D: u32, W: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> positions: array<u32>; // [N]
@group(0) @binding(2) var<storage, read> table: array<vec2f>;   // [positions, D/2] of (cos, sin)
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
override INVERSE: bool = false; // the gradient is the rotation backwards

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let half = dims.D / 2u;
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.R * half) { return; }
  let d = i % half;
  let head = i / half; // n * R + h
  let n = head / dims.R;
  var turn = table[positions[n] * half + d];
  if (INVERSE) { turn.y = -turn.y; }
  let low = n * dims.W + (head % dims.R) * dims.D + d;
  let high = low + half;
  let a = x[low];
  let b = x[high];
  x[low] = a * turn.x - b * turn.y;
  x[high] = b * turn.x + a * turn.y;
}

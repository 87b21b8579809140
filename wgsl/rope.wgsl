// uses: grid
// Rotary position embedding (Su et al. 2021) in the half-split layout of Hugging Face's Llama: dimension d is paired with
// d + D/2. Angles come from a table made in float64 on the host: sin and cos of large arguments are inexact on GPUs.
struct Dims { N: u32, H: u32, D: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>; // [N]
@group(0) @binding(3) var<storage, read> table: array<vec2f>;   // [positions, D/2] of (cos, sin)
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
override ADD: bool = false;
override INVERSE: bool = false; // the gradient is the rotation backwards

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let half = dims.D / 2u;
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.H * half) { return; }
  let d = i % half;
  let row = i / half; // n * H + h
  var turn = table[positions[row / dims.H] * half + d];
  if (INVERSE) { turn.y = -turn.y; }
  let low = row * dims.D + d;
  let high = low + half;
  var a = x[low] * turn.x - x[high] * turn.y;
  var b = x[high] * turn.x + x[low] * turn.y;
  if (ADD) { a += y[low]; b += y[high]; }
  y[low] = a;
  y[high] = b;
}

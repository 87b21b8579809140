// uses: grid
// Columns [first, first + W) of a row-major [M,N] array: `put` writes them from part [M,W], `take` reads them into it.
// With BIAS, `put` adds bias[N] of the same columns.
struct Dims { M: u32, W: u32, N: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> source: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
override BIAS: bool = false;

@compute @workgroup_size(64)
fn put(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.M * dims.W) { return; }
  let column = dims.first + i % dims.W;
  var value = source[i];
  if (BIAS) { value += bias[column]; }
  out[i / dims.W * dims.N + column] = value;
}

@compute @workgroup_size(64)
fn take(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.M * dims.W) { return; }
  out[i] = source[i / dims.W * dims.N + dims.first + i % dims.W];
}

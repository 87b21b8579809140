// uses: grid
// dx[b,t] (+)= d_out[b] w[b % R, t].
struct Dims { B: u32, T: u32, R: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> d_out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.B * dims.T) { return; }
  let b = i / dims.T;
  var value = d_out[b] * w[(b % dims.R) * dims.T + i % dims.T];
  if (ADD) { value += dx[i]; }
  dx[i] = value;
}

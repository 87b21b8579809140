// uses: grid
// dx[n] (+)= d_out[segments[n]] w[n], 0 where segments[n] is S or more: padding.
struct Dims { N: u32, S: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> d_out: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups) * 64u + lane;
  if (n >= dims.N) { return; }
  var value = 0.0;
  if (segments[n] < dims.S) { value = d_out[segments[n]] * w[n]; }
  if (ADD) { value += dx[n]; }
  dx[n] = value;
}

// uses: elem1, grid, gelu
// y = gelu(x), and dx (+)= dy gelu'(x). N counts Elems.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> dy: array<Elem>;
@group(0) @binding(3) var<storage, read_write> out: array<Elem>; // y, or dx
override ADD: bool = false;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i < dims.N) { out[i] = gelu(x[i]); }
}

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  var value = dy[i] * gelu_slope(x[i]);
  if (ADD) { value += out[i]; }
  out[i] = value;
}

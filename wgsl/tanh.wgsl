// uses: elem1, grid
// y = tanh(x), and dx (+)= dy (1 - y^2). N counts Elems. Drivers may answer tanh of large numbers with NaN; at 15 it is 1 in f32.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<Elem>; // x, or y
@group(0) @binding(2) var<storage, read> dy: array<Elem>;
@group(0) @binding(3) var<storage, read_write> out: array<Elem>; // y, or dx
override ADD: bool = false;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i < dims.N) { out[i] = tanh(clamp(a[i], Elem(-15.0), Elem(15.0))); }
}

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  var value = dy[i] * (1.0 - a[i] * a[i]);
  if (ADD) { value += out[i]; }
  out[i] = value;
}

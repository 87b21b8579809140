// uses: grid, sigmoid
// With s = sigmoid(gate): d_gate = dy up s (1 + gate (1 - s)); d_up = dy gate s.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_gate: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_up: array<f32>;
override ADD_GATE: bool = false;
override ADD_UP: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let z = gate[i];
  let s = sigmoid(z);
  var g = dy[i] * up[i] * s * (1.0 + z * (1.0 - s));
  var u = dy[i] * z * s;
  if (ADD_GATE) { g += d_gate[i]; }
  if (ADD_UP) { u += d_up[i]; }
  d_gate[i] = g;
  d_up[i] = u;
}

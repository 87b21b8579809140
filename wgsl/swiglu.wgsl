// uses: elem1, grid
// y[N,F] = silu(gate) * up, silu(z) = z sigmoid(z) (Shazeer, "GLU Variants Improve Transformer", 2020), with gate and up side by
// side in gate_up[N,2F]. With s = sigmoid(gate): d_gate = dy up s (1 + gate (1 - s)), d_up = dy gate s.
struct Dims { N: u32, F: u32 } // F in Elems
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gate_up: array<Elem>;
@group(0) @binding(2) var<storage, read> dy: array<Elem>;
@group(0) @binding(3) var<storage, read_write> out: array<Elem>; // y, or d_gate_up
override ADD: bool = false;

// The exponent is never positive: WGSL may assume that no infinities occur, so exp must not overflow to one.
fn sigmoid(x: Elem) -> Elem {
  let e = exp(-abs(x));
  return select(e, Elem(1.0), x >= Elem(0.0)) / (1.0 + e);
}

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.F) { return; }
  let at = i + i / dims.F * dims.F; // of the gate; F further on is up
  let gate = gate_up[at];
  out[i] = gate * sigmoid(gate) * gate_up[at + dims.F];
}

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.F) { return; }
  let at = i + i / dims.F * dims.F;
  let gate = gate_up[at];
  let s = sigmoid(gate);
  var d_gate = dy[i] * gate_up[at + dims.F] * s * (1.0 + gate * (1.0 - s));
  var d_up = dy[i] * gate * s;
  if (ADD) {
    d_gate += out[at];
    d_up += out[at + dims.F];
  }
  out[at] = d_gate;
  out[at + dims.F] = d_up;
}

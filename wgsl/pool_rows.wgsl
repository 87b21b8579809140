// uses: elem1, grid
// Forward: y[b,c] = sum over t of w[b,t] x[b,t,c]. Backward: dx[b,t,c] (+)= w[b,t] dy[b,c]. C counts Elems. Positions of
// weight 0 are passed over, so that padding changes no bit of the sum.
struct Dims { B: u32, T: u32, C: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> source: array<Elem>; // x, or dy
@group(0) @binding(2) var<storage, read> w: array<f32>; // [B,T]
@group(0) @binding(3) var<storage, read_write> out: array<Elem>; // y, or dx
override ADD: bool = false;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.B * dims.C) { return; }
  let b = i / dims.C;
  let c = i % dims.C;
  var sum = Elem(0.0);
  for (var t = 0u; t < dims.T; t++) {
    let weight = w[b * dims.T + t];
    if (weight != 0.0) { sum += weight * source[(b * dims.T + t) * dims.C + c]; }
  }
  out[i] = sum;
}

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.B * dims.T * dims.C) { return; }
  let row = i / dims.C; // b T + t
  var value = w[row] * source[row / dims.T * dims.C + i % dims.C];
  if (ADD) { value += out[i]; }
  out[i] = value;
}

// uses: elem1, grid
// y = x Phi(x), the exact GELU (Hendrycks & Gimpel 2016), and dx (+)= dy (Phi(x) + x phi(x)). N counts Elems.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> dy: array<Elem>;
@group(0) @binding(3) var<storage, read_write> out: array<Elem>; // y, or dx
override ADD: bool = false;

// Phi by erfc of Abramowitz & Stegun 7.1.26, whose error of 1.5e-7 is about that of an f32 near 1.
fn normal_share(x: Elem) -> Elem {
  let z = min(abs(x) * 0.70710678118, Elem(20.0)); // its square must not overflow
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  let tail = 0.5 * poly * exp(-z * z);
  return select(tail, 1.0 - tail, x >= Elem(0.0));
}

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i < dims.N) { out[i] = x[i] * normal_share(x[i]); }
}

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let near = clamp(x[i], Elem(-20.0), Elem(20.0));
  var value = dy[i] * (normal_share(x[i]) + near * exp(-0.5 * near * near) * 0.39894228040);
  if (ADD) { value += out[i]; }
  out[i] = value;
}

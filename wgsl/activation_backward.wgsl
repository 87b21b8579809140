// uses: elem1, grid, gelu
// dy *= f'(z) in place: from the gradient of f(z) to the gradient of z, f = GELU (tanh form) or SiLU. N counts Elems.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> z: array<Elem>;
@group(0) @binding(2) var<storage, read_write> dy: array<Elem>;
override SILU: bool = false;

fn silu_slope(x: Elem) -> Elem {
  let e = exp(-abs(x)); // never overflows
  let s = select(e, Elem(1.0), x >= Elem(0.0)) / (1.0 + e);
  return s + x * s * (1.0 - s);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  if (SILU) { dy[i] *= silu_slope(z[i]); } else { dy[i] *= gelu_slope(z[i]); }
}

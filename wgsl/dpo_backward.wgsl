// uses: sigmoid
// d loss / d lp_w = weight beta (e - sigmoid(-beta d)) = -d loss / d lp_l.
struct Dims { P: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> reference: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read> d_loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_lp: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  if (p >= dims.P) { return; }
  let beta = hyper[0];
  let d = lp[p] - reference[p] - lp[dims.P + p] + reference[dims.P + p];
  let g = d_loss[0] * weight[p] * beta * (hyper[1] - sigmoid(-beta * d));
  if (ADD) {
    d_lp[p] += g;
    d_lp[dims.P + p] -= g;
  } else {
    d_lp[p] = g;
    d_lp[dims.P + p] = -g;
  }
}

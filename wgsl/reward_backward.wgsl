// uses: sigmoid
// d loss / d r_w = weight (2 c (r_w + r_l) - s), d loss / d r_l = weight (2 c (r_w + r_l) + s), s = sigmoid(margin - r_w + r_l).
struct Dims { P: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> margin: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read> d_loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_r: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  if (p >= dims.P) { return; }
  let better = r[p];
  let worse = r[dims.P + p];
  let scale = d_loss[0] * weight[p];
  let s = sigmoid(margin[p] - better + worse);
  let pull = 2.0 * hyper[0] * (better + worse);
  var d_better = scale * (pull - s);
  var d_worse = scale * (pull + s);
  if (ADD) {
    d_better += d_r[p];
    d_worse += d_r[dims.P + p];
  }
  d_r[p] = d_better;
  d_r[dims.P + p] = d_worse;
}

// DPO on sums of log-probabilities (Rafailov et al. 2023), sigmoid loss with conservative label smoothing (cDPO):
// d = (lp_w - ref_w) - (lp_l - ref_l); loss = sum of weight (-(1 - e) ls(beta d) - e ls(-beta d)), ls = log sigmoid.
// lp and ref [2P]: the P chosen sequences, then the P rejected ones. hyper = (beta, e). weight [P]: 1/P, or 0 for padding.
struct Dims { P: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> reference: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> metrics: array<f32>;

fn log_sigmoid(x: f32) -> f32 {
  return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}

// One invocation: P is small, and a sum in pair order is the same on every adapter.
// metrics = mean beta c, mean beta r, mean beta d, share with d > 0, share with c < 0, mean lp_w, mean lp_l.
@compute @workgroup_size(1)
fn forward() {
  let beta = hyper[0];
  let smooth_ = hyper[1];
  var sum = 0.0;
  var m: array<f32, 7>;
  for (var p = 0u; p < dims.P; p++) {
    let c = lp[p] - reference[p];
    let r = lp[dims.P + p] - reference[dims.P + p];
    let d = c - r;
    let w = weight[p];
    sum += w * (-(1.0 - smooth_) * log_sigmoid(beta * d) - smooth_ * log_sigmoid(-beta * d));
    m[0] += w * beta * c;
    m[1] += w * beta * r;
    m[2] += w * beta * d;
    m[3] += w * select(0.0, 1.0, d > 0.0);
    m[4] += w * select(0.0, 1.0, c < 0.0);
    m[5] += w * lp[p];
    m[6] += w * lp[dims.P + p];
  }
  loss[0] = sum;
  for (var i = 0u; i < 7u; i++) { metrics[i] = m[i]; }
}

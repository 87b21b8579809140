// The pairwise loss of reward models (Bradley & Terry 1952; Ouyang et al. 2022) with margins and centring (Eisenstein et al. 2023):
// loss = sum over pairs of weight (-ls(r_w - r_l - margin) + c (r_w + r_l)^2), ls = log sigmoid.
// r [2P]: the P chosen, then the P rejected. hyper = (c). weight [P]: 1/P, or 0 for padding.
struct Dims { P: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> r: array<f32>;
@group(0) @binding(2) var<storage, read> margin: array<f32>;
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read> hyper: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read_write> metrics: array<f32>;

// exp never overflows: at r_w - r_l = -100 the loss is 100.
fn log_sigmoid(x: f32) -> f32 {
  return min(x, 0.0) - log(1.0 + exp(-abs(x)));
}

// One invocation: P is small, and a sum in pair order is the same on every adapter.
// metrics = share with r_w > r_l, mean r_w - r_l, lowest, mean and highest r; lowest and highest times the weights' sum.
@compute @workgroup_size(1)
fn forward() {
  let center = hyper[0];
  var sum = 0.0;
  var share = 0.0;
  var correct = 0.0;
  var gap = 0.0;
  var mean = 0.0;
  var lowest = 1e30;
  var highest = -1e30;
  for (var p = 0u; p < dims.P; p++) {
    let w = weight[p];
    if (w == 0.0) { continue; }
    let better = r[p];
    let worse = r[dims.P + p];
    let both = better + worse;
    sum += w * (center * both * both - log_sigmoid(better - worse - margin[p]));
    share += w;
    correct += w * select(0.0, 1.0, better > worse);
    gap += w * (better - worse);
    mean += w * 0.5 * both;
    lowest = min(lowest, min(better, worse));
    highest = max(highest, max(better, worse));
  }
  loss[0] = sum;
  metrics[0] = correct;
  metrics[1] = gap;
  metrics[2] = share * lowest;
  metrics[3] = mean;
  metrics[4] = share * highest;
}

// uses: sigmoid
// KTO (Ethayarajh et al. 2024) on unpaired completions: of item p with u = lp - reference and k = max(0, kl),
//   loss = sum of weight s(beta (k - u)) over desirable items and weight s(beta (u - k)) over the others; slopes by lp in pulls.
// One workgroup: P is small, and its sums have one order. An item of share 0 is padding, and is not looked at.
struct Dims { P: u32 }
struct Item { weight: f32, desirable: f32, share: f32 } // share: of the metrics of its kind
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> reference: array<f32>;
@group(0) @binding(3) var<storage, read> items: array<Item>;
@group(0) @binding(4) var<storage, read> kl: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>; // beta
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> metrics: array<f32>;
@group(0) @binding(8) var<storage, read_write> pulls: array<f32>;

var<workgroup> sums: array<array<f32, 5>, 64>;

// metrics = mean beta u of desirable items, of the others, mean lp of either kind.
@compute @workgroup_size(64)
fn forward(@builtin(local_invocation_index) lane: u32) {
  let beta = hyper[0];
  let k = max(0.0, kl[0]);
  var sum: array<f32, 5>;
  for (var p = lane; p < dims.P; p += 64u) {
    let item = items[p];
    if (item.share == 0.0) {
      pulls[p] = 0.0;
      continue;
    }
    let u = lp[p] - reference[p];
    let wanted = item.desirable > 0.0;
    let lead = beta * select(k - u, u - k, wanted);
    sum[0] += item.weight * sigmoid(-lead);
    pulls[p] = item.weight * select(beta, -beta, wanted) * sigmoid(lead) * sigmoid(-lead);
    let desirable = select(0.0, item.share, wanted);
    let undesirable = item.share - desirable;
    sum[1] += desirable * beta * u;
    sum[2] += undesirable * beta * u;
    sum[3] += desirable * lp[p];
    sum[4] += undesirable * lp[p];
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      for (var m = 0u; m < 5u; m++) { sums[lane][m] += sums[lane + half][m]; }
    }
  }
  workgroupBarrier();
  if (lane == 0u) { loss[0] = sums[0][0]; }
  if (lane < 4u) { metrics[lane] = sums[0][lane + 1u]; }
}

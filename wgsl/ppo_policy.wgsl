// uses: grid
// The surrogate of PPO and its relatives on N tokens, and what is worth watching about them: each workgroup sums 1024 tokens in a
// fixed order into one row of parts[S,11]. A token without weights (prompt, padding) is not looked at.
//   d = lp - old, ratio = e^d, bounded = clamp(ratio, 1 - low, 1 + high), l = lp - reference
//   clip:  max(-A ratio, -A bounded) (Schulman et al. 2017, eq. 7), for A < 0 at most -A dual if dual > 0 (Ye et al. 2020)
//   cispo: -A bounded lp, of which only lp has a gradient (MiniMax-M1 2025, eq. 4)
//   kl:    coefficient k(l); k2 = l^2 / 2, k3 = e^-l - 1 + l
// parts = loss + kl, loss, kl: each times weight; d^2 / 2, out of the clip range, the same above it, ratio, (ratio - 1)^2, l, k2, k3:
// each times mean. hyper = (low, high, dual, coefficient). Where e^ is needed, log-ratios lie between -20 and 20: beyond 88 it overflows.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> reference: array<f32>;
@group(0) @binding(4) var<storage, read> advantages: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read> means: array<f32>;
@group(0) @binding(7) var<storage, read> hyper: array<f32>;
@group(0) @binding(8) var<storage, read_write> parts: array<f32>;
override CISPO: bool = false;
override K3: bool = false; // the penalty is k3, not k2
var<workgroup> sums: array<array<f32, 11>, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let s = flat_group(group, groups);
  let end = min(dims.N, (s + 1u) * 1024u);
  var sum: array<f32, 11>;
  for (var n = s * 1024u + lane; n < end; n += 64u) {
    let w = weights[n];
    let mean = means[n];
    if (w == 0.0 && mean == 0.0) { continue; }
    let d = clamp(lp[n] - old[n], -20.0, 20.0);
    let l = lp[n] - reference[n];
    let near = clamp(l, -20.0, 20.0);
    let ratio = exp(d);
    let a = advantages[n];
    let bounded = clamp(ratio, 1.0 - hyper[0], 1.0 + hyper[1]);
    let plain = -a * ratio;
    let clipped = -a * bounded;
    var loss = max(plain, clipped);
    if (hyper[2] > 0.0 && a < 0.0) { loss = min(loss, -a * hyper[2]); }
    var out = clipped > plain;
    if (CISPO) {
      loss = clipped * lp[n];
      out = ratio != bounded;
    }
    let k2 = 0.5 * l * l;
    let k3 = exp(-near) - 1.0 + near;
    let penalty = hyper[3] * select(k2, k3, K3);
    sum[0] += w * (loss + penalty);
    sum[1] += w * loss;
    sum[2] += w * penalty;
    sum[3] += mean * 0.5 * d * d;
    sum[4] += mean * select(0.0, 1.0, out);
    sum[5] += mean * select(0.0, 1.0, out && ratio > 1.0);
    sum[6] += mean * ratio;
    sum[7] += mean * (ratio - 1.0) * (ratio - 1.0);
    sum[8] += mean * l;
    sum[9] += mean * k2;
    sum[10] += mean * k3;
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      for (var m = 0u; m < 11u; m++) { sums[lane][m] += sums[lane + half][m]; }
    }
  }
  workgroupBarrier();
  if (lane < 11u && s * 1024u < dims.N) { parts[s * 11u + lane] = sums[0][lane]; }
}

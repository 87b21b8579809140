// uses: grid
// The clipped surrogate of PPO (Schulman et al. 2017, eq. 7) on N tokens, and what is worth watching about them: each workgroup
// sums 1024 tokens in a fixed order into one row of parts[S,8]. A token of weight 0 (prompt, padding) is not looked at.
//   d = lp - old, ratio = e^d, l = lp - reference; plain = -A ratio, clipped = -A clamp(ratio, 1 - clip, 1 + clip)
//   loss = max(plain, clipped), for A < 0 at most -A dual if dual > 0 (dual clip, Ye et al. 2020)
// parts = loss, loss again (for the metrics), d^2 / 2, clipped > plain, ratio, (ratio - 1)^2, l, e^-l - 1 + l; each times weight.
// hyper = (clip, dual). Log-ratios are taken between -20 and 20 where e^ of them is needed: beyond 88 it overflows.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> reference: array<f32>;
@group(0) @binding(4) var<storage, read> advantages: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read> hyper: array<f32>;
@group(0) @binding(7) var<storage, read_write> parts: array<f32>;
var<workgroup> sums: array<array<f32, 8>, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let s = flat_group(group, groups);
  let end = min(dims.N, (s + 1u) * 1024u);
  var sum: array<f32, 8>;
  for (var n = s * 1024u + lane; n < end; n += 64u) {
    let w = weights[n];
    if (w == 0.0) { continue; }
    let d = clamp(lp[n] - old[n], -20.0, 20.0);
    let l = clamp(lp[n] - reference[n], -20.0, 20.0);
    let ratio = exp(d);
    let a = advantages[n];
    let plain = -a * ratio;
    let clipped = -a * clamp(ratio, 1.0 - hyper[0], 1.0 + hyper[0]);
    var loss = max(plain, clipped);
    if (hyper[1] > 0.0 && a < 0.0) { loss = min(loss, -a * hyper[1]); }
    sum[0] += w * loss;
    sum[1] += w * loss;
    sum[2] += w * 0.5 * d * d;
    sum[3] += w * select(0.0, 1.0, clipped > plain);
    sum[4] += w * ratio;
    sum[5] += w * (ratio - 1.0) * (ratio - 1.0);
    sum[6] += w * l;
    sum[7] += w * (exp(-l) - 1.0 + l);
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      for (var m = 0u; m < 8u; m++) { sums[lane][m] += sums[lane + half][m]; }
    }
  }
  workgroupBarrier();
  if (lane < 8u && s * 1024u < dims.N) { parts[s * 8u + lane] = sums[0][lane]; }
}

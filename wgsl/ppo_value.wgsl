// uses: grid
// The clipped value loss of PPO (OpenAI's baselines) on N tokens, summed by workgroups into rows of parts[S,7], 1024 tokens each.
//   c = clamp(v, old - clip, old + clip), e = target - v; loss = max(e^2, (target - c)^2) / 2
// parts = scale loss, loss, clipped > plain, target, target^2, e, e^2; each times weight. hyper = (clip, scale).
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<f32>; // the returns
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read_write> parts: array<f32>;
var<workgroup> sums: array<array<f32, 7>, 64>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let s = flat_group(group, groups);
  let end = min(dims.N, (s + 1u) * 1024u);
  var sum: array<f32, 7>;
  for (var n = s * 1024u + lane; n < end; n += 64u) {
    let w = weights[n];
    if (w == 0.0) { continue; }
    let r = targets[n];
    let e = r - values[n];
    let bounded = r - clamp(values[n], old[n] - hyper[0], old[n] + hyper[0]);
    let loss = 0.5 * max(e * e, bounded * bounded);
    sum[0] += w * hyper[1] * loss;
    sum[1] += w * loss;
    sum[2] += w * select(0.0, 1.0, bounded * bounded > e * e);
    sum[3] += w * r;
    sum[4] += w * r * r;
    sum[5] += w * e;
    sum[6] += w * e * e;
  }
  sums[lane] = sum;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      for (var m = 0u; m < 7u; m++) { sums[lane][m] += sums[lane + half][m]; }
    }
  }
  workgroupBarrier();
  if (lane < 7u && s * 1024u < dims.N) { parts[s * 7u + lane] = sums[0][lane]; }
}

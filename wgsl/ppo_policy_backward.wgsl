// uses: grid
// d loss / d lp, see ppo_policy.wgsl: clip: -weight A ratio where the plain surrogate counts, 0 where a clipped one does; cispo:
// -weight A bounded; and weight coefficient k'(l) with k2' = l, k3' = 1 - e^-l (0 where the log-ratio was bounded).
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> lp: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> reference: array<f32>;
@group(0) @binding(4) var<storage, read> advantages: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read> hyper: array<f32>;
@group(0) @binding(7) var<storage, read> d_loss: array<f32>;
@group(0) @binding(8) var<storage, read_write> d_lp: array<f32>;
override CISPO: bool = false;
override K3: bool = false; // the gradient of the penalty is that of k3, not of k2
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups) * 64u + lane;
  if (n >= dims.N) { return; }
  var g = 0.0;
  if (weights[n] != 0.0) {
    let d = lp[n] - old[n];
    let l = lp[n] - reference[n];
    let a = advantages[n];
    let ratio = exp(clamp(d, -20.0, 20.0));
    let plain = -a * ratio;
    let clipped = -a * clamp(ratio, 1.0 - hyper[0], 1.0 + hyper[1]);
    let dual = hyper[2] > 0.0 && a < 0.0 && plain > -a * hyper[2];
    if (CISPO) { g = clipped; }
    else if (plain >= clipped && !dual && abs(d) <= 20.0) { g = plain; }
    if (hyper[3] != 0.0) {
      var slope = l;
      if (K3) { slope = select(0.0, 1.0 - exp(-clamp(l, -20.0, 20.0)), abs(l) <= 20.0); }
      g += hyper[3] * slope;
    }
    g *= d_loss[0] * weights[n];
  }
  if (ADD) { g += d_lp[n]; }
  d_lp[n] = g;
}

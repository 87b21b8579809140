// uses: grid
// d loss / d v = scale weight (v - target) where the plain error counts, 0 where the clipped one does: see ppo_value.wgsl.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> old: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read> hyper: array<f32>;
@group(0) @binding(6) var<storage, read> d_loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_values: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups) * 64u + lane;
  if (n >= dims.N) { return; }
  var g = 0.0;
  if (weights[n] != 0.0) {
    let e = targets[n] - values[n];
    let bounded = targets[n] - clamp(values[n], old[n] - hyper[0], old[n] + hyper[0]);
    if (e * e >= bounded * bounded) { g = -d_loss[0] * hyper[1] * weights[n] * e; }
  }
  if (ADD) { g += d_values[n]; }
  d_values[n] = g;
}

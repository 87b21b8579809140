// d loss / d lp = d_loss times what preference.wgsl left as pulls.
struct Dims { P: u32 }
struct Pull { chosen: f32, rejected: f32, opposite: u32, ranked: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> pulls: array<Pull>;
@group(0) @binding(2) var<storage, read> d_loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_lp: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  if (p >= dims.P) { return; }
  let chosen = d_loss[0] * pulls[p].chosen;
  let rejected = d_loss[0] * pulls[p].rejected;
  if (ADD) {
    d_lp[p] += chosen;
    d_lp[dims.P + p] += rejected;
  } else {
    d_lp[p] = chosen;
    d_lp[dims.P + p] = rejected;
  }
}

// d loss / d lp = d_loss times what kto.wgsl left as pulls.
struct Dims { P: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> pulls: array<f32>;
@group(0) @binding(2) var<storage, read> d_loss: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_lp: array<f32>;
override ADD: bool = false;

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let p = id.x;
  if (p >= dims.P) { return; }
  var g = d_loss[0] * pulls[p];
  if (ADD) { g += d_lp[p]; }
  d_lp[p] = g;
}

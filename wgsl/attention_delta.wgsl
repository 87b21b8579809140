// header: const HEAD_SIZE = 32u;
// lse_delta[B,H,T] = (lse, sum over D of dy * y): what both halves of the attention gradient need of each query.
struct Dims { B: u32, T: u32, H: u32 }
const D4 = HEAD_SIZE / 4u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> y: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> lse: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse_delta: array<vec2f>;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let t = id.x;
  let h = id.y % dims.H;
  let b = id.y / dims.H;
  if (t >= dims.T) { return; }
  let row = ((b * dims.T + t) * dims.H + h) * D4;
  var sum = 0.0;
  for (var d = 0u; d < D4; d++) { sum += dot(y[row + d], dy[row + d]); }
  let at = (b * dims.H + h) * dims.T + t;
  lse_delta[at] = vec2f(lse[at], sum);
}

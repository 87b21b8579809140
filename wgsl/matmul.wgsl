// out[M,N] = a(m,k) b(k,n) (+ bias[n]), any sizes and any transposition: strides say where an element lies.
// Each invocation owns a 4 x 4 tile of the output in registers.
struct Dims { M: u32, N: u32, K: u32, a_m: u32, a_k: u32, b_k: u32, b_n: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
override ADD: bool = false;
override BIAS: bool = false;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m0 = id.y * 4u;
  let n0 = id.x * 4u;
  if (m0 >= dims.M || n0 >= dims.N) { return; }
  // Clamped addresses: a tile over the border computes something harmless and does not store it.
  let am = min(vec4u(m0, m0 + 1u, m0 + 2u, m0 + 3u), vec4u(dims.M - 1u)) * dims.a_m;
  let bn = min(vec4u(n0, n0 + 1u, n0 + 2u, n0 + 3u), vec4u(dims.N - 1u)) * dims.b_n;
  var acc: array<vec4f, 4>;
  for (var k = 0u; k < dims.K; k++) {
    let ak = k * dims.a_k;
    let bk = k * dims.b_k;
    let bv = vec4f(b[bn.x + bk], b[bn.y + bk], b[bn.z + bk], b[bn.w + bk]);
    acc[0] += a[am.x + ak] * bv;
    acc[1] += a[am.y + ak] * bv;
    acc[2] += a[am.z + ak] * bv;
    acc[3] += a[am.w + ak] * bv;
  }
  for (var i = 0u; i < 4u; i++) {
    let m = m0 + i;
    if (m >= dims.M) { break; }
    for (var j = 0u; j < 4u; j++) {
      let n = n0 + j;
      if (n >= dims.N) { break; }
      var sum = acc[i][j];
      if (BIAS) { sum += bias[n]; }
      if (ADD) { sum += out[m * dims.N + n]; }
      out[m * dims.N + n] = sum;
    }
  }
}

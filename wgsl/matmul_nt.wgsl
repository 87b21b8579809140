// out[M,N] = a[M,K] b[N,K]^T (+ bias[N]): a linear layer forward, weights kept as [out, in].
// K and N are multiples of 4. Each invocation owns 8 rows x 8 columns in registers; vec4 loads along k; no barriers.
struct Dims { M: u32, N: u32, K: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
override ADD: bool = false;
override BIAS: bool = false;

fn store(m: u32, n4: u32, sum_in: vec4f) {
  if (m >= dims.M || n4 * 4u >= dims.N) { return; }
  var sum = sum_in;
  if (BIAS) { sum += bias[n4]; }
  let at = m * (dims.N / 4u) + n4;
  if (ADD) { sum += out[at]; }
  out[at] = sum;
}

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m0 = id.y * 8u;
  let n0 = id.x * 8u;
  if (m0 >= dims.M || n0 >= dims.N) { return; }
  let K4 = dims.K / 4u;
  let last_m = dims.M - 1u;
  let last_n = dims.N - 1u;
  let r0 = m0 * K4;
  let r1 = min(m0 + 1u, last_m) * K4;
  let r2 = min(m0 + 2u, last_m) * K4;
  let r3 = min(m0 + 3u, last_m) * K4;
  let r4 = min(m0 + 4u, last_m) * K4;
  let r5 = min(m0 + 5u, last_m) * K4;
  let r6 = min(m0 + 6u, last_m) * K4;
  let r7 = min(m0 + 7u, last_m) * K4;
  let c0 = n0 * K4;
  let c1 = min(n0 + 1u, last_n) * K4;
  let c2 = min(n0 + 2u, last_n) * K4;
  let c3 = min(n0 + 3u, last_n) * K4;
  let c4 = min(n0 + 4u, last_n) * K4;
  let c5 = min(n0 + 5u, last_n) * K4;
  let c6 = min(n0 + 6u, last_n) * K4;
  let c7 = min(n0 + 7u, last_n) * K4;
  var s0l = vec4f(); var s0h = vec4f(); var s1l = vec4f(); var s1h = vec4f();
  var s2l = vec4f(); var s2h = vec4f(); var s3l = vec4f(); var s3h = vec4f();
  var s4l = vec4f(); var s4h = vec4f(); var s5l = vec4f(); var s5h = vec4f();
  var s6l = vec4f(); var s6h = vec4f(); var s7l = vec4f(); var s7h = vec4f();
  for (var k = 0u; k < K4; k++) {
    let w0 = b[c0 + k]; let w1 = b[c1 + k]; let w2 = b[c2 + k]; let w3 = b[c3 + k];
    let w4 = b[c4 + k]; let w5 = b[c5 + k]; let w6 = b[c6 + k]; let w7 = b[c7 + k];
    // Columns of the 4 x 8 block of b^T, so that each product is a scalar times a vec4.
    let l0 = vec4f(w0.x, w1.x, w2.x, w3.x); let h0 = vec4f(w4.x, w5.x, w6.x, w7.x);
    let l1 = vec4f(w0.y, w1.y, w2.y, w3.y); let h1 = vec4f(w4.y, w5.y, w6.y, w7.y);
    let l2 = vec4f(w0.z, w1.z, w2.z, w3.z); let h2 = vec4f(w4.z, w5.z, w6.z, w7.z);
    let l3 = vec4f(w0.w, w1.w, w2.w, w3.w); let h3 = vec4f(w4.w, w5.w, w6.w, w7.w);
    var v = a[r0 + k];
    s0l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s0h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r1 + k];
    s1l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s1h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r2 + k];
    s2l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s2h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r3 + k];
    s3l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s3h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r4 + k];
    s4l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s4h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r5 + k];
    s5l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s5h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r6 + k];
    s6l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s6h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
    v = a[r7 + k];
    s7l += v.x * l0 + v.y * l1 + v.z * l2 + v.w * l3; s7h += v.x * h0 + v.y * h1 + v.z * h2 + v.w * h3;
  }
  let n4 = n0 / 4u;
  store(m0, n4, s0l); store(m0, n4 + 1u, s0h);
  store(m0 + 1u, n4, s1l); store(m0 + 1u, n4 + 1u, s1h);
  store(m0 + 2u, n4, s2l); store(m0 + 2u, n4 + 1u, s2h);
  store(m0 + 3u, n4, s3l); store(m0 + 3u, n4 + 1u, s3h);
  store(m0 + 4u, n4, s4l); store(m0 + 4u, n4 + 1u, s4h);
  store(m0 + 5u, n4, s5l); store(m0 + 5u, n4 + 1u, s5h);
  store(m0 + 6u, n4, s6l); store(m0 + 6u, n4 + 1u, s6h);
  store(m0 + 7u, n4, s7l); store(m0 + 7u, n4 + 1u, s7h);
}

// out[M,N] = a[M,K] b[K,N]: the input gradient of a linear layer (a = dy, b = weights [out, in]).
// K and N are multiples of 4. Each invocation owns 8 rows x 8 columns; a is loaded as vec4 along k, b as vec4 along n.
struct Dims { M: u32, N: u32, K: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
override ADD: bool = false;

fn store(m: u32, n4: u32, sum_in: vec4f) {
  if (m >= dims.M || n4 * 4u >= dims.N) { return; }
  var sum = sum_in;
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
  let N4 = dims.N / 4u;
  let last_m = dims.M - 1u;
  let r0 = m0 * K4;
  let r1 = min(m0 + 1u, last_m) * K4;
  let r2 = min(m0 + 2u, last_m) * K4;
  let r3 = min(m0 + 3u, last_m) * K4;
  let r4 = min(m0 + 4u, last_m) * K4;
  let r5 = min(m0 + 5u, last_m) * K4;
  let r6 = min(m0 + 6u, last_m) * K4;
  let r7 = min(m0 + 7u, last_m) * K4;
  let cl = n0 / 4u;
  let ch = min(cl + 1u, N4 - 1u);
  var s0l = vec4f(); var s0h = vec4f(); var s1l = vec4f(); var s1h = vec4f();
  var s2l = vec4f(); var s2h = vec4f(); var s3l = vec4f(); var s3h = vec4f();
  var s4l = vec4f(); var s4h = vec4f(); var s5l = vec4f(); var s5h = vec4f();
  var s6l = vec4f(); var s6h = vec4f(); var s7l = vec4f(); var s7h = vec4f();
  for (var k = 0u; k < K4; k++) {
    let at = k * 4u * N4;
    let l0 = b[at + cl]; let h0 = b[at + ch];
    let l1 = b[at + N4 + cl]; let h1 = b[at + N4 + ch];
    let l2 = b[at + 2u * N4 + cl]; let h2 = b[at + 2u * N4 + ch];
    let l3 = b[at + 3u * N4 + cl]; let h3 = b[at + 3u * N4 + ch];
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
  store(m0, cl, s0l); store(m0, cl + 1u, s0h);
  store(m0 + 1u, cl, s1l); store(m0 + 1u, cl + 1u, s1h);
  store(m0 + 2u, cl, s2l); store(m0 + 2u, cl + 1u, s2h);
  store(m0 + 3u, cl, s3l); store(m0 + 3u, cl + 1u, s3h);
  store(m0 + 4u, cl, s4l); store(m0 + 4u, cl + 1u, s4h);
  store(m0 + 5u, cl, s5l); store(m0 + 5u, cl + 1u, s5h);
  store(m0 + 6u, cl, s6l); store(m0 + 6u, cl + 1u, s6h);
  store(m0 + 7u, cl, s7l); store(m0 + 7u, cl + 1u, s7h);
}

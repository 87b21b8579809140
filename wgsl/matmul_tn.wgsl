// out[M,N] = a[K,M]^T b[K,N]: the weight gradient of a linear layer (a = dy [tokens, out], b = x [tokens, in]).
// M and N are multiples of 4. Each invocation owns 8 x 8 of the output and walks k in order, so sums have a fixed order.
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
  let M4 = dims.M / 4u;
  let N4 = dims.N / 4u;
  let al = m0 / 4u;
  let ah = min(al + 1u, M4 - 1u);
  let bl = n0 / 4u;
  let bh = min(bl + 1u, N4 - 1u);
  var s0l = vec4f(); var s0h = vec4f(); var s1l = vec4f(); var s1h = vec4f();
  var s2l = vec4f(); var s2h = vec4f(); var s3l = vec4f(); var s3h = vec4f();
  var s4l = vec4f(); var s4h = vec4f(); var s5l = vec4f(); var s5h = vec4f();
  var s6l = vec4f(); var s6h = vec4f(); var s7l = vec4f(); var s7h = vec4f();
  for (var k = 0u; k < dims.K; k++) {
    let vl = a[k * M4 + al];
    let vh = a[k * M4 + ah];
    let wl = b[k * N4 + bl];
    let wh = b[k * N4 + bh];
    s0l += vl.x * wl; s0h += vl.x * wh;
    s1l += vl.y * wl; s1h += vl.y * wh;
    s2l += vl.z * wl; s2h += vl.z * wh;
    s3l += vl.w * wl; s3h += vl.w * wh;
    s4l += vh.x * wl; s4h += vh.x * wh;
    s5l += vh.y * wl; s5h += vh.y * wh;
    s6l += vh.z * wl; s6h += vh.z * wh;
    s7l += vh.w * wl; s7h += vh.w * wh;
  }
  store(m0, bl, s0l); store(m0, bl + 1u, s0h);
  store(m0 + 1u, bl, s1l); store(m0 + 1u, bl + 1u, s1h);
  store(m0 + 2u, bl, s2l); store(m0 + 2u, bl + 1u, s2h);
  store(m0 + 3u, bl, s3l); store(m0 + 3u, bl + 1u, s3h);
  store(m0 + 4u, bl, s4l); store(m0 + 4u, bl + 1u, s4h);
  store(m0 + 5u, bl, s5l); store(m0 + 5u, bl + 1u, s5h);
  store(m0 + 6u, bl, s6l); store(m0 + 6u, bl + 1u, s6h);
  store(m0 + 7u, bl, s7l); store(m0 + 7u, bl + 1u, s7h);
}

// uses: gelu, matmul_io
// header: alias Elem = f32; alias AElem = f32; alias BElem = f32; alias OutElem = f32; const SPAN = 1u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const A_ROWS = true; const B_ROWS = true;
// out[M,N] = a b, any sizes: a is [M,K] if A_ROWS, else [K,M]; b is [N,K] if B_ROWS, else [K,N]. Each invocation owns a 4 x 4 tile
// of the output in registers.
fn load_a(m: u32, k: u32) -> f32 { return f32(a[select(k * dims.M + m, m * dims.K + k, A_ROWS)]); }
fn load_b(n: u32, k: u32) -> f32 { return b_at(select(k * dims.N + n, n * dims.K + k, B_ROWS)); }

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let m0 = id.y * 4u;
  let n0 = id.x * 4u;
  if (m0 >= dims.M || n0 >= dims.N) { return; }
  // Clamped addresses: a tile over the border computes something harmless and does not store it.
  let m = min(vec4u(m0, m0 + 1u, m0 + 2u, m0 + 3u), vec4u(dims.M - 1u));
  let n = min(vec4u(n0, n0 + 1u, n0 + 2u, n0 + 3u), vec4u(dims.N - 1u));
  var acc: array<vec4f, 4>;
  for (var k = 0u; k < dims.K; k++) {
    let v = vec4f(load_b(n.x, k), load_b(n.y, k), load_b(n.z, k), load_b(n.w, k));
    acc[0] += load_a(m.x, k) * v;
    acc[1] += load_a(m.y, k) * v;
    acc[2] += load_a(m.z, k) * v;
    acc[3] += load_a(m.w, k) * v;
  }
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) { put(0u, m0 + i, n0 + j, acc[i][j]); }
  }
}

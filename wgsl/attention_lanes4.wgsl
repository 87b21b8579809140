// header: const HEAD_SIZE = 32u; const SUBGROUP = 8u;
// attention.wgsl for adapters that pay dearly for loads: a subgroup shares its keys. Each lane owns 4 query rows; lanes
// 0 to 3 load a key each and hand it to all by broadcast, so that a load serves 4 keys and SUBGROUP * 4 rows. A
// workgroup is one subgroup, and a tile has 16 keys. Rows have names and no index: indexed private memory is as dear as
// a load.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const ROWS = 4u;
const KEYS = 16u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>; // [B,T]
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window

// Columns 0 to 3 are what lanes 0 to 3 hold.
fn share(own: vec4f) -> mat4x4f {
  let a = subgroupBroadcast(own, 0u); let b = subgroupBroadcast(own, 1u);
  let c = subgroupBroadcast(own, 2u); let d = subgroupBroadcast(own, 3u);
  return mat4x4f(a, b, c, d);
}

// Which of the four keys from j on the query at t sees.
fn visible(t: u32, mine: u32, from_b: u32, j_first: u32) -> vec4<bool> {
  let j = j_first + vec4u(0u, 1u, 2u, 3u);
  var seen = (j <= vec4u(select(dims.T - 1u, t, CAUSAL))) & (j + dims.window > vec4u(t));
  if (SEGMENTED) {
    let at = from_b + min(j, vec4u(dims.T - 1u));
    seen &= vec4u(segments[at.x], segments[at.y], segments[at.z], segments[at.w]) == vec4u(mine);
  }
  return seen;
}

fn largest(v: vec4f) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }

@compute @workgroup_size(SUBGROUP)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let h = group.y % dims.H;
  let b = group.y / dims.H;
  let from_b = b * dims.T;
  let stride = (dims.H + 2u * dims.G) * D4;
  let key_head = (dims.H + h / (dims.H / dims.G)) * D4;
  let first = group.x * SUBGROUP * ROWS;
  let last_t = dims.T - 1u;
  let t0 = min(first + 0u * SUBGROUP + lane, last_t);
  let t1 = min(first + 1u * SUBGROUP + lane, last_t);
  let t2 = min(first + 2u * SUBGROUP + lane, last_t);
  let t3 = min(first + 3u * SUBGROUP + lane, last_t);
  var query0: array<vec4f, D4>; var sum0: array<vec4f, D4>;
  var highest0 = -1e30; var total0 = 0.0; var mine0 = 0u;
  var query1: array<vec4f, D4>; var sum1: array<vec4f, D4>;
  var highest1 = -1e30; var total1 = 0.0; var mine1 = 0u;
  var query2: array<vec4f, D4>; var sum2: array<vec4f, D4>;
  var highest2 = -1e30; var total2 = 0.0; var mine2 = 0u;
  var query3: array<vec4f, D4>; var sum3: array<vec4f, D4>;
  var highest3 = -1e30; var total3 = 0.0; var mine3 = 0u;
  for (var d = 0u; d < D4; d++) {
    query0[d] = qkv[(from_b + t0) * stride + h * D4 + d] * dims.scale;
    query1[d] = qkv[(from_b + t1) * stride + h * D4 + d] * dims.scale;
    query2[d] = qkv[(from_b + t2) * stride + h * D4 + d] * dims.scale;
    query3[d] = qkv[(from_b + t3) * stride + h * D4 + d] * dims.scale;
  }
  if (SEGMENTED) {
    mine0 = segments[from_b + t0];
    mine1 = segments[from_b + t1];
    mine2 = segments[from_b + t2];
    mine3 = segments[from_b + t3];
  }
  let last_row = min(dims.T, first + SUBGROUP * ROWS) - 1u;
  let end = select(dims.T, last_row + 1u, CAUSAL);
  for (var j0 = (max(first + 1u, dims.window) - dims.window) / KEYS * KEYS; j0 < end; j0 += KEYS) {
    if (SEGMENTED) {
      // Ids never fall along a row, so a tile that ends before the first query's segment is past for all of them.
      if (segments[from_b + min(j0 + KEYS - 1u, last_t)] < segments[from_b + first]) { continue; }
      if (!CAUSAL) { if (segments[from_b + j0] > segments[from_b + last_row]) { break; } }
    }
    let key0 = (from_b + min(j0 + 0u + lane % 4u, last_t)) * stride + key_head;
    let key1 = (from_b + min(j0 + 4u + lane % 4u, last_t)) * stride + key_head;
    let key2 = (from_b + min(j0 + 8u + lane % 4u, last_t)) * stride + key_head;
    let key3 = (from_b + min(j0 + 12u + lane % 4u, last_t)) * stride + key_head;
    var s00 = vec4f(); var s01 = vec4f(); var s02 = vec4f(); var s03 = vec4f();
    var s10 = vec4f(); var s11 = vec4f(); var s12 = vec4f(); var s13 = vec4f();
    var s20 = vec4f(); var s21 = vec4f(); var s22 = vec4f(); var s23 = vec4f();
    var s30 = vec4f(); var s31 = vec4f(); var s32 = vec4f(); var s33 = vec4f();
    for (var d = 0u; d < D4; d++) {
      let k0 = share(qkv[key0 + d]);
      let k1 = share(qkv[key1 + d]);
      let k2 = share(qkv[key2 + d]);
      let k3 = share(qkv[key3 + d]);
      let q0 = query0[d];
      s00 += q0 * k0; s01 += q0 * k1; s02 += q0 * k2; s03 += q0 * k3;
      let q1 = query1[d];
      s10 += q1 * k0; s11 += q1 * k1; s12 += q1 * k2; s13 += q1 * k3;
      let q2 = query2[d];
      s20 += q2 * k0; s21 += q2 * k1; s22 += q2 * k2; s23 += q2 * k3;
      let q3 = query3[d];
      s30 += q3 * k0; s31 += q3 * k1; s32 += q3 * k2; s33 += q3 * k3;
    }
    let seen00 = visible(t0, mine0, from_b, j0 + 0u);
    s00 = select(vec4f(-1e30), s00, seen00);
    let seen01 = visible(t0, mine0, from_b, j0 + 4u);
    s01 = select(vec4f(-1e30), s01, seen01);
    let seen02 = visible(t0, mine0, from_b, j0 + 8u);
    s02 = select(vec4f(-1e30), s02, seen02);
    let seen03 = visible(t0, mine0, from_b, j0 + 12u);
    s03 = select(vec4f(-1e30), s03, seen03);
    let raised0 = max(highest0, largest(max(max(max(s00, s01), s02), s03)));
    s00 = select(vec4f(), exp(s00 - raised0), seen00);
    s01 = select(vec4f(), exp(s01 - raised0), seen01);
    s02 = select(vec4f(), exp(s02 - raised0), seen02);
    s03 = select(vec4f(), exp(s03 - raised0), seen03);
    let shrink0 = exp(highest0 - raised0); highest0 = raised0;
    total0 = total0 * shrink0 + dot(s00 + s01 + s02 + s03, vec4f(1.0));
    let seen10 = visible(t1, mine1, from_b, j0 + 0u);
    s10 = select(vec4f(-1e30), s10, seen10);
    let seen11 = visible(t1, mine1, from_b, j0 + 4u);
    s11 = select(vec4f(-1e30), s11, seen11);
    let seen12 = visible(t1, mine1, from_b, j0 + 8u);
    s12 = select(vec4f(-1e30), s12, seen12);
    let seen13 = visible(t1, mine1, from_b, j0 + 12u);
    s13 = select(vec4f(-1e30), s13, seen13);
    let raised1 = max(highest1, largest(max(max(max(s10, s11), s12), s13)));
    s10 = select(vec4f(), exp(s10 - raised1), seen10);
    s11 = select(vec4f(), exp(s11 - raised1), seen11);
    s12 = select(vec4f(), exp(s12 - raised1), seen12);
    s13 = select(vec4f(), exp(s13 - raised1), seen13);
    let shrink1 = exp(highest1 - raised1); highest1 = raised1;
    total1 = total1 * shrink1 + dot(s10 + s11 + s12 + s13, vec4f(1.0));
    let seen20 = visible(t2, mine2, from_b, j0 + 0u);
    s20 = select(vec4f(-1e30), s20, seen20);
    let seen21 = visible(t2, mine2, from_b, j0 + 4u);
    s21 = select(vec4f(-1e30), s21, seen21);
    let seen22 = visible(t2, mine2, from_b, j0 + 8u);
    s22 = select(vec4f(-1e30), s22, seen22);
    let seen23 = visible(t2, mine2, from_b, j0 + 12u);
    s23 = select(vec4f(-1e30), s23, seen23);
    let raised2 = max(highest2, largest(max(max(max(s20, s21), s22), s23)));
    s20 = select(vec4f(), exp(s20 - raised2), seen20);
    s21 = select(vec4f(), exp(s21 - raised2), seen21);
    s22 = select(vec4f(), exp(s22 - raised2), seen22);
    s23 = select(vec4f(), exp(s23 - raised2), seen23);
    let shrink2 = exp(highest2 - raised2); highest2 = raised2;
    total2 = total2 * shrink2 + dot(s20 + s21 + s22 + s23, vec4f(1.0));
    let seen30 = visible(t3, mine3, from_b, j0 + 0u);
    s30 = select(vec4f(-1e30), s30, seen30);
    let seen31 = visible(t3, mine3, from_b, j0 + 4u);
    s31 = select(vec4f(-1e30), s31, seen31);
    let seen32 = visible(t3, mine3, from_b, j0 + 8u);
    s32 = select(vec4f(-1e30), s32, seen32);
    let seen33 = visible(t3, mine3, from_b, j0 + 12u);
    s33 = select(vec4f(-1e30), s33, seen33);
    let raised3 = max(highest3, largest(max(max(max(s30, s31), s32), s33)));
    s30 = select(vec4f(), exp(s30 - raised3), seen30);
    s31 = select(vec4f(), exp(s31 - raised3), seen31);
    s32 = select(vec4f(), exp(s32 - raised3), seen32);
    s33 = select(vec4f(), exp(s33 - raised3), seen33);
    let shrink3 = exp(highest3 - raised3); highest3 = raised3;
    total3 = total3 * shrink3 + dot(s30 + s31 + s32 + s33, vec4f(1.0));
    let values = dims.G * D4;
    for (var d = 0u; d < D4; d++) {
      let v0 = share(qkv[key0 + values + d]);
      let v1 = share(qkv[key1 + values + d]);
      let v2 = share(qkv[key2 + values + d]);
      let v3 = share(qkv[key3 + values + d]);
      sum0[d] = sum0[d] * shrink0 + v0 * s00 + v1 * s01 + v2 * s02 + v3 * s03;
      sum1[d] = sum1[d] * shrink1 + v0 * s10 + v1 * s11 + v2 * s12 + v3 * s13;
      sum2[d] = sum2[d] * shrink2 + v0 * s20 + v1 * s21 + v2 * s22 + v3 * s23;
      sum3[d] = sum3[d] * shrink3 + v0 * s30 + v1 * s31 + v2 * s32 + v3 * s33;
    }
  }
  if (first + 0u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) { y[((from_b + t0) * dims.H + h) * D4 + d] = sum0[d] / total0; }
    lse[(b * dims.H + h) * dims.T + t0] = highest0 + log(total0);
  }
  if (first + 1u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) { y[((from_b + t1) * dims.H + h) * D4 + d] = sum1[d] / total1; }
    lse[(b * dims.H + h) * dims.T + t1] = highest1 + log(total1);
  }
  if (first + 2u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) { y[((from_b + t2) * dims.H + h) * D4 + d] = sum2[d] / total2; }
    lse[(b * dims.H + h) * dims.T + t2] = highest2 + log(total2);
  }
  if (first + 3u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) { y[((from_b + t3) * dims.H + h) * D4 + d] = sum3[d] / total3; }
    lse[(b * dims.H + h) * dims.T + t3] = highest3 + log(total3);
  }
}

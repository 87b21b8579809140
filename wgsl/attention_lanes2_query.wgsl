// header: const HEAD_SIZE = 32u; const SUBGROUP = 8u;
// attention_query.wgsl the way of attention_lanes2.wgsl: 2 query rows a lane, 16 keys a tile handed round by broadcast.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const ROWS = 2u;
const KEYS = 16u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> y: array<vec4f>;
@group(0) @binding(4) var<storage, read> dy: array<vec4f>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read_write> lse_delta: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;

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

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let h = group.y % dims.H;
  let b = group.y / dims.H;
  let from_b = b * dims.T;
  let stride = (dims.H + 2u * dims.G) * D4;
  let key_head = (dims.H + h / (dims.H / dims.G)) * D4;
  let values = dims.G * D4; // from a key to its value
  let first = group.x * SUBGROUP * ROWS;
  let last_t = dims.T - 1u;
  let t0 = min(first + 0u * SUBGROUP + lane, last_t);
  let t1 = min(first + 1u * SUBGROUP + lane, last_t);
  var query0: array<vec4f, D4>; var up0: array<vec4f, D4>; var sum0: array<vec4f, D4>;
  var query1: array<vec4f, D4>; var up1: array<vec4f, D4>; var sum1: array<vec4f, D4>;
  let known0 = lse[(b * dims.H + h) * dims.T + t0]; var delta0 = 0.0; var mine0 = 0u;
  let known1 = lse[(b * dims.H + h) * dims.T + t1]; var delta1 = 0.0; var mine1 = 0u;
  for (var d = 0u; d < D4; d++) {
    query0[d] = qkv[(from_b + t0) * stride + h * D4 + d] * dims.scale;
    up0[d] = dy[((from_b + t0) * dims.H + h) * D4 + d];
    delta0 += dot(up0[d], y[((from_b + t0) * dims.H + h) * D4 + d]);
    query1[d] = qkv[(from_b + t1) * stride + h * D4 + d] * dims.scale;
    up1[d] = dy[((from_b + t1) * dims.H + h) * D4 + d];
    delta1 += dot(up1[d], y[((from_b + t1) * dims.H + h) * D4 + d]);
  }
  if (SEGMENTED) {
    mine0 = segments[from_b + t0];
    mine1 = segments[from_b + t1];
  }
  let last_row = min(dims.T, first + SUBGROUP * ROWS) - 1u;
  let end = select(dims.T, last_row + 1u, CAUSAL);
  for (var j0 = (max(first + 1u, dims.window) - dims.window) / KEYS * KEYS; j0 < end; j0 += KEYS) {
    if (SEGMENTED) {
      if (segments[from_b + min(j0 + KEYS - 1u, last_t)] < segments[from_b + first]) { continue; }
      if (!CAUSAL) { if (segments[from_b + j0] > segments[from_b + last_row]) { break; } }
    }
    let key0 = (from_b + min(j0 + 0u + lane % 4u, last_t)) * stride + key_head;
    let key1 = (from_b + min(j0 + 4u + lane % 4u, last_t)) * stride + key_head;
    let key2 = (from_b + min(j0 + 8u + lane % 4u, last_t)) * stride + key_head;
    let key3 = (from_b + min(j0 + 12u + lane % 4u, last_t)) * stride + key_head;
    var s00 = vec4f(); var s01 = vec4f(); var s02 = vec4f(); var s03 = vec4f();
    var p00 = vec4f(); var p01 = vec4f(); var p02 = vec4f(); var p03 = vec4f();
    var s10 = vec4f(); var s11 = vec4f(); var s12 = vec4f(); var s13 = vec4f();
    var p10 = vec4f(); var p11 = vec4f(); var p12 = vec4f(); var p13 = vec4f();
    for (var d = 0u; d < D4; d++) {
      let k0 = share(qkv[key0 + d]); let v0 = share(qkv[key0 + values + d]);
      let k1 = share(qkv[key1 + d]); let v1 = share(qkv[key1 + values + d]);
      let k2 = share(qkv[key2 + d]); let v2 = share(qkv[key2 + values + d]);
      let k3 = share(qkv[key3 + d]); let v3 = share(qkv[key3 + values + d]);
      let q0 = query0[d]; let u0 = up0[d];
      s00 += q0 * k0; s01 += q0 * k1; s02 += q0 * k2; s03 += q0 * k3;
      p00 += u0 * v0; p01 += u0 * v1; p02 += u0 * v2; p03 += u0 * v3;
      let q1 = query1[d]; let u1 = up1[d];
      s10 += q1 * k0; s11 += q1 * k1; s12 += q1 * k2; s13 += q1 * k3;
      p10 += u1 * v0; p11 += u1 * v1; p12 += u1 * v2; p13 += u1 * v3;
    }
    s00 = select(vec4f(), exp(s00 - known0), visible(t0, mine0, from_b, j0 + 0u));
    s00 *= p00 - delta0;
    s01 = select(vec4f(), exp(s01 - known0), visible(t0, mine0, from_b, j0 + 4u));
    s01 *= p01 - delta0;
    s02 = select(vec4f(), exp(s02 - known0), visible(t0, mine0, from_b, j0 + 8u));
    s02 *= p02 - delta0;
    s03 = select(vec4f(), exp(s03 - known0), visible(t0, mine0, from_b, j0 + 12u));
    s03 *= p03 - delta0;
    s10 = select(vec4f(), exp(s10 - known1), visible(t1, mine1, from_b, j0 + 0u));
    s10 *= p10 - delta1;
    s11 = select(vec4f(), exp(s11 - known1), visible(t1, mine1, from_b, j0 + 4u));
    s11 *= p11 - delta1;
    s12 = select(vec4f(), exp(s12 - known1), visible(t1, mine1, from_b, j0 + 8u));
    s12 *= p12 - delta1;
    s13 = select(vec4f(), exp(s13 - known1), visible(t1, mine1, from_b, j0 + 12u));
    s13 *= p13 - delta1;
    for (var d = 0u; d < D4; d++) {
      let k0 = share(qkv[key0 + d]);
      let k1 = share(qkv[key1 + d]);
      let k2 = share(qkv[key2 + d]);
      let k3 = share(qkv[key3 + d]);
      sum0[d] += k0 * s00 + k1 * s01 + k2 * s02 + k3 * s03;
      sum1[d] += k0 * s10 + k1 * s11 + k2 * s12 + k3 * s13;
    }
  }
  if (first + 0u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) {
      let to = (from_b + t0) * stride + h * D4 + d;
      var out = sum0[d] * dims.scale;
      if (ADD) { out += d_qkv[to]; }
      d_qkv[to] = out;
    }
    lse_delta[(b * dims.H + h) * dims.T + t0] = vec2f(known0, delta0);
  }
  if (first + 1u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) {
      let to = (from_b + t1) * stride + h * D4 + d;
      var out = sum1[d] * dims.scale;
      if (ADD) { out += d_qkv[to]; }
      d_qkv[to] = out;
    }
    lse_delta[(b * dims.H + h) * dims.T + t1] = vec2f(known1, delta1);
  }
}

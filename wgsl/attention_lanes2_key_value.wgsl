// header: const HEAD_SIZE = 32u; const SUBGROUP = 8u;
// attention_key_value.wgsl the way of attention_lanes2.wgsl: 2 keys a lane, 16 queries a tile handed round.
struct Dims { B: u32, T: u32, H: u32, G: u32, window: u32, scale: f32 }
const D4 = HEAD_SIZE / 4u;
const ROWS = 2u;
const QUERIES = 16u;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read> lse_delta: array<vec2f>; // [B,H,T] of (lse, sum over D of dy * y)
@group(0) @binding(5) var<storage, read_write> d_qkv: array<vec4f>;
override SEGMENTED: bool = false;
override CAUSAL: bool = true; // else all keys of the row, and no window
override ADD: bool = false;

// Columns 0 to 3 are what lanes 0 to 3 hold.
fn share(own: vec4f) -> mat4x4f {
  let a = subgroupBroadcast(own, 0u); let b = subgroupBroadcast(own, 1u);
  let c = subgroupBroadcast(own, 2u); let d = subgroupBroadcast(own, 3u);
  return mat4x4f(a, b, c, d);
}

fn share1(own: f32) -> vec4f {
  let a = subgroupBroadcast(own, 0u); let b = subgroupBroadcast(own, 1u);
  let c = subgroupBroadcast(own, 2u); let d = subgroupBroadcast(own, 3u);
  return vec4f(a, b, c, d);
}

// Which of the four queries from t on see the key at j.
fn visible(j: u32, mine: u32, from_b: u32, t_first: u32) -> vec4<bool> {
  let t = t_first + vec4u(0u, 1u, 2u, 3u);
  var seen = (vec4u(select(0u, j, CAUSAL)) <= t) & (j + vec4u(dims.window) > t) & (t < vec4u(dims.T));
  if (SEGMENTED) {
    let at = from_b + min(t, vec4u(dims.T - 1u));
    seen &= vec4u(segments[at.x], segments[at.y], segments[at.z], segments[at.w]) == vec4u(mine);
  }
  return seen;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let g = group.y % dims.G;
  let b = group.y / dims.G;
  let from_b = b * dims.T;
  let stride = (dims.H + 2u * dims.G) * D4;
  let values = dims.G * D4; // from a key to its value
  let first = group.x * SUBGROUP * ROWS;
  let last_t = dims.T - 1u;
  let j0 = min(first + 0u * SUBGROUP + lane, last_t);
  let j1 = min(first + 1u * SUBGROUP + lane, last_t);
  let row0 = (from_b + j0) * stride + (dims.H + g) * D4;
  let row1 = (from_b + j1) * stride + (dims.H + g) * D4;
  var key0: array<vec4f, D4>; var value0: array<vec4f, D4>;
  var key1: array<vec4f, D4>; var value1: array<vec4f, D4>;
  var key_sum0: array<vec4f, D4>; var value_sum0: array<vec4f, D4>; var mine0 = 0u;
  var key_sum1: array<vec4f, D4>; var value_sum1: array<vec4f, D4>; var mine1 = 0u;
  for (var d = 0u; d < D4; d++) {
    key0[d] = qkv[row0 + d] * dims.scale; value0[d] = qkv[row0 + values + d];
    key1[d] = qkv[row1 + d] * dims.scale; value1[d] = qkv[row1 + values + d];
  }
  if (SEGMENTED) {
    mine0 = segments[from_b + j0];
    mine1 = segments[from_b + j1];
  }
  let last_key = min(first + SUBGROUP * ROWS, dims.T) - 1u;
  let end = min(dims.T, last_key + dims.window);
  let heads = dims.H / dims.G;
  for (var h = g * heads; h < (g + 1u) * heads; h++) {
    for (var tile = select(0u, first / QUERIES * QUERIES, CAUSAL); tile < end; tile += QUERIES) {
      if (SEGMENTED) {
        // Ids never fall along a row, so no later tile holds a query of the last key's segment.
        if (segments[from_b + tile] > segments[from_b + last_key]) { break; }
        if (!CAUSAL) {
          if (segments[from_b + min(tile + QUERIES - 1u, last_t)] < segments[from_b + first]) { continue; }
        }
      }
      let t0 = min(tile + 0u + lane % 4u, last_t);
      let query0 = (from_b + t0) * stride + h * D4; let up0 = ((from_b + t0) * dims.H + h) * D4;
      let own0 = lse_delta[(b * dims.H + h) * dims.T + t0];
      let known0 = share1(own0.x); let delta0 = share1(own0.y);
      let t1 = min(tile + 4u + lane % 4u, last_t);
      let query1 = (from_b + t1) * stride + h * D4; let up1 = ((from_b + t1) * dims.H + h) * D4;
      let own1 = lse_delta[(b * dims.H + h) * dims.T + t1];
      let known1 = share1(own1.x); let delta1 = share1(own1.y);
      let t2 = min(tile + 8u + lane % 4u, last_t);
      let query2 = (from_b + t2) * stride + h * D4; let up2 = ((from_b + t2) * dims.H + h) * D4;
      let own2 = lse_delta[(b * dims.H + h) * dims.T + t2];
      let known2 = share1(own2.x); let delta2 = share1(own2.y);
      let t3 = min(tile + 12u + lane % 4u, last_t);
      let query3 = (from_b + t3) * stride + h * D4; let up3 = ((from_b + t3) * dims.H + h) * D4;
      let own3 = lse_delta[(b * dims.H + h) * dims.T + t3];
      let known3 = share1(own3.x); let delta3 = share1(own3.y);
      var s00 = vec4f(); var s01 = vec4f(); var s02 = vec4f(); var s03 = vec4f();
      var p00 = vec4f(); var p01 = vec4f(); var p02 = vec4f(); var p03 = vec4f();
      var s10 = vec4f(); var s11 = vec4f(); var s12 = vec4f(); var s13 = vec4f();
      var p10 = vec4f(); var p11 = vec4f(); var p12 = vec4f(); var p13 = vec4f();
      for (var d = 0u; d < D4; d++) {
        let q0 = share(qkv[query0 + d]); let u0 = share(dy[up0 + d]);
        let q1 = share(qkv[query1 + d]); let u1 = share(dy[up1 + d]);
        let q2 = share(qkv[query2 + d]); let u2 = share(dy[up2 + d]);
        let q3 = share(qkv[query3 + d]); let u3 = share(dy[up3 + d]);
        let k0 = key0[d]; let v0 = value0[d];
        s00 += k0 * q0; s01 += k0 * q1; s02 += k0 * q2; s03 += k0 * q3;
        p00 += v0 * u0; p01 += v0 * u1; p02 += v0 * u2; p03 += v0 * u3;
        let k1 = key1[d]; let v1 = value1[d];
        s10 += k1 * q0; s11 += k1 * q1; s12 += k1 * q2; s13 += k1 * q3;
        p10 += v1 * u0; p11 += v1 * u1; p12 += v1 * u2; p13 += v1 * u3;
      }
      s00 = select(vec4f(), exp(s00 - known0), visible(j0, mine0, from_b, tile + 0u));
      p00 = s00 * (p00 - delta0);
      s01 = select(vec4f(), exp(s01 - known1), visible(j0, mine0, from_b, tile + 4u));
      p01 = s01 * (p01 - delta1);
      s02 = select(vec4f(), exp(s02 - known2), visible(j0, mine0, from_b, tile + 8u));
      p02 = s02 * (p02 - delta2);
      s03 = select(vec4f(), exp(s03 - known3), visible(j0, mine0, from_b, tile + 12u));
      p03 = s03 * (p03 - delta3);
      s10 = select(vec4f(), exp(s10 - known0), visible(j1, mine1, from_b, tile + 0u));
      p10 = s10 * (p10 - delta0);
      s11 = select(vec4f(), exp(s11 - known1), visible(j1, mine1, from_b, tile + 4u));
      p11 = s11 * (p11 - delta1);
      s12 = select(vec4f(), exp(s12 - known2), visible(j1, mine1, from_b, tile + 8u));
      p12 = s12 * (p12 - delta2);
      s13 = select(vec4f(), exp(s13 - known3), visible(j1, mine1, from_b, tile + 12u));
      p13 = s13 * (p13 - delta3);
      for (var d = 0u; d < D4; d++) {
        let q0 = share(qkv[query0 + d]); let u0 = share(dy[up0 + d]);
        let q1 = share(qkv[query1 + d]); let u1 = share(dy[up1 + d]);
        let q2 = share(qkv[query2 + d]); let u2 = share(dy[up2 + d]);
        let q3 = share(qkv[query3 + d]); let u3 = share(dy[up3 + d]);
        key_sum0[d] += q0 * p00 + q1 * p01 + q2 * p02 + q3 * p03;
        value_sum0[d] += u0 * s00 + u1 * s01 + u2 * s02 + u3 * s03;
        key_sum1[d] += q0 * p10 + q1 * p11 + q2 * p12 + q3 * p13;
        value_sum1[d] += u0 * s10 + u1 * s11 + u2 * s12 + u3 * s13;
      }
    }
  }
  if (first + 0u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) {
      var dk = key_sum0[d] * dims.scale;
      var dv = value_sum0[d];
      if (ADD) { dk += d_qkv[row0 + d]; dv += d_qkv[row0 + values + d]; }
      d_qkv[row0 + d] = dk;
      d_qkv[row0 + values + d] = dv;
    }
  }
  if (first + 1u * SUBGROUP + lane < dims.T) {
    for (var d = 0u; d < D4; d++) {
      var dk = key_sum1[d] * dims.scale;
      var dv = value_sum1[d];
      if (ADD) { dk += d_qkv[row1 + d]; dv += d_qkv[row1 + values + d]; }
      d_qkv[row1 + d] = dk;
      d_qkv[row1 + values + d] = dv;
    }
  }
}

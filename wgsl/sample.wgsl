// uses: elem1, philox, sortable, thresholds
// Second half of sampling, one workgroup a sequence: temperature, top-k, top-p, a Philox draw, then the bookkeeping of
// generation (append, advance, stop), so that many steps run between two readbacks.
const RUN = 32u;
const GROUP = 64u; // runs whose mass is summed apart, by one lane: there are at most WIDE groups
const WIDE = 256u;
struct Dims { B: u32, V: u32, R: u32, K: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<Elem>;         // [B,V]
@group(0) @binding(2) var<storage, read> settings: array<u32>;        // see sample.ts
@group(0) @binding(3) var<storage, read_write> runs: array<vec4u>;    // [B,R] highest logit, its lowest id, mass against it
@group(0) @binding(4) var<storage, read_write> rows: array<vec4u>;    // [B] stream, longest, first position kept, done
@group(0) @binding(5) var<storage, read_write> current: array<u32>;   // [B] the token to feed next
@group(0) @binding(6) var<storage, read_write> positions: array<u32>; // [B] where that token stands
@group(0) @binding(7) var<storage, read_write> tokens: array<u32>;    // [B,K] new tokens from the first position kept on
var<workgroup> best: array<vec2u, 256>; // WIDE pairs: highest logit, its lowest id
var<workgroup> masses: array<f32, 256>; // of groups of runs
var<workgroup> counts: array<atomic<u32>, 16>;
var<workgroup> search: vec2u;           // keys low .. low + size

// The loads of run r in a row, as a range.
fn loads(b: u32, r: u32) -> vec2u {
  return (vec2u(b * dims.V) + vec2u(r * RUN, min((r + 1u) * RUN, dims.V))) / LANES;
}

fn top_of(b: u32, r: u32) -> f32 { return bitcast<f32>(runs[b * dims.R + r].x); }

// Mass of a token in whole units, which sum to about 2^30.
fn units(z: f32, highest: f32, heat: f32, scale: f32) -> u32 { return u32(exp((z - highest) / heat) * scale + 0.5); }

// The largest key at or above which lie at least `wanted` of what is counted (0: runs by their highest, 1: tokens,
// 2: mass in units); `low` if none.
fn threshold(
  b: u32, lane: u32, least: u32, highest: f32, heat: f32, counted: u32, wanted: u32, scale: f32
) -> u32 {
  if (lane == 0u) { search = vec2u(least, sortable(highest) - least); }
  for (var pass_ = 0u; pass_ < 9u; pass_++) { // 16^8 keys and one more
    let keys = workgroupUniformLoad(&search);
    if (keys.y == 0u) { break; }
    let low = keys.x;
    let step = keys.y / 16u + 1u;
    if (lane < 16u) { atomicStore(&counts[lane], 0u); }
    workgroupBarrier();
    var sums = Above();
    for (var r = lane; r < dims.R; r += WIDE) {
      let top = sortable(top_of(b, r));
      if (top < low) { continue; }
      if (counted == 0u) { add_above(&sums, top, low, step, 1u); continue; }
      let range = loads(b, r);
      for (var n = range.x; n < range.y; n++) {
        let v = logits[n];
        for (var c = 0u; c < LANES; c++) {
          let key = sortable(part(v, c));
          if (key < low) { continue; }
          let amount = select(1u, units(part(v, c), highest, heat, scale), counted == 2u);
          add_above(&sums, key, low, step, amount);
        }
      }
    }
    if (sums.a.x > 0u) {
      for (var i = 0u; i < 4u; i++) {
        atomicAdd(&counts[i], sums.a[i]);
        atomicAdd(&counts[4u + i], sums.b[i]);
        atomicAdd(&counts[8u + i], sums.c[i]);
        atomicAdd(&counts[12u + i], sums.d[i]);
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var all: array<vec4u, 4>;
      for (var i = 0u; i < 4u; i++) {
        all[i] = vec4u(
          atomicLoad(&counts[4u * i]),
          atomicLoad(&counts[4u * i + 1u]),
          atomicLoad(&counts[4u * i + 2u]),
          atomicLoad(&counts[4u * i + 3u]),
        );
      }
      search = narrow(Above(all[0], all[1], all[2], all[3]), low, keys.y, step, wanted);
    }
  }
  return workgroupUniformLoad(&search).x;
}

fn mass_of_run(b: u32, r: u32, highest: f32, heat: f32) -> f32 {
  let run = runs[b * dims.R + r];
  return bitcast<f32>(run.z) * exp((bitcast<f32>(run.x) - highest) / heat);
}

// Fills `masses` and returns their sum.
fn mass_of_all(b: u32, lane: u32, highest: f32, heat: f32) -> f32 {
  workgroupBarrier();
  var sum = 0.0;
  for (var r = lane * GROUP; r < min((lane + 1u) * GROUP, dims.R); r++) { sum += mass_of_run(b, r, highest, heat); }
  masses[lane] = sum;
  workgroupBarrier();
  var all = 0.0;
  for (var group = 0u; group * GROUP < dims.R; group++) { all += masses[group]; }
  return all;
}

// The smallest key that top-k and top-p leave in.
fn least_key(b: u32, lane: u32, highest: f32, heat: f32, top_k: u32, top_p: f32) -> u32 {
  var least = 0u;
  if (top_k > 0u && top_k < dims.V) {
    // k runs reach as high as the k-th highest run, so nothing below that is among the k highest tokens.
    if (top_k <= dims.R) { least = threshold(b, lane, 0u, highest, heat, 0u, top_k, 1.0); }
    least = threshold(b, lane, least, highest, heat, 1u, top_k, 1.0);
  }
  if (top_p < 1.0) {
    let scale = 1073741824.0 / mass_of_all(b, lane, highest, heat);
    if (lane == 0u) { atomicStore(&counts[0], 0u); }
    workgroupBarrier();
    var sum = 0u;
    for (var r = lane; r < dims.R; r += WIDE) {
      if (sortable(top_of(b, r)) < least) { continue; }
      let range = loads(b, r);
      for (var n = range.x; n < range.y; n++) {
        let v = logits[n];
        for (var c = 0u; c < LANES; c++) {
          let z = part(v, c);
          if (sortable(z) >= least) { sum += units(z, highest, heat, scale); }
        }
      }
    }
    atomicAdd(&counts[0], sum);
    workgroupBarrier();
    let all = atomicLoad(&counts[0]);
    // All tokens below this together hold less than 1 - p.
    let far = sortable(highest - heat * (log(f32(dims.V)) - log(1.0 - top_p) + 1.0));
    least = threshold(b, lane, max(least, far), highest, heat, 2u, max(1u, u32(f32(all) * top_p)), scale);
  }
  return least;
}

// Masses of the runs without what lies below `least`.
fn cut(b: u32, lane: u32, least: u32, heat: f32) {
  for (var r = lane; r < dims.R; r += WIDE) {
    let top = top_of(b, r);
    var mass = 0.0;
    if (sortable(top) >= least) {
      let range = loads(b, r);
      for (var n = range.x; n < range.y; n++) {
        let v = logits[n];
        for (var c = 0u; c < LANES; c++) {
          let z = part(v, c);
          if (sortable(z) >= least) { mass += exp((z - top) / heat); }
        }
      }
    }
    runs[b * dims.R + r].z = bitcast<u32>(mass);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let b = workgroup.x;
  var highest = -3e38;
  var chosen = 0u;
  for (var r = lane; r < dims.R; r += WIDE) {
    let run = runs[b * dims.R + r];
    let z = bitcast<f32>(run.x);
    if (z > highest) { highest = z; chosen = run.y; }
  }
  best[lane] = vec2u(bitcast<u32>(highest), chosen);
  for (var half = WIDE / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let mine = best[lane];
      let other = best[lane + half];
      let z = bitcast<f32>(mine.x);
      let w = bitcast<f32>(other.x);
      if (w > z || (w == z && other.y < mine.y)) { best[lane] = other; }
    }
  }
  workgroupBarrier();
  highest = bitcast<f32>(best[0].x);
  chosen = best[0].y;

  let heat = bitcast<f32>(settings[0]);
  let top_p = bitcast<f32>(settings[1]);
  let top_k = settings[4];
  if (heat > 0.0) {
    let least = least_key(b, lane, highest, heat, top_k, top_p);
    if ((top_k > 0u && top_k < dims.V) || top_p < 1.0) { cut(b, lane, least, heat); }
    storageBarrier();
    let all = mass_of_all(b, lane, highest, heat);
    if (lane == 0u) {
      // Inverse of the cumulative distribution in order of token id: the group of runs, the run, the token.
      let bits = philox(vec4u(positions[b], rows[b].x, 0u, 0u), vec2u(settings[2], settings[3]));
      var left = unit_float(bits.x) * all;
      var group = 0u;
      for (; (group + 1u) * GROUP < dims.R; group++) {
        let mass = masses[group];
        if (left < mass) { break; }
        left -= mass;
      }
      var r = group * GROUP;
      let last = min((group + 1u) * GROUP, dims.R) - 1u;
      for (; r < last; r++) {
        let mass = mass_of_run(b, r, highest, heat);
        if (left < mass) { break; }
        left -= mass;
      }
      let range = loads(b, r);
      for (var n = range.x; n < range.y && left >= 0.0; n++) {
        let v = logits[n];
        for (var c = 0u; c < LANES; c++) {
          let z = part(v, c);
          let weight = exp((z - highest) / heat);
          if (sortable(z) < least || weight == 0.0 || left < 0.0) { continue; }
          chosen = n * LANES + c - b * dims.V;
          left -= weight;
        }
      }
    }
  }
  if (lane != 0u || rows[b].w != 0u) { return; }
  let next = positions[b] + 1u;
  let kept = next - rows[b].z;
  if (kept < dims.K) { tokens[b * dims.K + kept] = chosen; }
  current[b] = chosen;
  positions[b] = next;
  if (next + 1u >= rows[b].y) { rows[b].w = 2u; }
  for (var i = 0u; i < settings[5]; i++) {
    if (chosen == settings[6u + i]) { rows[b].w = 1u; }
  }
}

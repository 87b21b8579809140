// uses: elem1, philox, sortable, thresholds
// Second half of sampling, one lane a sequence and no barriers: for adapters without cheap ones. The same sums in the same
// order as in sample.wgsl, so the same tokens.
const RUN = 32u;
const GROUP = 64u; // runs whose mass is summed apart
struct Dims { B: u32, V: u32, R: u32, K: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<Elem>;         // [B,V]
@group(0) @binding(2) var<storage, read> settings: array<u32>;        // see sample.ts
@group(0) @binding(3) var<storage, read_write> runs: array<vec4u>;    // [B,R] highest logit, its lowest id, mass against it
@group(0) @binding(4) var<storage, read_write> rows: array<vec4u>;    // [B] stream, longest, first position kept, done
@group(0) @binding(5) var<storage, read_write> current: array<u32>;   // [B] the token to feed next
@group(0) @binding(6) var<storage, read_write> positions: array<u32>; // [B] where that token stands
@group(0) @binding(7) var<storage, read_write> tokens: array<u32>;    // [B,K] new tokens from the first position kept on

// The loads of run r in a row, as a range.
fn loads(b: u32, r: u32) -> vec2u {
  return (vec2u(b * dims.V) + vec2u(r * RUN, min((r + 1u) * RUN, dims.V))) / LANES;
}

fn top_of(b: u32, r: u32) -> f32 { return bitcast<f32>(runs[b * dims.R + r].x); }

// Mass of a token in whole units, which sum to about 2^30.
fn units(z: f32, highest: f32, heat: f32, scale: f32) -> u32 { return u32(exp((z - highest) / heat) * scale + 0.5); }

// The largest key at or above which lie at least `wanted` of what is counted (0: runs by their highest, 1: tokens,
// 2: mass in units); `low` if none.
fn threshold(b: u32, least: u32, highest: f32, heat: f32, counted: u32, wanted: u32, scale: f32) -> u32 {
  var low = least;
  var size = sortable(highest) - low; // the keys searched are low .. low + size
  while (size > 0u) {
    let step = size / 16u + 1u;
    var sums = Above();
    for (var r = 0u; r < dims.R; r++) {
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
    let next = narrow(sums, low, size, step, wanted);
    low = next.x;
    size = next.y;
  }
  return low;
}

fn mass_of_run(b: u32, r: u32, highest: f32, heat: f32) -> f32 {
  let run = runs[b * dims.R + r];
  return bitcast<f32>(run.z) * exp((bitcast<f32>(run.x) - highest) / heat);
}

fn mass_of_group(b: u32, group: u32, highest: f32, heat: f32) -> f32 {
  var sum = 0.0;
  for (var r = group * GROUP; r < min((group + 1u) * GROUP, dims.R); r++) { sum += mass_of_run(b, r, highest, heat); }
  return sum;
}

fn mass_of_all(b: u32, highest: f32, heat: f32) -> f32 {
  var sum = 0.0;
  for (var group = 0u; group * GROUP < dims.R; group++) { sum += mass_of_group(b, group, highest, heat); }
  return sum;
}

// The smallest key that top-k and top-p leave in.
fn least_key(b: u32, highest: f32, heat: f32, top_k: u32, top_p: f32) -> u32 {
  var least = 0u;
  if (top_k > 0u && top_k < dims.V) {
    // k runs reach as high as the k-th highest run, so nothing below that is among the k highest tokens.
    if (top_k <= dims.R) { least = threshold(b, 0u, highest, heat, 0u, top_k, 1.0); }
    least = threshold(b, least, highest, heat, 1u, top_k, 1.0);
  }
  if (top_p < 1.0) {
    let scale = 1073741824.0 / mass_of_all(b, highest, heat);
    var all = 0u;
    for (var r = 0u; r < dims.R; r++) {
      if (sortable(top_of(b, r)) < least) { continue; }
      let range = loads(b, r);
      for (var n = range.x; n < range.y; n++) {
        let v = logits[n];
        for (var c = 0u; c < LANES; c++) {
          let z = part(v, c);
          if (sortable(z) >= least) { all += units(z, highest, heat, scale); }
        }
      }
    }
    // All tokens below this together hold less than 1 - p.
    let far = sortable(highest - heat * (log(f32(dims.V)) - log(1.0 - top_p) + 1.0));
    least = threshold(b, max(least, far), highest, heat, 2u, max(1u, u32(f32(all) * top_p)), scale);
  }
  return least;
}

// Masses of the runs without what lies below `least`.
fn cut(b: u32, least: u32, heat: f32) {
  for (var r = 0u; r < dims.R; r++) {
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

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let b = id.x;
  if (b >= dims.B) { return; }
  if (rows[b].w != 0u) { return; }
  var highest = -3e38;
  var chosen = 0u;
  for (var r = 0u; r < dims.R; r++) {
    let run = runs[b * dims.R + r];
    let z = bitcast<f32>(run.x);
    if (z > highest) { highest = z; chosen = run.y; }
  }
  let heat = bitcast<f32>(settings[0]);
  if (heat > 0.0) {
    let least = least_key(b, highest, heat, settings[4], bitcast<f32>(settings[1]));
    if (least > 0u) { cut(b, least, heat); }
    // Inverse of the cumulative distribution in order of token id: the group of runs, the run, the token.
    let bits = philox(vec4u(positions[b], rows[b].x, 0u, 0u), vec2u(settings[2], settings[3]));
    var left = unit_float(bits.x) * mass_of_all(b, highest, heat);
    var group = 0u;
    for (; (group + 1u) * GROUP < dims.R; group++) {
      let mass = mass_of_group(b, group, highest, heat);
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

// uses: philox
// One sampling step on the GPU, one workgroup a sequence: temperature, top-k, top-p, a Philox draw, then the bookkeeping
// of generation (append, advance, stop), so that many steps run between two readbacks.
// settings = temperature, top_p; numbers = seed low, seed high, top_k (0: off), EOS id.
struct Dims { B: u32, V: u32, S: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<f32>;        // [B,V]
@group(0) @binding(2) var<storage, read> settings: array<f32>;
@group(0) @binding(3) var<storage, read> numbers: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<vec2u>;        // [B] random stream, longest sequence
@group(0) @binding(5) var<storage, read_write> current: array<u32>; // [B] the token to feed next
@group(0) @binding(6) var<storage, read_write> positions: array<u32>; // [B] where that token stands
@group(0) @binding(7) var<storage, read_write> done: array<u32>;    // [B] 0 running, 1 EOS seen, 2 out of room
@group(0) @binding(8) var<storage, read_write> tokens: array<u32>;  // [B,S] the whole sequences
var<workgroup> values: array<f32, 64>;
var<workgroup> places: array<u32, 64>;

// A total order of floats as unsigned integers, so that a threshold is found exactly by bisection.
fn sortable(z: f32) -> u32 {
  let bits = bitcast<u32>(z);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn total(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  values[lane] = value;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { values[lane] += values[lane + half]; }
  }
  workgroupBarrier();
  return values[0];
}

// Probability mass (or, with count, number) of the tokens of row b whose key is at least `least`.
fn above(b: u32, lane: u32, least: u32, count: bool, highest: f32, heat: f32) -> f32 {
  var sum = 0.0;
  for (var v = lane; v < dims.V; v += 64u) {
    let z = logits[b * dims.V + v];
    if (sortable(z) >= least) { sum += select(exp((z - highest) / heat), 1.0, count); }
  }
  return total(lane, sum);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let b = group.x;
  var highest = -1e30;
  var place = 0u;
  for (var v = lane; v < dims.V; v += 64u) {
    let z = logits[b * dims.V + v];
    if (z > highest) { highest = z; place = v; }
  }
  values[lane] = highest;
  places[lane] = place;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let other = values[lane + half];
      let there = places[lane + half];
      if (other > values[lane] || (other == values[lane] && there < places[lane])) {
        values[lane] = other;
        places[lane] = there;
      }
    }
  }
  workgroupBarrier();
  highest = values[0];
  var chosen = places[0];

  let heat = settings[0];
  let top_p = settings[1];
  let top_k = numbers[2];
  if (heat > 0.0) {
    var least = 0u;
    if (top_k > 0u && top_k < dims.V) {
      // The largest key with at least k tokens at or above it; equals of the k-th are kept too.
      for (var bit = 0u; bit < 32u; bit++) {
        let tried = least | (0x80000000u >> bit);
        if (above(b, lane, tried, true, highest, heat) >= f32(top_k)) { least = tried; }
      }
    }
    if (top_p < 1.0) {
      let wanted = top_p * above(b, lane, least, false, highest, heat);
      var floor_ = 0u;
      for (var bit = 0u; bit < 32u; bit++) {
        let tried = floor_ | (0x80000000u >> bit);
        if (above(b, lane, max(tried, least), false, highest, heat) >= wanted) { floor_ = tried; }
      }
      least = max(least, floor_);
    }
    // Inverse of the cumulative distribution in order of token id: each lane sums one run of ids, lane 0 finds the run.
    let run = (dims.V + 63u) / 64u;
    let end = min(dims.V, (lane + 1u) * run);
    var sum = 0.0;
    for (var v = lane * run; v < end; v++) {
      let z = logits[b * dims.V + v];
      if (sortable(z) >= least) { sum += exp((z - highest) / heat); }
    }
    workgroupBarrier();
    values[lane] = sum;
    workgroupBarrier();
    if (lane == 0u) {
      var mass = 0.0;
      for (var i = 0u; i < 64u; i++) { mass += values[i]; }
      let bits = philox(vec4u(positions[b], rows[b].x, 0u, 0u), vec2u(numbers[0], numbers[1]));
      var left = unit_float(bits.x) * mass;
      var i = 0u;
      while (i < 63u && left >= values[i]) { left -= values[i]; i++; }
      for (var v = i * run; v < min(dims.V, (i + 1u) * run); v++) {
        let z = logits[b * dims.V + v];
        if (sortable(z) < least) { continue; }
        chosen = v;
        left -= exp((z - highest) / heat);
        if (left < 0.0) { break; }
      }
    }
  }
  if (lane != 0u || done[b] != 0u) { return; }
  let next = positions[b] + 1u;
  tokens[b * dims.S + next] = chosen;
  current[b] = chosen;
  positions[b] = next;
  if (chosen == numbers[3]) { done[b] = 1u; }
  else if (next + 1u >= min(dims.S, rows[b].y)) { done[b] = 2u; }
}

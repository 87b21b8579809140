// uses: elem1, grid
// First half of sampling: each lane goes through a run of 32 token ids. Whoever draws then looks at runs, and at the logits
// of one run alone: one pass over the vocabulary, without barriers.
const RUN = 32u;
struct Dims { B: u32, V: u32, R: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> logits: array<Elem>;      // [B,V]
@group(0) @binding(2) var<storage, read> settings: array<u32>;     // temperature first: see sample.ts
@group(0) @binding(3) var<storage, read_write> runs: array<vec4u>; // [B,R] highest logit, its lowest id, mass against it

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.B * dims.R) { return; }
  let first = (i % dims.R) * RUN;
  let end = min(first + RUN, dims.V) / LANES;
  let row = (i / dims.R) * (dims.V / LANES);
  var highest = -3e38;
  var place = first;
  for (var n = first / LANES; n < end; n++) {
    let v = logits[row + n];
    for (var c = 0u; c < LANES; c++) {
      let z = part(v, c);
      if (z > highest) { highest = z; place = n * LANES + c; }
    }
  }
  let heat = bitcast<f32>(settings[0]);
  var mass = 0.0;
  if (heat > 0.0) {
    for (var n = first / LANES; n < end; n++) {
      let v = logits[row + n];
      for (var c = 0u; c < LANES; c++) { mass += exp((part(v, c) - highest) / heat); }
    }
  }
  runs[i] = vec4u(bitcast<u32>(highest), place, bitcast<u32>(mass), 0u);
}

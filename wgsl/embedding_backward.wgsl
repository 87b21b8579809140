// uses: grid
// The gradient of an embedding: d_table[ids[n], :] += dy[n, :], rows of equal ids summed in a fixed order, without
// atomics. `link` chains every token to the previous one with the same id; the last of each chain walks it.
// `d_table` is bound from row `first` on, `count` rows of it.
struct Dims { N: u32, C: u32, first: u32, count: u32 }
const NONE = 0xffffffffu;
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> chain: array<vec2u>; // (previous token of this id or NONE, 1 if last)
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_table: array<f32>;

@compute @workgroup_size(64)
fn link(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  if (n >= dims.N) { return; }
  let mine = ids[n];
  var previous = NONE;
  for (var m = 0u; m < n; m++) { if (ids[m] == mine) { previous = m; } }
  var last = 1u;
  for (var m = n + 1u; m < dims.N; m++) { if (ids[m] == mine) { last = 0u; break; } }
  chain[n] = vec2u(previous, last);
}

@compute @workgroup_size(64)
fn scatter(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.C) { return; }
  let n = i / dims.C;
  let c = i % dims.C;
  let row = ids[n] - dims.first; // below `first` it wraps around to a large number
  if (row >= dims.count || chain[n].y == 0u) { return; }
  var sum = 0.0;
  for (var m = n; m != NONE; m = chain[m].x) { sum += dy[m * dims.C + c]; }
  d_table[row * dims.C + c] += sum;
}

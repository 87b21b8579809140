// uses: elem1, grid
// y[N,C] = table[V,C] at ids[N], with POSITIONS plus position_table[P,C] at positions[N].
// `table` is bound from row `first` on, `count` rows of it: tokens of other rows are left to another dispatch.
struct Dims { N: u32, C: u32, first: u32, count: u32 } // C in Elems
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<Elem>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read> position_table: array<Elem>;
@group(0) @binding(5) var<storage, read_write> y: array<Elem>;
override POSITIONS: bool = false;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.C) { return; }
  let n = i / dims.C;
  let c = i % dims.C;
  let row = ids[n] - dims.first; // below `first` it wraps around to a large number
  if (row >= dims.count) { return; }
  var value = table[row * dims.C + c];
  if (POSITIONS) { value += position_table[positions[n] * dims.C + c]; }
  y[i] = value;
}

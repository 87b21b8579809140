// uses: gelu, matmul_io, matmul_block
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const A_ROWS = true; const B_ROWS = true; const GROUPS = 4u; const COLUMNS = 2u; const STRIDE = 8u;
// out[M,N] = a b, one subgroup a workgroup, for adapters where a load costs as much as a hundred multiply-adds (a software
// adapter loads lane by lane). No element of its tile is loaded twice: lanes load different rows of a and hand them round by
// broadcasts, and each lane owns COLUMNS vec4 columns of b. A tile has 8 GROUPS rows and 4 STRIDE COLUMNS columns.
// a is [M,K] if A_ROWS, else [K,M]; b is [N,K] if B_ROWS, else [K,N]. N is a multiple of 4, depth of 8, and M of 4 if a is [K,M].
// STRIDE, 4 or more, is the size of every subgroup on the adapter; GROUPS is 1, 4 or 8, and no 1 if a is [K,M].
const LANES = min(STRIDE, 8u); // that load rows of a; behind them, in larger subgroups, others load the same again
const HIGH = LANES - 4u;       // the lane with row 4 of a group of eight: 4, or 0 in a second load by subgroups of 4

// Eight rows: 0 to 3 in the first lanes of `low`, 4 to 7 in the lanes from HIGH of `high`.
fn add_group(group: u32, low: Eight, high: Eight) {
  let row = 8u * group;
  add_row(row, Eight(subgroupBroadcast(low.lower, 0u), subgroupBroadcast(low.upper, 0u)));
  add_row(row + 1u, Eight(subgroupBroadcast(low.lower, 1u), subgroupBroadcast(low.upper, 1u)));
  add_row(row + 2u, Eight(subgroupBroadcast(low.lower, 2u), subgroupBroadcast(low.upper, 2u)));
  add_row(row + 3u, Eight(subgroupBroadcast(low.lower, 3u), subgroupBroadcast(low.upper, 3u)));
  add_row(row + 4u, Eight(subgroupBroadcast(high.lower, HIGH), subgroupBroadcast(high.upper, HIGH)));
  add_row(row + 5u, Eight(subgroupBroadcast(high.lower, HIGH + 1u), subgroupBroadcast(high.upper, HIGH + 1u)));
  add_row(row + 6u, Eight(subgroupBroadcast(high.lower, HIGH + 2u), subgroupBroadcast(high.upper, HIGH + 2u)));
  add_row(row + 7u, Eight(subgroupBroadcast(high.lower, HIGH + 3u), subgroupBroadcast(high.upper, HIGH + 3u)));
}

// a in rows: group g holds rows 8 g to 8 g + 7.
fn add_rows(z: u32, k4: u32, group: u32, m: u32) {
  let low = load_row(z, k4, m + 8u * group);
  var high = low;
  if (STRIDE < 8u) { high = load_row(z, k4, m + 8u * group + 4u); }
  add_group(group, low, high);
}

// a in columns: a lane loads four rows, so group g holds rows g, g + 4, .. g + 28 of 32.
fn add_block(z: u32, k4: u32, group: u32, m4: u32) {
  let low = load_block(z, k4, m4);
  var high = low;
  if (STRIDE < 8u) { high = load_block(z, k4, m4 + 4u); }
  add_group(group, Eight(low.lower[0], low.upper[0]), Eight(high.lower[0], high.upper[0]));
  add_group(group + 1u, Eight(low.lower[1], low.upper[1]), Eight(high.lower[1], high.upper[1]));
  add_group(group + 2u, Eight(low.lower[2], low.upper[2]), Eight(high.lower[2], high.upper[2]));
  add_group(group + 3u, Eight(low.lower[3], low.upper[3]), Eight(high.lower[3], high.upper[3]));
}

fn add_step(z: u32, k4: u32, m0: u32, lane: u32) {
  if (A_ROWS) {
    let m = m0 + lane % LANES;
    add_rows(z, k4, 0u, m);
    if (GROUPS > 1u) { add_rows(z, k4, 1u, m); add_rows(z, k4, 2u, m); add_rows(z, k4, 3u, m); }
    if (GROUPS > 4u) { add_rows(z, k4, 4u, m); add_rows(z, k4, 5u, m); add_rows(z, k4, 6u, m); add_rows(z, k4, 7u, m); }
  } else {
    let m4 = m0 / 4u + lane % LANES;
    add_block(z, k4, 0u, m4);
    if (GROUPS > 4u) { add_block(z, k4, 4u, m4 + 8u); }
  }
}

fn put_group(z: u32, group: u32, m0: u32, n4: u32) {
  if (A_ROWS) { put_rows(z, group, m0 + 8u * group, 1u, n4); }
  else { put_rows(z, group, m0 + group % 4u + 32u * (group / 4u), 4u, n4); }
}

@compute @workgroup_size(STRIDE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let z = group.z;
  let m0 = group.y * 8u * GROUPS;
  let n4 = group.x * STRIDE * COLUMNS + local.x;
  for (var k4 = 0u; k4 < dims.depth / 4u; k4 += 2u) {
    load_columns(z, k4, n4);
    add_step(z, k4, m0, local.x);
  }
  put_group(z, 0u, m0, n4);
  if (GROUPS > 1u) { put_group(z, 1u, m0, n4); put_group(z, 2u, m0, n4); put_group(z, 3u, m0, n4); }
  if (GROUPS > 4u) { put_group(z, 4u, m0, n4); put_group(z, 5u, m0, n4); put_group(z, 6u, m0, n4); put_group(z, 7u, m0, n4); }
  finish(z, m0, n4);
}

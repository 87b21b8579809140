// uses: gelu, matmul_io, matmul_block
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const A_ROWS = true; const B_ROWS = true; const GROUPS = 1u; const COLUMNS = 2u; const STRIDE = 8u;
// out[M,N] = a b, a block of 8 GROUPS rows and COLUMNS vec4 columns in the registers of each invocation: no barriers, no
// workgroup memory, no subgroups. a is [M,K] if A_ROWS, else [K,M]; b is [N,K] if B_ROWS, else [K,N]. N is a multiple of 4, depth
// of 8, and M of 4 if a is [K,M]. GROUPS is 1, 2 or 4.
fn add_group(z: u32, k4: u32, group: u32, m: u32) {
  let row = 8u * group;
  if (A_ROWS) {
    add_row(row, load_row(z, k4, m)); add_row(row + 1u, load_row(z, k4, m + 1u));
    add_row(row + 2u, load_row(z, k4, m + 2u)); add_row(row + 3u, load_row(z, k4, m + 3u));
    add_row(row + 4u, load_row(z, k4, m + 4u)); add_row(row + 5u, load_row(z, k4, m + 5u));
    add_row(row + 6u, load_row(z, k4, m + 6u)); add_row(row + 7u, load_row(z, k4, m + 7u));
  } else {
    let low = load_block(z, k4, m / 4u);
    add_row(row, Eight(low.lower[0], low.upper[0])); add_row(row + 1u, Eight(low.lower[1], low.upper[1]));
    add_row(row + 2u, Eight(low.lower[2], low.upper[2])); add_row(row + 3u, Eight(low.lower[3], low.upper[3]));
    let high = load_block(z, k4, m / 4u + 1u);
    add_row(row + 4u, Eight(high.lower[0], high.upper[0])); add_row(row + 5u, Eight(high.lower[1], high.upper[1]));
    add_row(row + 6u, Eight(high.lower[2], high.upper[2])); add_row(row + 7u, Eight(high.lower[3], high.upper[3]));
  }
}

@compute @workgroup_size(STRIDE, 4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let z = group.z;
  let m0 = (group.y * 4u + local.y) * 8u * GROUPS;
  let n4 = group.x * STRIDE * COLUMNS + local.x;
  if (m0 >= dims.M || n4 * 4u >= dims.N) { return; }
  for (var k4 = 0u; k4 < dims.depth / 4u; k4 += 2u) {
    load_columns(z, k4, n4);
    add_group(z, k4, 0u, m0);
    if (GROUPS > 1u) { add_group(z, k4, 1u, m0 + 8u); }
    if (GROUPS > 2u) { add_group(z, k4, 2u, m0 + 16u); add_group(z, k4, 3u, m0 + 24u); }
  }
  put_rows(z, 0u, m0, 1u, n4);
  if (GROUPS > 1u) { put_rows(z, 1u, m0 + 8u, 1u, n4); }
  if (GROUPS > 2u) { put_rows(z, 2u, m0 + 16u, 1u, n4); put_rows(z, 3u, m0 + 24u, 1u, n4); }
  finish(z, m0, n4);
}

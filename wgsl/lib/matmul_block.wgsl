// uses: gelu, matmul_io
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const A_ROWS = true; const B_ROWS = true; const GROUPS = 1u; const COLUMNS = 2u; const STRIDE = 8u;
// The register block of matmul_subgroup and matmul_register: 8 GROUPS rows and COLUMNS vec4 columns of an invocation, STRIDE
// apart, so that a workgroup's lanes lie side by side. Every index of sums and w is a constant once the functions are inlined, so
// both are registers.
var<private> sums: array<vec4f, 8u * GROUPS * COLUMNS>; // [rows][COLUMNS]
var<private> w: array<vec4f, 8u * COLUMNS>;             // of b: [COLUMNS][8 values of k]

// Eight values of k of a row: a step of the loop. Half of that would load and store every sum twice as often.
struct Eight { lower: vec4f, upper: vec4f }

fn load_column(at: u32, p: u32) {
  if (B_ROWS) {
    let K4 = dims.K / 4u;
    let block = transpose(mat4x4f(b_at(p), b_at(p + K4), b_at(p + 2u * K4), b_at(p + 3u * K4)));
    w[at] = block[0]; w[at + 1u] = block[1]; w[at + 2u] = block[2]; w[at + 3u] = block[3];
  } else {
    let N4 = dims.N / 4u;
    w[at] = b_at(p); w[at + 1u] = b_at(p + N4); w[at + 2u] = b_at(p + 2u * N4); w[at + 3u] = b_at(p + 3u * N4);
  }
}

fn load_columns_at(z: u32, k4: u32, j: u32, n4_in: u32) {
  let N4 = dims.N / 4u;
  let n4 = min(n4_in, N4 - 1u);
  let p = z * dims.b_z + select(k4 * 4u * N4 + n4, n4 * dims.K + k4, B_ROWS);
  load_column(8u * j, p);
  load_column(8u * j + 4u, p + select(4u * N4, 1u, B_ROWS));
}

fn load_columns(z: u32, k4: u32, n4: u32) {
  load_columns_at(z, k4, 0u, n4);
  if (COLUMNS > 1u) { load_columns_at(z, k4, 1u, n4 + STRIDE); }
  if (COLUMNS > 2u) { load_columns_at(z, k4, 2u, n4 + 2u * STRIDE); load_columns_at(z, k4, 3u, n4 + 3u * STRIDE); }
}

// a in rows: eight k of row m.
fn load_row(z: u32, k4: u32, m: u32) -> Eight {
  let p = z * dims.a_z + min(m, dims.M - 1u) * (dims.K / 4u) + k4;
  return Eight(vec4f(a[p]), vec4f(a[p + 1u]));
}

// a in columns: eight k of rows 4 m4 to 4 m4 + 3.
struct Block { lower: mat4x4f, upper: mat4x4f }

fn load_block(z: u32, k4: u32, m4: u32) -> Block {
  let M4 = dims.M / 4u;
  let p = z * dims.a_z + k4 * 4u * M4 + min(m4, M4 - 1u);
  let q = p + 4u * M4;
  return Block(
    transpose(mat4x4f(vec4f(a[p]), vec4f(a[p + M4]), vec4f(a[p + 2u * M4]), vec4f(a[p + 3u * M4]))),
    transpose(mat4x4f(vec4f(a[q]), vec4f(a[q + M4]), vec4f(a[q + 2u * M4]), vec4f(a[q + 3u * M4]))),
  );
}

fn add_column(row: u32, j: u32, v: Eight) {
  let at = 8u * j;
  sums[row * COLUMNS + j] += v.lower.x * w[at] + v.lower.y * w[at + 1u] + v.lower.z * w[at + 2u] + v.lower.w * w[at + 3u]
    + v.upper.x * w[at + 4u] + v.upper.y * w[at + 5u] + v.upper.z * w[at + 6u] + v.upper.w * w[at + 7u];
}

fn add_row(row: u32, v: Eight) {
  add_column(row, 0u, v);
  if (COLUMNS > 1u) { add_column(row, 1u, v); }
  if (COLUMNS > 2u) { add_column(row, 2u, v); add_column(row, 3u, v); }
}

// Row m, Elem n of out without its epilogue, (+ out).
fn put_bare(z: u32, m: u32, n4: u32, sum: vec4f) {
  let N4 = dims.N / 4u;
  if (m < dims.M && n4 < N4) {
    let at = z * dims.out_z + m * N4 + n4;
    if (ADD) { out[at] = OutElem(vec4f(out[at]) + sum); } else { out[at] = OutElem(sum); }
  }
}

fn put_row(z: u32, row: u32, m: u32, n4: u32) {
  put_bare(z, m, n4, sums[row * COLUMNS]);
  if (COLUMNS > 1u) { put_bare(z, m, n4 + STRIDE, sums[row * COLUMNS + 1u]); }
  if (COLUMNS > 2u) {
    put_bare(z, m, n4 + 2u * STRIDE, sums[row * COLUMNS + 2u]);
    put_bare(z, m, n4 + 3u * STRIDE, sums[row * COLUMNS + 3u]);
  }
}

// Eight rows that lie `step` apart from row m of out.
fn put_rows(z: u32, group: u32, m: u32, step: u32, n4: u32) {
  let row = 8u * group;
  put_row(z, row, m, n4); put_row(z, row + 1u, m + step, n4);
  put_row(z, row + 2u, m + 2u * step, n4); put_row(z, row + 3u, m + 3u * step, n4);
  put_row(z, row + 4u, m + 4u * step, n4); put_row(z, row + 5u, m + 5u * step, n4);
  put_row(z, row + 6u, m + 6u * step, n4); put_row(z, row + 7u, m + 7u * step, n4);
}

// The epilogue of the whole block, in a second pass over what put_bare wrote: in line, it would be there once for each vec4, and
// the time that a software adapter takes to compile grows with the square of the loads and stores in a shader.
fn finish(z: u32, m0: u32, n4: u32) {
  if (BIAS || RESIDUAL || GELU || SILU) {
    let end = min(m0 + 8u * GROUPS, dims.M);
    for (var m = m0; m < end; m++) {
      for (var j = 0u; j < min(COLUMNS, dims.N); j++) { // no constant bound: see above
        let n = n4 + j * STRIDE;
        let at = z * dims.out_z + m * (dims.N / 4u) + n;
        if (n * 4u < dims.N) { put(z, m, n, vec4f(out[at])); }
      }
    }
  }
}

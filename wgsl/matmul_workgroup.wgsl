// uses: gelu, matmul_io
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const A_ROWS = true; const B_ROWS = true; const SIDE = 16u;
// out[M,N] = a b for GPUs: a workgroup of SIDE x SIDE invocations computes a tile of 8 SIDE x 8 SIDE through workgroup memory,
// 16 of k at a time, 8 x 8 sums an invocation. The next slices come into registers while the present ones are multiplied.
// a is [M,K] if A_ROWS, else [K,M]; b is [N,K] if B_ROWS, else [K,N]. N and depth are multiples of 4, and M if a is [K,M].
const TILE4 = 2u * SIDE;              // vec4s along a side of the tile
const SLICE = 32u * SIDE;             // vec4s of an operand's slice
const COUNT = SLICE / (SIDE * SIDE);  // that an invocation loads
// An operand kept by rows lies here by rows of four vec4s of k and a fifth that stays empty: the eight invocations whose reads a
// GPU serves at once then fall into different banks. Row r lies at (r % 4) TILE4 + r / 4, so that an invocation's four rows do too.
const PITCH = 5u;
var<workgroup> slice_a: array<vec4f, PITCH * 4u * TILE4>;
var<workgroup> slice_b: array<vec4f, PITCH * 4u * TILE4>;

// vec4 i of an operand's slice from k on: of row 4 TILE4 tile + i / 4 if kept by rows, else of k + i / TILE4.
fn place(i: u32, rows: bool) -> u32 {
  let r = i / 4u;
  return select(i, ((r % 4u) * TILE4 + r / 4u) * PITCH + i % 4u, rows);
}

fn load_a(i: u32, k4: u32, group: vec3u) -> vec4f {
  if (A_ROWS) {
    let k = k4 + i % 4u;
    if (k * 4u >= dims.depth) { return vec4f(); }
    return vec4f(a[group.z * dims.a_z + min(group.y * 4u * TILE4 + i / 4u, dims.M - 1u) * (dims.K / 4u) + k]);
  }
  let k = k4 * 4u + i / TILE4;
  if (k >= dims.depth) { return vec4f(); }
  let M4 = dims.M / 4u;
  return vec4f(a[group.z * dims.a_z + k * M4 + min(group.y * TILE4 + i % TILE4, M4 - 1u)]);
}

fn load_b(i: u32, k4: u32, group: vec3u) -> vec4f {
  if (B_ROWS) {
    let k = k4 + i % 4u;
    if (k * 4u >= dims.depth) { return vec4f(); }
    return b_at(group.z * dims.b_z + min(group.x * 4u * TILE4 + i / 4u, dims.N - 1u) * (dims.K / 4u) + k);
  }
  let k = k4 * 4u + i / TILE4;
  if (k >= dims.depth) { return vec4f(); }
  let N4 = dims.N / 4u;
  return b_at(group.z * dims.b_z + k * N4 + min(group.x * TILE4 + i % TILE4, N4 - 1u));
}

// Four k of four rows (of a) or columns (of b): one vec4 for each k.
fn block_a(k4: u32, m4: u32) -> mat4x4f {
  if (A_ROWS) {
    let p = m4 * PITCH + k4;
    let q = TILE4 * PITCH;
    return transpose(mat4x4f(slice_a[p], slice_a[p + q], slice_a[p + 2u * q], slice_a[p + 3u * q]));
  }
  let p = 4u * k4 * TILE4 + m4;
  return mat4x4f(slice_a[p], slice_a[p + TILE4], slice_a[p + 2u * TILE4], slice_a[p + 3u * TILE4]);
}

fn block_b(k4: u32, n4: u32) -> mat4x4f {
  if (B_ROWS) {
    let p = n4 * PITCH + k4;
    let q = TILE4 * PITCH;
    return transpose(mat4x4f(slice_b[p], slice_b[p + q], slice_b[p + 2u * q], slice_b[p + 3u * q]));
  }
  let p = 4u * k4 * TILE4 + n4;
  return mat4x4f(slice_b[p], slice_b[p + TILE4], slice_b[p + 2u * TILE4], slice_b[p + 3u * TILE4]);
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  var next_a: array<vec4f, COUNT>;
  var next_b: array<vec4f, COUNT>;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  var t0 = vec4f(); var t1 = vec4f(); var t2 = vec4f(); var t3 = vec4f();
  var t4 = vec4f(); var t5 = vec4f(); var t6 = vec4f(); var t7 = vec4f();
  for (var j = 0u; j < COUNT; j++) {
    next_a[j] = load_a(index + j * SIDE * SIDE, 0u, group);
    next_b[j] = load_b(index + j * SIDE * SIDE, 0u, group);
  }
  let K4 = dims.depth / 4u;
  for (var k4 = 0u; k4 < K4; k4 += 4u) {
    for (var j = 0u; j < COUNT; j++) {
      slice_a[place(index + j * SIDE * SIDE, A_ROWS)] = next_a[j];
      slice_b[place(index + j * SIDE * SIDE, B_ROWS)] = next_b[j];
    }
    workgroupBarrier();
    if (k4 + 4u < K4) {
      for (var j = 0u; j < COUNT; j++) {
        next_a[j] = load_a(index + j * SIDE * SIDE, k4 + 4u, group);
        next_b[j] = load_b(index + j * SIDE * SIDE, k4 + 4u, group);
      }
    }
    for (var i = 0u; i < 4u; i++) {
      let lower = block_a(i, local.y);
      let upper = block_a(i, local.y + SIDE);
      let left = block_b(i, local.x);
      let right = block_b(i, local.x + SIDE);
      for (var k = 0u; k < 4u; k++) {
        let l = lower[k]; let u = upper[k];
        let v = left[k]; let w = right[k];
        s0 += l.x * v; t0 += l.x * w; s1 += l.y * v; t1 += l.y * w;
        s2 += l.z * v; t2 += l.z * w; s3 += l.w * v; t3 += l.w * w;
        s4 += u.x * v; t4 += u.x * w; s5 += u.y * v; t5 += u.y * w;
        s6 += u.z * v; t6 += u.z * w; s7 += u.w * v; t7 += u.w * w;
      }
    }
    workgroupBarrier();
  }
  let m = group.y * 4u * TILE4 + 4u * local.y;
  let h = m + 4u * SIDE;
  let n = group.x * TILE4 + local.x;
  let z = group.z;
  put(z, m, n, s0); put(z, m, n + SIDE, t0); put(z, m + 1u, n, s1); put(z, m + 1u, n + SIDE, t1);
  put(z, m + 2u, n, s2); put(z, m + 2u, n + SIDE, t2); put(z, m + 3u, n, s3); put(z, m + 3u, n + SIDE, t3);
  put(z, h, n, s4); put(z, h, n + SIDE, t4); put(z, h + 1u, n, s5); put(z, h + 1u, n + SIDE, t5);
  put(z, h + 2u, n, s6); put(z, h + 2u, n + SIDE, t6); put(z, h + 3u, n, s7); put(z, h + 3u, n + SIDE, t7);
}

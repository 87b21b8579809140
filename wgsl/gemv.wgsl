// uses: gelu, matmul_io
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); } const ROWS = 1u;
// out[M,N] = a[M,K] b[N,K]^T for at most ROWS rows of a, as in decoding, where reading the weights is all the time there is. A workgroup
// streams four rows of b side by side, each invocation every 64th vec4 of them, and adds up its invocations' shares as a tree.
// N and depth are multiples of 4; ROWS is 1, 2, 4 or 8.
const SIZE = 64u;
var<workgroup> shares: array<vec4f, SIZE * ROWS>; // [invocation][row of a], four columns of out each

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let K4 = dims.K / 4u;
  let b0 = group.z * dims.b_z + group.x * dims.K;
  let a0 = group.z * dims.a_z;
  var sums: array<vec4f, ROWS>;
  for (var k = lane; k < dims.depth / 4u; k += SIZE) {
    let w = transpose(mat4x4f(b_at(b0 + k), b_at(b0 + K4 + k), b_at(b0 + 2u * K4 + k), b_at(b0 + 3u * K4 + k)));
    for (var m = 0u; m < ROWS; m++) { sums[m] += w * vec4f(a[a0 + min(m, dims.M - 1u) * K4 + k]); }
  }
  for (var m = 0u; m < ROWS; m++) { shares[lane * ROWS + m] = sums[m]; }
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      for (var m = 0u; m < ROWS; m++) { shares[lane * ROWS + m] += shares[(lane + half) * ROWS + m]; }
    }
    workgroupBarrier();
  }
  if (lane < ROWS) { put(group.z, lane, group.x, shares[lane]); }
}

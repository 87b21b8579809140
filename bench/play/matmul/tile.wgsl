// out[M,N] = a[M,K] b[N,K]^T: 16 x 16 tiles of both operands in workgroup memory, so that each is read 16 times less
// often. The textbook rung for GPUs; a software adapter pays for every barrier instead.
struct Dims { M: u32, N: u32, K: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
// Rows are 17 wide: neighbouring invocations read a column, and 16 would put it into one memory bank.
var<workgroup> tile_a: array<array<f32, 17>, 16>;
var<workgroup> tile_b: array<array<f32, 17>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let m = group.y * 16u + local.y;
  let n = group.x * 16u + local.x;
  let n_loaded = group.x * 16u + local.y;
  var sum = 0.0;
  for (var k0 = 0u; k0 < dims.K; k0 += 16u) {
    let k = k0 + local.x;
    var from_a = 0.0;
    var from_b = 0.0;
    if (m < dims.M && k < dims.K) { from_a = a[m * dims.K + k]; }
    if (n_loaded < dims.N && k < dims.K) { from_b = b[n_loaded * dims.K + k]; }
    tile_a[local.y][local.x] = from_a;
    tile_b[local.y][local.x] = from_b;
    workgroupBarrier();
    for (var i = 0u; i < 16u; i++) { sum += tile_a[local.y][i] * tile_b[local.x][i]; }
    workgroupBarrier();
  }
  if (m < dims.M && n < dims.N) { out[m * dims.N + n] = sum; }
}

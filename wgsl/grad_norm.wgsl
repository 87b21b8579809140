// uses: grid
// The global gradient norm in a fixed order: each workgroup sums the squares of 4096 elements of a flat page into
// partials[first + group]; `finish` adds all partials of all pages: norm[0] = sqrt(sum), norm[1] = clip factor.
struct Dims { N: u32, first: u32, count: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;      // a gradient page; in `finish` the partials
@group(0) @binding(2) var<storage, read> hyper: array<f32>;  // [8], the last is the largest norm allowed
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
var<workgroup> sums: array<f32, 256>;

fn tree(lane: u32) {
  for (var half = 128u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
}

@compute @workgroup_size(256)
fn squares(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let which = flat_group(group, groups);
  var sum = 0.0;
  for (var i = which * 4096u + lane; i < min(dims.N, (which + 1u) * 4096u); i += 256u) { sum += x[i] * x[i]; }
  sums[lane] = sum;
  tree(lane);
  if (lane == 0u && which < dims.count) { out[dims.first + which] = sums[0]; }
}

@compute @workgroup_size(256)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < dims.N; i += 256u) { sum += x[i]; }
  sums[lane] = sum;
  tree(lane);
  if (lane == 0u) {
    let norm = sqrt(sums[0]);
    out[0] = norm;
    out[1] = min(1.0, hyper[7] / (norm + 1e-6));
  }
}

// uses: grid
// The global gradient norm in a fixed order: each workgroup sums the squares of 4096 vec4s of a flat page into
// partials[first + group]; `finish` adds all partials of all pages: norm[0] = sqrt(sum), norm[1] = clip factor.
struct Dims { N: u32, first: u32, count: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;    // `squares`: N vec4s of a gradient page
@group(0) @binding(2) var<storage, read> hyper: array<f32>;  // [8], the last is the largest norm allowed
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<storage, read> partials: array<f32>; // `finish`: [N]
var<workgroup> sums: array<f32, 64>;

fn tree(lane: u32) {
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
}

@compute @workgroup_size(64)
fn squares(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let which = flat_group(group, groups);
  let end = min(dims.N, (which + 1u) * 4096u);
  var a = vec4f();
  for (var i = which * 4096u + lane; i < end; i += 64u) {
    let p = x[i];
    a += p * p;
  }
  sums[lane] = (a.x + a.y) + (a.z + a.w);
  tree(lane);
  if (lane == 0u && which < dims.count) { out[dims.first + which] = sums[0]; }
}

@compute @workgroup_size(64)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var sum = 0.0;
  for (var i = lane; i < dims.N; i += 64u) { sum += partials[i]; }
  sums[lane] = sum;
  tree(lane);
  if (lane == 0u) {
    let norm = sqrt(sums[0]);
    out[0] = norm;
    out[1] = min(1.0, hyper[7] / (norm + 1e-6));
  }
}

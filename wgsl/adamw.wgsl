// uses: grid
// AdamW (Loshchilov & Hutter 2019) over a flat page, epsilon added after the bias correction as PyTorch does.
// Reads the clip factor that the norm left on the GPU, and zeroes the gradient for the next accumulation.
// hyper = lr, beta1, beta2, eps, weight decay, 1 - beta1^t, 1 - beta2^t, largest norm.
struct Dims { N: u32, decay: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> hyper: array<f32>;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<f32>;
@group(0) @binding(4) var<storage, read_write> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> m: array<f32>;
@group(0) @binding(6) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let grad = g[i] * norm[1];
  g[i] = 0.0;
  let first = hyper[1] * m[i] + (1.0 - hyper[1]) * grad;
  let second = hyper[2] * v[i] + (1.0 - hyper[2]) * grad * grad;
  m[i] = first;
  v[i] = second;
  var weight = w[i];
  if (dims.decay == 1u) { weight -= hyper[0] * hyper[4] * weight; }
  w[i] = weight - hyper[0] * (first / hyper[5]) / (sqrt(second / hyper[6]) + hyper[3]);
}

// uses: grid
// Turns a chunk of logits into their gradient in place: dz = g (onehot(target) - softmax(z)), softmax from the row's lse.
struct Dims { N: u32, W: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> aux: array<f32>; // [3,N], lse first
@group(0) @binding(3) var<storage, read> d_logprob: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N * dims.W) { return; }
  let n = i / dims.W;
  let hit = select(0.0, 1.0, targets[n] == dims.first + i % dims.W);
  logits[i] = d_logprob[n] * (hit - exp(logits[i] - aux[n]));
}

// uses: elem1, grid
// Turns a chunk of logits into their gradient in place: dz = g (onehot(target) - softmax(z)), softmax from the row's lse. A
// workgroup a row, so that what belongs to the row is read once by each invocation.
struct Dims { N: u32, W: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> aux: array<f32>; // [3,N], lse first
@group(0) @binding(3) var<storage, read> d_logprob: array<f32>;
@group(0) @binding(4) var<storage, read_write> logits: array<Elem>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups);
  if (n >= dims.N) { return; }
  let width = dims.W / LANES;
  let g = d_logprob[n];
  let lse = aux[n];
  let hit = targets[n] - dims.first; // wraps around to a large number for tokens of earlier chunks
  for (var w = lane; w < width; w += 64u) {
    let i = n * width + w;
    logits[i] = g * (onehot(hit - w * LANES) - exp(logits[i] - Elem(lse)));
  }
}

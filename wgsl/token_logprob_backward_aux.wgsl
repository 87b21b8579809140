// uses: elem1, grid
// As token_logprob_backward.wgsl, where the loss depends on logsumexp and entropy as well: with p = e^(z - lse) and H the entropy,
// dz = g (onehot(target) - p) + gL p - gH p (z - lse + H). The last row of d_aux is that of a step function: it counts for nothing.
struct Dims { N: u32, W: u32, first: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> aux: array<f32>; // [3,N] lse, entropy
@group(0) @binding(3) var<storage, read> d_logprob: array<f32>;
@group(0) @binding(4) var<storage, read> d_aux: array<f32>; // [3,N]
@group(0) @binding(5) var<storage, read_write> logits: array<Elem>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = flat_group(group, groups);
  if (n >= dims.N) { return; }
  let width = dims.W / LANES;
  let g = d_logprob[n];
  let lse = aux[n];
  let entropy = aux[dims.N + n];
  let g_lse = d_aux[n];
  let g_entropy = d_aux[dims.N + n];
  let hit = targets[n] - dims.first; // wraps around to a large number for tokens of earlier chunks
  for (var w = lane; w < width; w += 64u) {
    let i = n * width + w;
    let log_p = logits[i] - Elem(lse);
    logits[i] = g * onehot(hit - w * LANES) + exp(log_p) * (Elem(g_lse - g) - g_entropy * (log_p + Elem(entropy)));
  }
}

// From the running statistics of a row: log-probability of its target, logsumexp, entropy = lse - sum p z, and whether
// the target is the most likely token. aux[3,N] = lse, entropy, correct (1 or 0).
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> stats: array<vec4f>;
@group(0) @binding(2) var<storage, read> best: array<u32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(0) @binding(4) var<storage, read_write> logprob: array<f32>;
@group(0) @binding(5) var<storage, read_write> aux: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x;
  if (n >= dims.N) { return; }
  let s = stats[n];
  let lse = s.x + log(s.y);
  logprob[n] = s.z - lse;
  aux[n] = lse;
  aux[dims.N + n] = lse - s.w / s.y;
  aux[2u * dims.N + n] = select(0.0, 1.0, best[n] == targets[n]);
}

// uses: grid
// Writes keys or values x[B,T,W] into a cache [B,S,W] at positions[b*T + t].
struct Dims { B: u32, T: u32, W: u32, S: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read_write> cache: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.B * dims.T * dims.W) { return; }
  let n = i / dims.W;
  let position = positions[n];
  if (position >= dims.S) { return; }
  cache[((n / dims.T) * dims.S + position) * dims.W + i % dims.W] = x[i];
}

// uses: grid
// Writes the key and value heads of qkv [B,T,H+2G,D] into caches [B,S,G,D] at positions[b*T + t].
struct Dims { B: u32, T: u32, S: u32, H: u32, G: u32, D: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read_write> keys: array<f32>;
@group(0) @binding(4) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  let width = dims.G * dims.D;
  if (i >= dims.B * dims.T * width * 2u) { return; }
  let n = i / (2u * width);
  let position = positions[n];
  if (position >= dims.S) { return; }
  let at = i % (2u * width); // keys, then values
  let x = qkv[n * (dims.H + 2u * dims.G) * dims.D + dims.H * dims.D + at];
  let row = ((n / dims.T) * dims.S + position) * width;
  if (at < width) { keys[row + at] = x; } else { values[row + at - width] = x; }
}

// uses: grid
// Copies whole pages of a key/value cache: a sequence goes on by itself behind a prompt that it shares with others.
const PAGE = 16u;
struct Dims { count: u32, W4: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> pairs: array<vec2u>;   // [count] from, to; equal: nothing to do
@group(0) @binding(2) var<storage, read_write> keys: array<vec4f>; // [pages,16,W]
@group(0) @binding(3) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  let size = PAGE * dims.W4;
  if (i >= dims.count * size) { return; }
  let pair = pairs[i / size];
  if (pair.x == pair.y) { return; }
  keys[pair.y * size + i % size] = keys[pair.x * size + i % size];
  values[pair.y * size + i % size] = values[pair.x * size + i % size];
}

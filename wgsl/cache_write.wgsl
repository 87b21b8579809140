// uses: grid
// Writes the key and value heads of qkv [N,H+2G,D] into the pages of each row's sequence: token `position` lies in row
// position % 16 of page tables[slot, position / 16].
const PAGE = 16u;
struct Dims { N: u32, M: u32, H: u32, G: u32, D4: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> tables: array<u32>;    // [slots,M] pages of a sequence
@group(0) @binding(3) var<storage, read> slots: array<u32>;     // [N] the sequence of a row
@group(0) @binding(4) var<storage, read> positions: array<u32>; // [N] and its place in it
@group(0) @binding(5) var<storage, read_write> keys: array<vec4f>; // [pages,16,G,D]
@group(0) @binding(6) var<storage, read_write> values: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  let width = dims.G * dims.D4;
  if (i >= dims.N * width) { return; }
  let n = i / width;
  let position = positions[n];
  if (position >= dims.M * PAGE) { return; }
  let source = n * (dims.H + 2u * dims.G) * dims.D4 + dims.H * dims.D4 + i % width;
  let to = (tables[slots[n] * dims.M + position / PAGE] * PAGE + position % PAGE) * width + i % width;
  keys[to] = qkv[source];
  values[to] = qkv[source + width];
}

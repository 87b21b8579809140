// uses: grid
// f32 to f16 and back, as pairs in words: pack2x16float is core WGSL, so adapters without shader-f16 take it too. What lies
// beyond the largest half number is cut to it, because packing it gives anything. N words; one invocation does two of
// them where rows allow vec4 loads, else one, whose second half may lie behind the end of an odd count.
struct Dims { N: u32, elements: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> wide: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> halves: array<vec2u>;
@group(0) @binding(1) var<storage, read> packed: array<vec2u>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(1) var<storage, read> wide1: array<f32>;
@group(0) @binding(2) var<storage, read_write> halves1: array<u32>;
@group(0) @binding(1) var<storage, read> packed1: array<u32>;
@group(0) @binding(2) var<storage, read_write> out1: array<f32>;
const LARGEST = 65504.0;

@compute @workgroup_size(64)
fn narrow(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let x = clamp(wide[i], vec4f(-LARGEST), vec4f(LARGEST));
  halves[i] = vec2u(pack2x16float(x.xy), pack2x16float(x.zw));
}

@compute @workgroup_size(64)
fn widen(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let pair = packed[i];
  out[i] = vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y));
}

@compute @workgroup_size(64)
fn narrow_word(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  var x = vec2f(wide1[2u * i], 0.0);
  if (2u * i + 1u < dims.elements) { x.y = wide1[2u * i + 1u]; }
  halves1[i] = pack2x16float(clamp(x, vec2f(-LARGEST), vec2f(LARGEST)));
}

@compute @workgroup_size(64)
fn widen_word(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  let x = unpack2x16float(packed1[i]);
  out1[2u * i] = x.x;
  if (2u * i + 1u < dims.elements) { out1[2u * i + 1u] = x.y; }
}

// uses: grid, sigmoid
// y = silu(gate) * up, silu(z) = z sigmoid(z) (Shazeer, "GLU Variants Improve Transformer", 2020).
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> up: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  if (i >= dims.N) { return; }
  y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

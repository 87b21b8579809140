// uses: elem1, grid
// header: const HELD = 4u;
// norm.wgsl with a subgroup a row: each invocation holds HELD Elems of the row in registers, so that x is read once, and sums go
// over the subgroup without a barrier. ROWS rows one after the other share what was read of gain and bias.
struct Dims { N: u32, C: u32, eps: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> gain: array<Elem>;
@group(0) @binding(3) var<storage, read> bias: array<Elem>;
@group(0) @binding(4) var<storage, read_write> y: array<Elem>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>; // [N] of (mean, inv)
override SIZE: u32 = 64u;
override ROWS: u32 = 4u;
override CENTER: bool = false;

@compute @workgroup_size(SIZE)
fn forward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) me: u32,
) {
  let width = dims.C / LANES;
  let first = (flat_group(group, groups) * (SIZE / size) + lane / size) * ROWS;
  var gains: array<Elem, HELD>;
  var biases: array<Elem, HELD>;
  for (var k = 0u; k < HELD; k++) {
    let c = k * size + me;
    if (c < width) {
      gains[k] = gain[c];
      if (CENTER) { biases[k] = bias[c]; }
    }
  }
  // Every invocation goes through every sum, also for rows that do not exist.
  for (var r = 0u; r < ROWS; r++) {
    let n = min(first + r, dims.N - 1u);
    var held: array<Elem, HELD>;
    var mean = 0.0;
    var sum = Elem(0.0);
    for (var k = 0u; k < HELD; k++) {
      let c = k * size + me;
      held[k] = Elem(0.0);
      if (c < width) { held[k] = x[n * width + c]; }
      sum += held[k];
    }
    if (CENTER) { mean = subgroupAdd(across(sum)) / f32(dims.C); }
    var squares = Elem(0.0);
    for (var k = 0u; k < HELD; k++) {
      let away = held[k] - Elem(mean);
      if (k * size + me < width) { squares += away * away; }
    }
    let inv = 1.0 / sqrt(subgroupAdd(across(squares)) / f32(dims.C) + dims.eps);
    if (first + r < dims.N) {
      if (me == 0u) { stats[n] = vec2f(mean, inv); }
      for (var k = 0u; k < HELD; k++) {
        let c = k * size + me;
        if (c < width) { y[n * width + c] = (held[k] - Elem(mean)) * inv * gains[k] + biases[k]; }
      }
    }
  }
}

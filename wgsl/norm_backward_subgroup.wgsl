// uses: elem1, grid
// header: const HELD = 4u;
// norm_backward.wgsl with a subgroup a row: each invocation holds HELD Elems of x and dy in registers, so that both are read
// once, and the sums of its columns over ROWS rows, which are the parts of the gradients of gain and bias.
struct Dims { N: u32, C: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> gain: array<Elem>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>; // [N] of (mean, inv)
@group(0) @binding(4) var<storage, read> dy: array<Elem>;
@group(0) @binding(5) var<storage, read_write> dx: array<Elem>;
@group(0) @binding(6) var<storage, read_write> parts: array<Elem>; // [N / ROWS, 2, C], with CENTER; else [N / ROWS, C]
override SIZE: u32 = 64u;
override ROWS: u32 = 16u;
override CENTER: bool = false;
override ADD: bool = false; // dx holds a gradient to add to
override PARTS: bool = true; // whether gain and bias are trained

@compute @workgroup_size(SIZE)
fn backward(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) me: u32,
) {
  let width = dims.C / LANES;
  let which = flat_group(group, groups) * (SIZE / size) + lane / size;
  let first = which * ROWS;
  var gains: array<Elem, HELD>;
  var d_gain: array<Elem, HELD>;
  var d_bias: array<Elem, HELD>;
  for (var k = 0u; k < HELD; k++) {
    gains[k] = Elem(0.0);
    d_gain[k] = Elem(0.0);
    d_bias[k] = Elem(0.0);
    if (k * size + me < width) { gains[k] = gain[k * size + me]; }
  }
  // Every invocation goes through every sum, also for rows that do not exist.
  for (var r = 0u; r < ROWS; r++) {
    let n = min(first + r, dims.N - 1u);
    let there = first + r < dims.N;
    let s = stats[n];
    var ups: array<Elem, HELD>;
    var hs: array<Elem, HELD>;
    var plain = Elem(0.0);
    var along = Elem(0.0);
    for (var k = 0u; k < HELD; k++) {
      let c = k * size + me;
      ups[k] = Elem(0.0);
      hs[k] = Elem(0.0);
      if (c < width && there) {
        ups[k] = dy[n * width + c];
        hs[k] = (x[n * width + c] - Elem(s.x)) * s.y;
      }
      plain += ups[k] * gains[k];
      along += ups[k] * gains[k] * hs[k];
    }
    var mean = 0.0;
    if (CENTER) { mean = subgroupAdd(across(plain)) / f32(dims.C); }
    let tilt = subgroupAdd(across(along)) / f32(dims.C);
    for (var k = 0u; k < HELD; k++) {
      let c = k * size + me;
      if (c < width && there) {
        let i = n * width + c;
        var value = s.y * (ups[k] * gains[k] - Elem(mean) - hs[k] * tilt);
        if (ADD) { value += dx[i]; }
        dx[i] = value;
      }
      d_gain[k] += ups[k] * hs[k];
      d_bias[k] += ups[k];
    }
  }
  if (!PARTS || first >= dims.N) { return; }
  for (var k = 0u; k < HELD; k++) {
    let c = k * size + me;
    if (c < width) {
      if (CENTER) {
        parts[2u * which * width + c] = d_gain[k];
        parts[(2u * which + 1u) * width + c] = d_bias[k];
      } else {
        parts[which * width + c] = d_gain[k];
      }
    }
  }
}

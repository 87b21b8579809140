// uses: elem1, grid
// With h = (x - mean) inv and g = dy gain: dx = inv (g - mean(g) - h mean(g h)), without CENTER dx = inv (g - h mean(g h));
// d_gain = sum of dy h, d_bias = sum of dy over all rows: parts[s] holds both sums over the rows of workgroup s. TEAM
// invocations find the two means of a row, SIZE / TEAM rows a workgroup; then all of them go along the columns.
struct Dims { N: u32, C: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> gain: array<Elem>;
@group(0) @binding(3) var<storage, read> stats: array<vec2f>; // [N] of (mean, inv)
@group(0) @binding(4) var<storage, read> dy: array<Elem>;
@group(0) @binding(5) var<storage, read_write> dx: array<Elem>;
@group(0) @binding(6) var<storage, read_write> parts: array<Elem>; // [S, 2, C], with CENTER; else [S, C]
override SIZE: u32 = 256u;
override TEAM: u32 = 16u;
override CENTER: bool = false;
override ADD: bool = false; // dx holds a gradient to add to
override PARTS: bool = true; // whether gain and bias are trained
var<workgroup> sums: array<vec2f, SIZE>;
var<workgroup> row_stats: array<vec4f, SIZE>; // (mean, inv, mean of g, mean of g h) of the first SIZE / TEAM rows

@compute @workgroup_size(SIZE)
fn backward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = SIZE / TEAM;
  let which = flat_group(group, groups);
  let first = which * count;
  let width = dims.C / LANES;
  let n = min(first + lane / TEAM, dims.N - 1u);
  let s = stats[n];
  var plain = Elem(0.0);
  var along = Elem(0.0);
  for (var c = lane % TEAM; c < width; c += TEAM) {
    let g = dy[n * width + c] * gain[c];
    plain += g;
    along += g * (x[n * width + c] - Elem(s.x));
  }
  var means = vec2f(across(plain), across(along) * s.y);
  if (TEAM > 1u) {
    sums[lane] = means;
    for (var half = TEAM / 2u; half > 0u; half /= 2u) {
      workgroupBarrier();
      if (lane % TEAM < half) { sums[lane] += sums[lane + half]; }
    }
    means = sums[lane];
  }
  if (lane % TEAM == 0u) {
    means /= f32(dims.C);
    if (!CENTER) { means.x = 0.0; }
    row_stats[lane / TEAM] = vec4f(s, means);
  }
  workgroupBarrier();
  if (first >= dims.N) { return; }
  let rows = min(count, dims.N - first);
  for (var c = lane; c < width; c += SIZE) {
    let scale = gain[c];
    var d_gain = Elem(0.0);
    var d_bias = Elem(0.0);
    for (var r = 0u; r < rows; r++) {
      let i = (first + r) * width + c;
      let s = row_stats[r];
      let up = dy[i];
      let h = (x[i] - Elem(s.x)) * s.y;
      var value = s.y * (up * scale - Elem(s.z) - h * s.w);
      if (ADD) { value += dx[i]; }
      dx[i] = value;
      d_gain += up * h;
      d_bias += up;
    }
    if (PARTS) {
      if (CENTER) {
        parts[2u * which * width + c] = d_gain;
        parts[(2u * which + 1u) * width + c] = d_bias;
      } else {
        parts[which * width + c] = d_gain;
      }
    }
  }
}

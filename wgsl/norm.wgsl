// uses: elem1, grid
// y = (x - mean) inv gain + bias, inv = 1 / sqrt(mean((x - mean)^2) + eps) (LayerNorm, Ba et al. 2016). Without CENTER the
// mean and the bias are 0 (RMSNorm, Zhang & Sennrich 2019). TEAM invocations find the statistics of a row, SIZE / TEAM rows a
// workgroup; then all of them go along the columns, so that gain and bias are read once for all of these rows.
struct Dims { N: u32, C: u32, eps: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read> gain: array<Elem>;
@group(0) @binding(3) var<storage, read> bias: array<Elem>;
@group(0) @binding(4) var<storage, read_write> y: array<Elem>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>; // [N] of (mean, inv), kept for the backward pass
override SIZE: u32 = 64u;
override TEAM: u32 = 64u;
override CENTER: bool = false;
var<workgroup> sums: array<f32, SIZE>;
var<workgroup> row_stats: array<vec2f, SIZE>; // of the first SIZE / TEAM rows

// The sum over a team, in a fixed order, for all of its members.
fn team_sum(lane: u32, value: f32) -> f32 {
  if (TEAM == 1u) { return value; }
  workgroupBarrier();
  sums[lane] = value;
  for (var half = TEAM / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % TEAM < half) { sums[lane] += sums[lane + half]; }
  }
  workgroupBarrier();
  return sums[lane - lane % TEAM];
}

@compute @workgroup_size(SIZE)
fn forward(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let count = SIZE / TEAM;
  let first = flat_group(group, groups) * count;
  let width = dims.C / LANES;
  let n = min(first + lane / TEAM, dims.N - 1u);
  var mean = 0.0;
  if (CENTER) {
    var sum = Elem(0.0);
    for (var c = lane % TEAM; c < width; c += TEAM) { sum += x[n * width + c]; }
    mean = team_sum(lane, across(sum)) / f32(dims.C);
  }
  var squares = Elem(0.0);
  for (var c = lane % TEAM; c < width; c += TEAM) {
    let away = x[n * width + c] - Elem(mean);
    squares += away * away;
  }
  let inv = 1.0 / sqrt(team_sum(lane, across(squares)) / f32(dims.C) + dims.eps);
  if (lane % TEAM == 0u) {
    row_stats[lane / TEAM] = vec2f(mean, inv);
    if (first + lane / TEAM < dims.N) { stats[n] = vec2f(mean, inv); }
  }
  workgroupBarrier();
  if (first >= dims.N) { return; }
  let rows = min(count, dims.N - first);
  for (var c = lane; c < width; c += SIZE) {
    let g = gain[c];
    var b = Elem(0.0);
    if (CENTER) { b = bias[c]; }
    for (var r = 0u; r < rows; r++) {
      let i = (first + r) * width + c;
      let s = row_stats[r];
      y[i] = (x[i] - Elem(s.x)) * s.y * g + b;
    }
  }
}

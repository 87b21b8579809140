// uses: grid, codes8
// AdamW as in adamw.wgsl with both moments in 8 bits (Dettmers et al. 2022): blocks of 256 elements of the flat page, each
// moment coded as shares of its block's largest, which is kept in f32: 2 bytes and 1/32 a parameter instead of 8. A step
// decodes, updates in f32, moves the weights by what it has before rounding, and codes again: same bits every time.
// Difference to the paper: a second moment above 0 never becomes 0, where a first moment that stayed would be divided by
// eps alone.
struct Dims { N: u32, decay: u32 }
struct Hyper { step: vec4f, rest: vec4f }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> hyper: Hyper;
@group(0) @binding(2) var<storage, read> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> g: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> codes: array<vec2u>;  // of 4 elements: 4 first moments, 4 second
@group(0) @binding(6) var<storage, read_write> scales: array<vec2f>; // of a block: largest first and second moment
var<workgroup> largest: array<vec2f, 64>;

fn first_of(word: u32) -> vec4f {
  return vec4f(
    signed_value(word & 255u), signed_value((word >> 8u) & 255u), signed_value((word >> 16u) & 255u), signed_value(word >> 24u),
  );
}

fn second_of(word: u32) -> vec4f {
  return vec4f(
    code_value(word & 255u, 8u), code_value((word >> 8u) & 255u, 8u), code_value((word >> 16u) & 255u, 8u),
    code_value(word >> 24u, 8u),
  );
}

fn positive_code(x: f32) -> u32 {
  return max(nearest_code(x, 8u), select(0u, 1u, x > 0.0));
}

// One workgroup a block, four elements a thread. All threads stay for the barriers; those behind the end hold zeros.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = flat_group(group, groups);
  let i = block * 64u + lane;
  let live = i < dims.N;
  var mean = vec4f();
  var square = vec4f();
  if (live) {
    let step = hyper.step;
    let rest = hyper.rest;
    let word = codes[i];
    let scale = scales[block];
    let grad = g[i] * norm[1];
    g[i] = vec4f();
    mean = step.y * scale.x * first_of(word.x) + (1.0 - step.y) * grad;
    square = step.z * scale.y * second_of(word.y) + (1.0 - step.z) * grad * grad;
    let keep = 1.0 - select(0.0, step.x * rest.x, dims.decay == 1u);
    w[i] = w[i] * keep - step.x / rest.y * mean / (sqrt(square) * inverseSqrt(rest.z) + step.w);
  }
  let size = abs(mean);
  largest[lane] = vec2f(
    max(max(size.x, size.y), max(size.z, size.w)),
    max(max(square.x, square.y), max(square.z, square.w)),
  );
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { largest[lane] = max(largest[lane], largest[lane + half]); }
  }
  workgroupBarrier();
  let top = largest[0];
  if (!live) { return; }
  // Below the smallest normal number there is nothing to share out.
  let share = vec2f(select(0.0, 1.0 / top.x, top.x > 1e-30), select(0.0, 1.0 / top.y, top.y > 1e-30));
  let p = mean * share.x;
  let q = square * share.y;
  codes[i] = vec2u(
    nearest_signed(p.x) | (nearest_signed(p.y) << 8u) | (nearest_signed(p.z) << 16u) | (nearest_signed(p.w) << 24u),
    positive_code(q.x) | (positive_code(q.y) << 8u) | (positive_code(q.z) << 16u) | (positive_code(q.w) << 24u),
  );
  if (lane == 0u) { scales[block] = top; }
}

// uses: elem1
// Column sums of x[N,C] in a fixed order: out[s,c] (+)= the sum over rows s * R .. (s + 1) * R. COLUMNS columns a workgroup; each
// of its SEGMENTS takes every SEGMENTS-th row, and the first adds up what the others found.
struct Dims { N: u32, C: u32, R: u32 } // C in Elems
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> x: array<Elem>;
@group(0) @binding(2) var<storage, read_write> out: array<Elem>;
override COLUMNS: u32 = 8u;
override SEGMENTS: u32 = 8u;
override ADD: bool = false;
var<workgroup> sums: array<Elem, COLUMNS * SEGMENTS>;

@compute @workgroup_size(COLUMNS, SEGMENTS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let c = group.x * COLUMNS + local.x;
  let end = min((group.y + 1u) * dims.R, dims.N);
  var sum = Elem(0.0);
  if (c < dims.C) {
    for (var n = group.y * dims.R + local.y; n < end; n += SEGMENTS) { sum += x[n * dims.C + c]; }
  }
  sums[local.y * COLUMNS + local.x] = sum;
  workgroupBarrier();
  if (local.y > 0u || c >= dims.C) { return; }
  for (var s = 1u; s < SEGMENTS; s++) { sum += sums[s * COLUMNS + local.x]; }
  let i = group.y * dims.C + c;
  if (ADD) { sum += out[i]; }
  out[i] = sum;
}

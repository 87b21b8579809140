// uses: gelu
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); }
// What the kernels of the matmul family share: bindings, and the epilogue of out[M,N] = a b. Elem is f32 or vec4f and SPAN its
// width; AElem, BElem, OutElem are the same in f32 or f16. A workgroup's z is one product of a batch, or one slice of K: it lies
// a_z, b_z and out_z Elems behind the one before, and sums `depth` terms.
// The header also says how Elem p of b is read (b_at): as it is, or out of packed integers.
struct Dims { M: u32, N: u32, K: u32, depth: u32, a_z: u32, b_z: u32, out_z: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> a: array<AElem>;
@group(0) @binding(2) var<storage, read> b: array<BElem>;
@group(0) @binding(3) var<storage, read> bias: array<Elem>;
@group(0) @binding(4) var<storage, read> residual: array<OutElem>;
@group(0) @binding(5) var<storage, read_write> out: array<OutElem>;
// Constants and not dims: a software adapter runs both sides of a branch.
override ADD: bool = false;
override BIAS: bool = false;
override RESIDUAL: bool = false;
override GELU: bool = false;
override SILU: bool = false;

// Row m, Elem n of it: (+ bias), kept for the backward pass if the header says so, activated, (+ residual), (+ out).
fn put(z: u32, m: u32, n: u32, sum_in: Elem) {
  let width = dims.N / SPAN;
  if (m >= dims.M || n >= width) { return; }
  var sum = sum_in;
  let at = z * dims.out_z + m * width + n;
  if (BIAS) { sum += bias[n]; }
  keep(at, sum);
  if (GELU) { sum = gelu(sum); }
  if (SILU) { sum = silu(sum); }
  if (RESIDUAL) { sum += Elem(residual[at]); }
  if (ADD) { sum += Elem(out[at]); }
  out[at] = OutElem(sum);
}

// The exponent is never positive: WGSL may assume that no infinities occur, so exp must not overflow to one.
fn silu(x: Elem) -> Elem {
  let e = exp(-abs(x));
  return x * select(e, Elem(1.0), x >= Elem(0.0)) / (1.0 + e);
}

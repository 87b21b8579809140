// uses: gelu, matmul_io
// header: alias Elem = vec4f; alias AElem = vec4f; alias BElem = vec4f; alias OutElem = vec4f; const SPAN = 4u; fn keep(at: u32, z: Elem) {} fn b_at(p: u32) -> Elem { return Elem(b[p]); }
// The end of a matmul whose K was split: adds the `depth` partial products in a, each [M,N], in order, so that the bits do not
// depend on which slice was done first.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let width = dims.N / SPAN;
  if (id.x >= width) { return; }
  var sum = Elem(0.0);
  for (var slice = 0u; slice < dims.depth; slice++) { sum += a[slice * dims.a_z + id.y * width + id.x]; }
  put(0u, id.y, id.x, sum);
}

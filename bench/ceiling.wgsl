// The two ceilings of an adapter: multiply-adds that touch no memory, and a copy that computes nothing.
struct Dims { N: u32, iterations: u32, factor: f32, addend: f32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;

// 128 FLOPs a round. Two vec4 chains keep two eight-wide pipes busy and still fit the sixteen registers of a CPU; a GPU
// hides the latency of a chain by its many invocations. Factor and addend are inputs, so nothing can be folded.
@compute @workgroup_size(64)
fn multiply_add(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= dims.N) { return; }
  let f = vec4f(dims.factor);
  let a = vec4f(dims.addend);
  var x = source[0];
  var y = source[1];
  for (var i = 0u; i < dims.iterations; i++) {
    x = x * f + a; y = y * f + a; x = x * f + a; y = y * f + a;
    x = x * f + a; y = y * f + a; x = x * f + a; y = y * f + a;
    x = x * f + a; y = y * f + a; x = x * f + a; y = y * f + a;
    x = x * f + a; y = y * f + a; x = x * f + a; y = y * f + a;
  }
  out[id.x] = x + y;
}

@compute @workgroup_size(64)
fn copy(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < dims.N) { out[id.x] = source[id.x]; }
}

// uses: elem1
// Sorts tokens by id, equal ones by place: sorted[p] = (token, id). Each invocation finds the places of four tokens, by counting
// those that come before.
struct Dims { N: u32 }
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> ids: array<Ids>;
@group(0) @binding(2) var<storage, read> each: array<u32>; // the same memory: Ids have no address of their parts
@group(0) @binding(3) var<storage, read_write> sorted: array<vec2u>;

fn before(them: Ids, places: Ids, mine: u32, place: u32) -> Ids {
  return select(Ids(0u), Ids(1u), (them < Ids(mine)) | ((them == Ids(mine)) & (places < Ids(place))));
}

@compute @workgroup_size(32)
fn order(@builtin(global_invocation_id) id: vec3u) {
  let n = id.x * 4u;
  if (n >= dims.N) { return; }
  let last = dims.N - 1u;
  let mine = vec4u(each[n], each[min(n + 1u, last)], each[min(n + 2u, last)], each[min(n + 3u, last)]);
  var a = Ids(0u);
  var b = Ids(0u);
  var c = Ids(0u);
  var d = Ids(0u);
  for (var m = 0u; m < dims.N; m += LANES) {
    let them = ids[m / LANES];
    let places = numbered(m);
    a += before(them, places, mine.x, n);
    b += before(them, places, mine.y, n + 1u);
    c += before(them, places, mine.z, n + 2u);
    d += before(them, places, mine.w, n + 3u);
  }
  sorted[across_ids(a)] = vec2u(n, mine.x);
  if (n + 1u < dims.N) { sorted[across_ids(b)] = vec2u(n + 1u, mine.y); }
  if (n + 2u < dims.N) { sorted[across_ids(c)] = vec2u(n + 2u, mine.z); }
  if (n + 3u < dims.N) { sorted[across_ids(d)] = vec2u(n + 3u, mine.w); }
}

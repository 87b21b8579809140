// uses: elem1, grid
// The gradient of an embedding: d_table[ids[n], :] += dy[n, :], rows of equal ids summed in the order of their tokens, without
// atomics. `segment` goes along K sorted tokens: runs of one id that lie within are added to the table, the two that reach over
// an end are left in parts; `join` puts those together. So no invocation adds more than K + N / K rows, however often an id
// occurs. `d_table` is bound from row `first` on, `count` rows of it.
struct Dims { N: u32, C: u32, K: u32, first: u32, count: u32 } // C in Elems
@group(0) @binding(0) var<uniform> dims: Dims;
@group(0) @binding(1) var<storage, read> sorted: array<vec2u>; // (token, id)
@group(0) @binding(2) var<storage, read> dy: array<Elem>;
@group(0) @binding(3) var<storage, read_write> parts: array<Elem>; // [N / K, 2, C]: the run that comes in, the run that goes on
@group(0) @binding(4) var<storage, read_write> d_table: array<Elem>;

fn add_row(id: u32, c: u32, sum: Elem) {
  let row = id - dims.first; // below `first` it wraps around to a large number
  if (row < dims.count) { d_table[row * dims.C + c] += sum; }
}

@compute @workgroup_size(64)
fn segment(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  let s = i / dims.C;
  let c = i % dims.C;
  let begin = s * dims.K;
  if (begin >= dims.N) { return; }
  let end = min(begin + dims.K, dims.N);
  var id = sorted[begin].y;
  var comes_in = begin > 0u && sorted[max(begin, 1u) - 1u].y == id;
  var sum = Elem(0.0);
  for (var p = begin; p < end; p++) {
    let entry = sorted[p];
    if (entry.y != id) {
      if (comes_in) { parts[2u * s * dims.C + c] = sum; } else { add_row(id, c, sum); }
      comes_in = false;
      id = entry.y;
      sum = Elem(0.0);
    }
    sum += dy[entry.x * dims.C + c];
  }
  if (comes_in) {
    parts[2u * s * dims.C + c] = sum;
  } else if (end < dims.N && sorted[min(end, dims.N - 1u)].y == id) {
    parts[(2u * s + 1u) * dims.C + c] = sum;
  } else {
    add_row(id, c, sum);
  }
}

@compute @workgroup_size(64)
fn join(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(group, groups) * 64u + lane;
  let s = i / dims.C;
  let c = i % dims.C;
  let begin = s * dims.K;
  let end = begin + dims.K;
  if (end >= dims.N) { return; }
  let id = sorted[end].y;
  if (sorted[end - 1u].y != id) { return; } // nothing goes on from here
  if (begin > 0u && sorted[max(begin, 1u) - 1u].y == id) { return; } // it came from before
  var sum = parts[(2u * s + 1u) * dims.C + c];
  for (var next = s + 1u; next * dims.K < dims.N; next++) {
    if (sorted[next * dims.K].y != id) { break; }
    sum += parts[2u * next * dims.C + c];
  }
  add_row(id, c, sum);
}

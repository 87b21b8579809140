// What shaders that go along rows take at a time: four f32, where the width of a row is a multiple of 4.
alias Elem = vec4f;
const LANES = 4u;
fn across(v: Elem) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn highest(v: Elem) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn onehot(place: u32) -> Elem { return select(Elem(0.0), Elem(1.0), vec4u(place) == vec4u(0u, 1u, 2u, 3u)); }
alias Ids = vec4u;
fn across_ids(v: Ids) -> u32 { return v.x + v.y + v.z + v.w; }
fn numbered(first: u32) -> Ids { return vec4u(first) + vec4u(0u, 1u, 2u, 3u); }
fn part(v: Elem, i: u32) -> f32 { return v[i]; }

// What shaders that go along rows take at a time: four f32, where the width of a row is a multiple of 4.
alias Elem = vec4f;
const LANES = 4u;
fn across(v: Elem) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn highest(v: Elem) -> f32 { return max(max(v.x, v.y), max(v.z, v.w)); }
fn onehot(place: u32) -> Elem { return select(Elem(0.0), Elem(1.0), vec4u(place) == vec4u(0u, 1u, 2u, 3u)); }

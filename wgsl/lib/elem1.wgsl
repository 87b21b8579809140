// What shaders that go along rows take at a time: one f32. elem4.wgsl has the same for four of them.
alias Elem = f32;
const LANES = 1u;
fn across(v: Elem) -> f32 { return v; }
fn highest(v: Elem) -> f32 { return v; }
fn onehot(place: u32) -> Elem { return select(0.0, 1.0, place == 0u); }
alias Ids = u32;
fn across_ids(v: Ids) -> u32 { return v; }
fn numbered(first: u32) -> Ids { return first; }
fn part(v: Elem, i: u32) -> f32 { return v; }

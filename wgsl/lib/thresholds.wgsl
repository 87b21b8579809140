// Search for a threshold by sixteenths: what lies at or above each of 16 keys `low + i * step`. Sums of whole numbers, so
// that they are exact in any order.
struct Above { a: vec4u, b: vec4u, c: vec4u, d: vec4u }

// Adds `amount` at `key`, which is at least `low`. The place among the thresholds is compared, since they could overflow.
fn add_above(sums: ptr<function, Above>, key: u32, low: u32, step: u32, amount: u32) {
  let place = vec4u((key - low) / step);
  let none = vec4u(0u);
  let some = vec4u(amount);
  (*sums).a += select(none, some, place >= vec4u(0u, 1u, 2u, 3u));
  (*sums).b += select(none, some, place >= vec4u(4u, 5u, 6u, 7u));
  (*sums).c += select(none, some, place >= vec4u(8u, 9u, 10u, 11u));
  (*sums).d += select(none, some, place >= vec4u(12u, 13u, 14u, 15u));
}

// Where the search goes on: (low, size) of the keys low .. low + size among which the largest lies that `wanted` reach.
fn narrow(sums: Above, low: u32, size: u32, step: u32, wanted: u32) -> vec2u {
  let none = vec4u(0u);
  let one = vec4u(1u);
  let enough = vec4u(wanted);
  let reached = select(none, one, sums.a >= enough) + select(none, one, sums.b >= enough)
    + select(none, one, sums.c >= enough) + select(none, one, sums.d >= enough);
  let at = (max(reached.x + reached.y + reached.z + reached.w, 1u) - 1u) * step;
  return vec2u(low + at, min(step - 1u, size - at));
}

// Dynamic 8-bit numbers (Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization"): the values of
// bitsandbytes' dynamic map, computed instead of looked up. Magnitudes have `bits` = 7 beside a sign or 8 without one, and
// are shares of the largest in their block, 0 to 1. Codes in rising order: 0; level i = 0..6 with 2^(i + bits - 7) values
// evenly between 10^(i-7) and 10^(i-6); 1. So small numbers keep a leading digit and large ones get two.
const LAST_LEVEL = 6u;

fn level_top(i: u32) -> f32 {
  var tops = array<f32, 7>(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0);
  return tops[i];
}

fn code_value(code: u32, bits: u32) -> f32 {
  let wide = bits - 7u;
  if (code == 0u) { return 0.0; }
  if (code == (1u << bits) - wide) { return 1.0; }
  let level = firstLeadingBit(code + wide) - wide;
  let items = 1u << (level + wide);
  return level_top(level) * (0.1 + 0.9 * (f32(code + wide - items) + 0.5) / f32(items));
}

// The nearest code of x in [0, 1]; the lower one of two equally near. The bucket that x lies in has the nearest code but at
// the borders of levels, where a neighbour can be nearer.
fn nearest_code(x: f32, bits: u32) -> u32 {
  let wide = bits - 7u;
  var level = 0u;
  for (var i = 0u; i < LAST_LEVEL; i++) { level += select(0u, 1u, x > level_top(i)); }
  let items = 1u << (level + wide);
  let place = (x / level_top(level) - 0.1) / 0.9 * f32(items);
  let code = items - wide + u32(clamp(place, 0.0, f32(items - 1u)));
  let value = code_value(code, bits);
  if (x <= 0.5 * (code_value(code - 1u, bits) + value)) { return code - 1u; }
  return select(code, code + 1u, x > 0.5 * (value + code_value(code + 1u, bits)));
}

// A signed number: 0 to 128 are positive, 128 is 1; 129 to 255 the negatives of 1 to 127.
fn signed_value(code: u32) -> f32 {
  return select(code_value(code, 7u), -code_value(code - 128u, 7u), code > 128u);
}

fn nearest_signed(x: f32) -> u32 {
  let code = nearest_code(abs(x), 7u);
  return select(code, 128u + min(code, 127u), x < 0.0 && code > 0u);
}

// A total order of floats as unsigned integers, so that thresholds can be searched for exactly.
fn sortable(z: f32) -> u32 {
  let bits = bitcast<u32>(z);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// uses: elem1
// GELU on Elem (f32 or vec4f), tanh form (Hendrycks & Gimpel 2016): 0.5 x (1 + tanh u) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3). The
// exponent is never positive: WGSL may assume that no infinities occur, so exp must not overflow to one.
fn gelu_gate(x: Elem) -> Elem {
  let u2 = x * (1.5957691216 + 0.0713548162 * x * x);
  let e = exp(-abs(u2));
  return select(e, Elem(1.0), u2 >= Elem(0.0)) / (1.0 + e);
}

fn gelu(x: Elem) -> Elem {
  return x * gelu_gate(x);
}

// d gelu / dx = s + x s (1 - s) du2/dx with s = sigmoid(u2).
fn gelu_slope(x: Elem) -> Elem {
  let s = gelu_gate(x);
  return s + x * s * (1.0 - s) * (1.5957691216 + 0.2140644487 * x * x);
}

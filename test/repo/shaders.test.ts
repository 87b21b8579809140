import { testShaders } from "./shaders.ts";

// A pointer into storage as a parameter: naga has no such thing.
testShaders(
  "naga",
  `@group(0) @binding(0) var<storage, read_write> a: array<f32, 4>;
  fn first(p: ptr<storage, array<f32, 4>, read_write>) -> f32 { return (*p)[0]; }
  @compute @workgroup_size(1) fn main() { a[1] = first(&a); }`,
);

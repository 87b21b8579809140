import { testShaders } from "../repo/shaders.ts";

// A barrier that not every invocation reaches: naga lets it pass.
testShaders(
  "Tint",
  `@group(0) @binding(0) var<storage, read_write> a: array<f32, 4>;
  @compute @workgroup_size(4) fn main(@builtin(local_invocation_index) i: u32) {
    if (a[i] > 0.5) { workgroupBarrier(); }
    a[i] = 1.0;
  }`,
);

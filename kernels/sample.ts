/** One step of sampling and of generation's bookkeeping on the GPU: temperature, top-k, top-p, Philox (counter-based). */
import code from "../wgsl/sample.wgsl" with { type: "text" };
import { kernel, type Plan, type Tensor } from "./kernel.ts";

const main = kernel("sample", code, {
  entry: "main",
  bindings: ["read", "read", "read", "read", "read_write", "read_write", "read_write", "read_write"],
  dims: ["B", "V", "S"],
});

export interface SamplerState {
  /** [2] temperature (0: greedy, lowest id among equals) and top_p (1: off). */
  settings: Tensor;
  /** [4] u32: seed low, seed high, top_k (0: off), EOS id. */
  numbers: Tensor;
  /** [B,2] u32: random stream of the sequence (a draw depends on seed, stream and position alone), and its longest length. */
  rows: Tensor;
  /** [B] u32: the token to feed next, and where it stands. */
  current: Tensor;
  positions: Tensor;
  /** [B] u32: 0 running, 1 EOS seen, 2 out of room. */
  done: Tensor;
  /** [B,S] u32: whole sequences, prompt included. */
  tokens: Tensor;
}

/** logits [B,V]. Appends one token to every running sequence. */
export function sample(plan: Plan, logits: Tensor, state: SamplerState): void {
  const [B, V] = logits.shape;
  const S = state.tokens.shape[1];
  const { settings, numbers, rows, current, positions, done, tokens } = state;
  const tensors = [logits, settings, numbers, rows, current, positions, done, tokens];
  plan.dispatch(main, tensors, { dims: { B, V, S }, workgroups: [B, 1, 1], flops: 10 * B * V });
}

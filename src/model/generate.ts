/** Batched generation: a prefill plan fills the key/value cache, a decode plan runs many tokens between two readbacks. */
import { compile, type Executable, type Gpu, persistent, Plan, type Reader, type Tensor, write } from "../plan/mod.ts";
import { attention, attentionDecode, cacheWrite, linear, sample, type SamplerState } from "../../kernels/mod.ts";
import { type Attend, forward, headWeight, type Llama } from "./llama.ts";

export interface SamplingOptions {
  /** 0 is greedy. */
  temperature: number;
  /** 1 is off. */
  topP: number;
  /** 0 is off. */
  topK: number;
  seed: number;
  maxNewTokens: number;
}

export interface Request {
  prompt: readonly number[];
  /** The random stream: a completion depends on seed, stream and prompt alone, not on its place in a batch. */
  stream: number;
}

export interface Completion {
  /** New tokens, the EOS included if there is one. */
  tokens: number[];
  /** EOS was produced within the limit. */
  finished: boolean;
}

export interface Generator {
  /** The token at which a sequence stops. */
  readonly eosId: number;
  /** Yields completions of consecutive requests, a batch at a time, in order. */
  run(requests: readonly Request[], options: SamplingOptions): AsyncGenerator<Completion[]>;
  destroy(): void;
}

/** Tokens decoded between two readbacks: one costs at least 11 ms in Deno. */
const STEPS_PER_READ = 8;

/** A generator for batches of B sequences of at most S tokens, prompts of at most `longestPrompt`. */
export async function createGenerator(model: Llama, B: number, S: number, longestPrompt: number): Promise<Generator> {
  const { gpu, config } = model;
  if (S > config.maxPositions) {
    throw new Error(`Cannot generate: sequences of ${S} tokens, the model has ${config.maxPositions} positions`);
  }
  const { G, D, L } = config;
  const caches = Array.from({ length: L }, (_, l) => ({
    keys: persistent(gpu, `cache.${l}.keys`, [B, S, G * D]),
    values: persistent(gpu, `cache.${l}.values`, [B, S, G * D]),
  }));
  const state: SamplerState = {
    settings: persistent(gpu, "settings", [2]),
    numbers: persistent(gpu, "numbers", [4], "u32"),
    rows: persistent(gpu, "rows", [B, 2], "u32"),
    current: persistent(gpu, "current", [B], "u32"),
    positions: persistent(gpu, "positions", [B], "u32"),
    done: persistent(gpu, "done", [B], "u32"),
    tokens: persistent(gpu, "tokens", [B, S], "u32"),
  };
  const prompts = persistent(gpu, "prompts", [B, longestPrompt], "u32");
  const promptPositions = persistent(gpu, "prompt.positions", [B, longestPrompt], "u32");
  write(gpu, promptPositions, Uint32Array.from({ length: B * longestPrompt }, (_, i) => i % longestPrompt));

  const prefill = await compile(gpu, recordPrefill(model, caches, prompts, promptPositions));
  const decode = await compile(gpu, recordDecode(model, caches, state));
  const watch = decode.reader([state.done]);
  const result = decode.reader([state.tokens, state.positions, state.done]);
  const setup = { gpu, config, B, S, longestPrompt, state, prompts, prefill, decode, watch, result };
  return {
    eosId: config.eosId,
    run: (requests, options) => run(setup, requests, options),
    destroy() {
      for (const each of [prefill, decode, watch, result]) each.destroy();
      const tensors = [
        ...caches.flatMap(({ keys, values }) => [keys, values]),
        ...Object.values(state),
        prompts,
        promptPositions,
      ];
      for (const tensor of tensors as Tensor[]) tensor.storage.buffer?.destroy();
    },
  };
}

type Caches = { keys: Tensor; values: Tensor }[];

/** Fills the caches with whole prompts. Padding behind a prompt is written too, and overwritten before it is ever read. */
function recordPrefill(model: Llama, caches: Caches, prompts: Tensor, positions: Tensor): Plan {
  const [B, T] = prompts.shape;
  const { H, G, D } = model.config;
  const plan = new Plan("prefill", model.gpu);
  const attend: Attend = (plan, layer, qkv) => {
    const { keys, values } = caches[layer];
    cacheWrite(plan, qkv, positions, keys, values, model.config);
    return attention(plan, qkv, { B, T, H, G, D });
  };
  forward(plan, model, prompts, positions, attend);
  return plan;
}

/** One token per sequence: feed `current` at `positions`, sample the next, advance. */
function recordDecode(model: Llama, caches: Caches, state: SamplerState): Plan {
  const plan = new Plan("decode", model.gpu);
  const attend: Attend = (plan, layer, qkv) => {
    const { keys, values } = caches[layer];
    cacheWrite(plan, qkv, state.positions, keys, values, model.config);
    return attentionDecode(plan, qkv, keys, values, state.positions, model.config);
  };
  const h = forward(plan, model, state.current, state.positions, attend);
  sample(plan, linear(plan, h, headWeight(model)), state);
  return plan;
}

interface Setup {
  gpu: Gpu;
  config: Llama["config"];
  B: number;
  S: number;
  longestPrompt: number;
  state: SamplerState;
  prompts: Tensor;
  prefill: Executable;
  decode: Executable;
  watch: Reader;
  result: Reader;
}

async function* run(
  setup: Setup,
  requests: readonly Request[],
  options: SamplingOptions,
): AsyncGenerator<Completion[]> {
  const { gpu, config, B, S, longestPrompt, state, prompts, prefill, decode, watch, result } = setup;
  write(gpu, state.settings, Float32Array.of(options.temperature, options.topP));
  const high = Math.floor(options.seed / 2 ** 32);
  write(gpu, state.numbers, Uint32Array.of(options.seed >>> 0, high, options.topK, config.eosId));
  for (let start = 0; start < requests.length; start += B) {
    const batch = requests.slice(start, start + B);
    const ids = new Uint32Array(B * longestPrompt);
    const tokens = new Uint32Array(B * S);
    const current = new Uint32Array(B);
    const positions = new Uint32Array(B);
    const rows = new Uint32Array(B * 2);
    const done = new Uint32Array(B).fill(1); // rows without a request are over before they begin
    batch.forEach(({ prompt, stream }, b) => {
      if (prompt.length === 0) throw new Error("Cannot generate: a prompt has no tokens (not even BOS)");
      if (prompt.length > longestPrompt || prompt.length >= S) {
        throw new Error(
          `Cannot generate: a prompt of ${prompt.length} tokens, room for ${Math.min(longestPrompt, S - 1)}`,
        );
      }
      const beyond = prompt.find((id) => id >= config.V);
      if (beyond !== undefined) throw new Error(`Cannot generate: token ${beyond} in a vocabulary of ${config.V}`);
      ids.set(prompt, b * longestPrompt);
      tokens.set(prompt, b * S);
      current[b] = prompt[prompt.length - 1];
      positions[b] = prompt.length - 1;
      rows.set([stream, Math.min(S, prompt.length + options.maxNewTokens)], b * 2);
      done[b] = 0;
    });
    write(gpu, prompts, ids);
    write(gpu, state.tokens, tokens);
    write(gpu, state.current, current);
    write(gpu, state.positions, positions);
    write(gpu, state.rows, rows);
    write(gpu, state.done, done);
    await prefill.run();
    for (let step = 0; step < options.maxNewTokens; step += STEPS_PER_READ) {
      await decode.run(Math.min(STEPS_PER_READ, options.maxNewTokens - step));
      const [flags] = await watch.read();
      if ((flags as Uint32Array).every((flag) => flag !== 0)) break;
    }
    const [sequences, ends, flags] = await result.read();
    yield batch.map(({ prompt }, b) => ({
      tokens: [...sequences.subarray(b * S + prompt.length, b * S + ends[b] + 1)],
      finished: flags[b] === 1,
    }));
  }
}

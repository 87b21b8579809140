/**
 * Generation with continuous batching (Yu et al. 2022): B slots decode side by side, and when a sequence ends, its slot goes to
 * the next request while the others go on. Prompts are computed once for all sequences that share them.
 *
 * A completion depends on seed, stream and prompt alone: every row of a plan is computed by itself, in the same order, by
 * the same kernels, whatever stands beside it. Generators of other B or S may choose other kernels, whose logits differ in
 * the last bits; a sampled token then differs only where its draw falls within that difference (about 1e-6) of a border.
 */
import { compile, createReader, type Executable, type Reader, write } from "../plan/mod.ts";
import { PAGE, samplerSettings } from "../../kernels/mod.ts";
import type { Llama } from "./llama.ts";
import { fewestPages, pagesFor, pageTensorBytes } from "./decode/memory.ts";
import { stepsBetweenReads } from "./decode/pace.ts";
import { createPages, type Lease, type Pages } from "./decode/pages.ts";
import { type PlanSizes, planSizes, recordCopy, recordDecode, recordPrefill, splitFor } from "./decode/plans.ts";
import { createState, destroyState, MOST_STEPS, type State } from "./decode/state.ts";

export { cacheBytes } from "./decode/memory.ts";

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
  /**
   * Asked with the tokens so far at each readback: true ends the completion there. How many tokens come after the first that
   * would have ended it depends on the readbacks, so whoever asks must cut the text himself.
   */
  ended?: (tokens: readonly number[]) => boolean;
}

export interface Completion {
  /** New tokens, the stop token included if there is one. */
  tokens: number[];
  /** A stop token was produced within the limit. */
  finished: boolean;
}

export interface Generator {
  /** The token at which a sequence stops; there may be others. */
  readonly eosId: number;
  /** Yields completions of consecutive requests, in order, as soon as they are there. */
  run(requests: readonly Request[], options: SamplingOptions): AsyncGenerator<Completion[]>;
  destroy(): void;
}

/** Rows of a prefill chunk: large enough for a GPU; the rest of the prompts goes into the smallest size that has room. */
const CHUNKS = [512, 128, 32];

/**
 * A generator for B sequences at a time, prompts included at most S tokens long. `pages` bounds the memory of the cache
 * (see `cacheBytes`): with fewer than the default, sequences wait for room, or start over when it runs out.
 */
export async function createGenerator(
  model: Llama,
  B: number,
  S: number,
  options: { pages?: number } = {},
): Promise<Generator> {
  const { gpu, config } = model;
  if (S > config.maxPositions) {
    throw new Error(`Cannot generate: sequences of ${S} tokens, the model has ${config.maxPositions} positions`);
  }
  const M = Math.ceil(S / PAGE);
  const most = Math.floor(gpu.traits.bindingBytes / pageTensorBytes(config, 1));
  const pages = Math.min(options.pages ?? pagesFor(B, S) + 1, most);
  if (pages < fewestPages(S)) {
    throw new Error(
      `Cannot generate: ${pages} pages of ${PAGE} tokens, one sequence of ${S} tokens needs ${fewestPages(S)}; ` +
        (pages === most ? "the adapter binds no more: use shorter sequences" : "allow more pages or shorter sequences"),
    );
  }
  const longestChunk = Math.min(CHUNKS[0], Math.ceil(B * S / 32) * 32);
  const stops = [config.eosId, ...config.stopIds ?? []];
  const state = createState(gpu, config, { B, M, pages, chunk: longestChunk, stops: stops.length });
  const chunks = [longestChunk, ...CHUNKS.filter((size) => size < longestChunk)];
  const batches = [1, 2, 4, 8].map((share) => Math.ceil(B / share)).filter((size, i, all) => size !== all[i - 1]);
  const split = splitFor(B, S, config.G, gpu.traits);
  const prefill = await planSizes(gpu, chunks, (recorder, N) => recordPrefill(model, recorder, state, N));
  const decode = await planSizes(gpu, batches, (recorder, N) => recordDecode(model, recorder, state, N, split));
  const copy = await compile(gpu, recordCopy(gpu, state));
  const reader = createReader(gpu, [state.sampler.positions, state.sampler.rows, state.sampler.tokens]);
  const setup: Setup = {
    model,
    B,
    S,
    M,
    pages,
    stops,
    state,
    prefill,
    decode,
    copy,
    reader,
    pace: { readMs: NaN, stepMs: Infinity },
  };
  return {
    eosId: config.eosId,
    run: (requests, options) => run(setup, requests, options),
    destroy() {
      for (const each of [prefill, decode, copy, reader]) each.destroy();
      destroyState(state);
    },
  };
}

interface Setup {
  model: Llama;
  B: number;
  S: number;
  M: number;
  pages: number;
  stops: readonly number[];
  state: State;
  prefill: PlanSizes;
  decode: PlanSizes;
  copy: Executable;
  reader: Reader;
  /** Milliseconds of a readback and of a decoding step, as last seen. */
  pace: { readMs: number; stepMs: number };
}

/** A sequence that has a slot: the one of its place in the list. */
interface Running {
  index: number;
  request: Request;
  lease: Lease;
  /** Tokens so far, prompt included; the last one is fed next. */
  length: number;
  /** Longest length. */
  limit: number;
  tokens: number[];
  /** Tokens of the prompt that are in the cache. */
  known: number;
}

async function* run(
  setup: Setup,
  requests: readonly Request[],
  options: SamplingOptions,
): AsyncGenerator<Completion[]> {
  const { model, B, S, stops, state, decode, pace } = setup;
  const { gpu } = model;
  if (options.maxNewTokens < 1) throw new Error(`Cannot generate ${options.maxNewTokens} new tokens`);
  for (const request of requests) checkRequest(request, S, model.config.V);
  write(gpu, state.sampler.settings, samplerSettings(options, stops));
  const pages = createPages(setup.pages); // the weights may have changed since the last run, so no prompt is known
  if (Number.isNaN(pace.readMs)) {
    // What a readback costs by itself: the second one, for the first may set things up.
    for (let i = 0; i < 2; i++) {
      const start = performance.now();
      await setup.reader.read();
      pace.readMs = performance.now() - start;
    }
  }
  const completions: (Completion | undefined)[] = new Array(requests.length);
  const running: Running[] = [];
  const waiting = Array.from(requests, (_, index) => requests.length - 1 - index); // last one first
  let yielded = 0, ended = 0, newTokens = 0;
  while (yielded < requests.length) {
    const admitted: Running[] = [];
    while (running.length < B && waiting.length > 0) {
      // A page for each of the others to grow into, or this one would soon be thrown out again.
      if (running.length > 0 && pages.free() <= running.length) break;
      const index = waiting[waiting.length - 1];
      const request = requests[index];
      const admission = pages.admit(request.prompt);
      if (!admission) break;
      const limit = Math.min(S, request.prompt.length + options.maxNewTokens);
      const entry = { index, request, ...admission, length: request.prompt.length, limit, tokens: [] };
      waiting.pop();
      running.push(entry);
      admitted.push(entry);
    }
    await fillPrompts(setup, pages, running, admitted);

    const meanLength = (newTokens + options.maxNewTokens) / (ended + 1);
    let steps = stepsBetweenReads(pace.readMs, pace.stepMs, meanLength);
    steps = Math.min(steps, Math.max(...running.map(({ length, limit }) => limit - length)));
    for (let slot = 0; slot < running.length; slot++) {
      const { lease, length, limit } = running[slot];
      while (!pages.extend(lease, Math.min(length + steps - 1, limit - 1))) {
        // No room left: the latest sequence gives up its pages and starts over later, to the same tokens.
        const last = running.pop()!;
        pages.release(last.lease);
        waiting.push(last.index);
        if (running.length === slot) break;
      }
    }

    writeSlots(setup, running);
    const executable = decode.get(decode.sizeFor(running.length));
    const start = performance.now();
    await executable.run(steps);
    const [positions, rows, tokens] = await setup.reader.read();
    const stepMs = Math.max(0, performance.now() - start - pace.readMs) / steps;
    pace.stepMs = admitted.length > 0 ? Math.min(pace.stepMs, stepMs) : stepMs; // prompts may have been computed too

    const kept: Running[] = [];
    running.forEach((sequence, slot) => {
      const count = positions[slot] + 1 - sequence.length;
      sequence.tokens.push(...tokens.subarray(slot * MOST_STEPS, slot * MOST_STEPS + count));
      sequence.length += count;
      const done = rows[slot * 4 + 3];
      if (done === 0 && !sequence.request.ended?.(sequence.tokens)) return kept.push(sequence);
      completions[sequence.index] = { tokens: sequence.tokens, finished: done === 1 };
      pages.release(sequence.lease);
      ended++;
      newTokens += sequence.tokens.length;
    });
    running.splice(0, running.length, ...kept);

    const first = yielded;
    while (yielded < requests.length && completions[yielded]) yielded++;
    if (yielded > first) yield completions.slice(first, yielded) as Completion[];
  }
}

function checkRequest({ prompt }: Request, S: number, V: number): void {
  if (prompt.length === 0) throw new Error("Cannot generate: a prompt has no tokens (not even BOS)");
  if (prompt.length >= S) throw new Error(`Cannot generate: a prompt of ${prompt.length} tokens, room for ${S - 1}`);
  const beyond = prompt.find((id) => id >= V);
  if (beyond !== undefined) throw new Error(`Cannot generate: token ${beyond} in a vocabulary of ${V}`);
}

/** Computes what is new in the prompts of `admitted`, and gives each of them a page of its own to go on in. */
async function fillPrompts(setup: Setup, pages: Pages, running: readonly Running[], admitted: readonly Running[]) {
  const { model: { gpu }, B, state, prefill, copy } = setup;
  if (admitted.length === 0) return;
  const rows = admitted.flatMap(({ request: { prompt }, known, index }) => {
    const slot = running.findIndex((sequence) => sequence.index === index);
    return Array.from(
      { length: prompt.length - 1 - known },
      (_, i) => ({ id: prompt[known + i], slot, position: known + i }),
    );
  });
  if (rows.length > 0) writeTables(setup, running);
  for (let start = 0; start < rows.length;) {
    const left = rows.length - start;
    const size = prefill.sizeFor(Math.min(left, state.chunk.ids.shape[0]));
    const chunk = rows.slice(start, start += size);
    const column = (of: (row: typeof rows[number]) => number, padding: number) =>
      Uint32Array.from({ length: size }, (_, i) => i < chunk.length ? of(chunk[i]) : padding);
    write(gpu, state.chunk.ids, column(({ id }) => id, 0));
    write(gpu, state.chunk.slots, column(({ slot }) => slot, B));
    write(gpu, state.chunk.positions, column(({ position }) => position, 0));
    await prefill.get(size).enqueue();
  }
  const copies = new Uint32Array(2 * B);
  const copying = admitted.filter(({ lease }) => lease.template);
  copying.forEach(({ lease }, i) => copies.set([lease.template!.page, lease.own[0]], 2 * i));
  if (copying.length > 0) {
    write(gpu, state.pairs, copies);
    await copy.enqueue();
  }
  for (const { lease } of admitted) pages.copied(lease);
}

/** The pages of every slot, a prompt's rest in the page where it is kept for others. */
function writeTables({ model: { gpu }, B, M, state }: Setup, running: readonly Running[]): void {
  const tables = new Uint32Array((B + 1) * M);
  running.forEach(({ lease: { shared, template, own } }, slot) => {
    tables.set([...shared, ...(template ? [template] : [])].map(({ page }) => page), slot * M);
    if (!template) tables.set(own, slot * M + shared.length);
  });
  write(gpu, state.tables, tables);
}

/** What the next decoding steps go on from. */
function writeSlots(setup: Setup, running: readonly Running[]): void {
  const { model: { gpu }, B, state } = setup;
  const current = new Uint32Array(B);
  const positions = new Uint32Array(B);
  const rows = Uint32Array.from({ length: 4 * B }, (_, i) => Number(i % 4 === 3)); // without a sequence: done
  running.forEach(({ request, tokens, length, limit }, slot) => {
    current[slot] = tokens.length > 0 ? tokens[tokens.length - 1] : request.prompt[length - 1];
    positions[slot] = length - 1;
    rows.set([request.stream, limit, length, 0], slot * 4);
  });
  writeTables(setup, running);
  write(gpu, state.sampler.current, current);
  write(gpu, state.sampler.positions, positions);
  write(gpu, state.sampler.rows, rows);
}

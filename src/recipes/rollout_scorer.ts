/** What a model says about sampled tokens: log-probabilities, entropies, values, with the kernels of training and not the sampler's. */
import { compile, type Executable, Plan, type Tensor, type Weights } from "../plan/mod.ts";
import { scale, type TokenLogprob, tokenLogprob } from "../../kernels/mod.ts";
import { attendWithin, forward, headWeight, type Llama } from "../model/llama.ts";
import type { Recompute } from "../model/saving.ts";
import { predictValues } from "../model/value_head.ts";
import { batchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";
import { type BatchInputs, batchInputs, destroyInputs, writeBatch } from "./scorer.ts";

/** One number of each kind per completion token, the end token's included. */
export interface TokenScores {
  logprobs: number[];
  /** In nats. */
  entropies: number[];
  /** Where there is a value head: what it expects before the token is chosen. */
  values?: number[];
}

export interface RolloutScorer {
  /** In the order given. */
  score(sequences: readonly Sequence[]): Promise<TokenScores[]>;
  destroy(): void;
}

/**
 * The forward pass that rollouts are scored by and trained on. Logits are divided by `temperature`, that of the sampler; with
 * `auxGradient` the entropies have a gradient.
 */
export function scoreTokens(
  plan: Plan,
  model: Llama,
  valueHead: Weights | null,
  inputs: BatchInputs,
  options: { recompute?: Recompute; temperature?: number; auxGradient?: boolean } = {},
): { scored: TokenLogprob; values: Tensor | null } {
  const { B, T, ids, positions, targets } = inputs;
  const { recompute = "none", temperature = 1, auxGradient = false } = options;
  const hidden = forward(plan, model, ids, positions, attendWithin(model.config, B, T), recompute);
  const tempered = temperature === 1 ? hidden : scale(plan, hidden, 1 / temperature);
  const scored = tokenLogprob(plan, tempered, headWeight(model), targets, undefined, auxGradient);
  return { scored, values: valueHead && predictValues(plan, hidden, valueHead) };
}

interface Compiled {
  inputs: BatchInputs;
  executable: Executable;
  reader: ReturnType<Executable["reader"]>;
}

/**
 * Scores completions `microBatch` at a time, by the kernels that a step with the same `microBatch` and `temperature` runs: the
 * ratios of its first epoch are 1 to the bit, since neither the other rows of a batch nor its padded length change a row (where a
 * GPU's choice of product depends on the batch's length, by rounding at most). Plans stay until `destroy`, and see the weights as
 * they are at each call.
 */
export function createRolloutScorer(
  model: Llama,
  valueHead: Weights | null,
  options: { microBatch: number; padId: number; temperature?: number },
): RolloutScorer {
  const { microBatch: B, padId, temperature } = options;
  const plans = new Map<number, Compiled>();

  async function planFor(T: number): Promise<Compiled> {
    const known = plans.get(T);
    if (known) return known;
    const inputs = batchInputs(model, B, T);
    const plan = new Plan(`rollout.${B}x${T}`, model.gpu);
    const { scored, values } = scoreTokens(plan, model, valueHead, inputs, { temperature });
    const wanted = [scored.logprob, scored.aux, ...(values ? [values] : [])];
    for (const tensor of wanted) plan.keep(tensor);
    const executable = await compile(model.gpu, plan);
    const compiled = { inputs, executable, reader: executable.reader(wanted) };
    plans.set(T, compiled);
    return compiled;
  }

  return {
    async score(sequences) {
      const found = new Array<TokenScores>(sequences.length);
      const order = sequences.map((_, i) => i).sort((a, b) => positionsOf(sequences[a]) - positionsOf(sequences[b]));
      for (let start = 0; start < order.length; start += B) {
        const batch = order.slice(start, start + B);
        const T = bucketOf(positionsOf(sequences[batch[batch.length - 1]]), model.config.maxPositions);
        const { inputs, executable, reader } = await planFor(T);
        writeBatch(model, inputs, batchArrays(batch.map((i) => sequences[i]), B, T, padId));
        await executable.run();
        const [logprobs, aux, values] = await reader.read();
        batch.forEach((i, b) => {
          const { promptLength, tokens } = sequences[i];
          const cut = (of: ArrayLike<number>, row: number) =>
            Array.from({ length: tokens.length - promptLength }, (_, t) => of[row * T + promptLength - 1 + t]);
          found[i] = { logprobs: cut(logprobs, b), entropies: cut(aux, B + b) };
          if (values) found[i].values = cut(values, b);
        });
      }
      return found;
    },
    destroy() {
      for (const { inputs, executable, reader } of plans.values()) {
        reader.destroy();
        executable.destroy();
        destroyInputs(inputs);
      }
    },
  };
}

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { add, tokenLogprob } from "../../kernels/mod.ts";
import { pairNumbers, preferenceHyper, preferenceLoss, type PreferenceOptions } from "../../src/loss/preference.ts";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { expectClose, random } from "../kernels/check_op.ts";
import { KTO_CHECKS, PREFERENCE_CHECKS, runPairs } from "./preference_golden.ts";
import { preferenceReference } from "./reference.ts";
import { runLoss } from "./run.ts";
import closedForm from "../golden/closed_form.json" with { type: "json" };

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

describe("golden numbers: loss, both slopes, and the loss at the reference", () => {
  for (const [name, check] of Object.entries({ ...PREFERENCE_CHECKS, ...KTO_CHECKS })) {
    test(name, async () => expect(await check(gpu)).toBeLessThan(1));
  }
});

describe("where losses are lowest", () => {
  for (const labelSmoothing of [0.1, 0.2]) {
    test(`cDPO with smoothing ${labelSmoothing} has its floor at beta d = log((1 - e) / e)`, async () => {
      const { betaDelta, loss } = closedForm[`cdpo_floor eps=${labelSmoothing as 0.1 | 0.2}`];
      const got = await runPairs(gpu, [betaDelta, 0], [0, 0], { loss: "sigmoid", beta: 1, labelSmoothing });
      expect(got.loss).toBeCloseTo(loss, 6);
      for (const slope of got.gradient) expect(Math.abs(slope)).toBeLessThan(1e-6);
      for (const beside of [betaDelta - 0.1, betaDelta + 0.1]) {
        const other = await runPairs(gpu, [beside, 0], [0, 0], { loss: "sigmoid", beta: 1, labelSmoothing });
        expect(other.loss).toBeGreaterThan(got.loss);
      }
    });
  }

  test("IPO ends at a lead of 1 / (2 beta) with loss 0", async () => {
    const { Delta, loss } = closedForm["ipo_opt beta=.1"];
    const got = await runPairs(gpu, [Delta, 0], [0, 0], { loss: "ipo-sum" });
    expect(got.loss).toBeCloseTo(loss, 6);
    for (const slope of got.gradient) expect(Math.abs(slope)).toBeLessThan(1e-5);
  });
});

describe("from logits to the loss and back", () => {
  // Two pairs, rows of four tokens: a prompt's two, then one or two of a completion, then padding.
  const [N, T, C, V] = [16, 4, 16, 37];
  const mask = [0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0].map((m, i) => m * (i === 2 ? 0.5 : 1));
  const draw = random(3);
  const logits = Array.from({ length: N }, () => Array.from({ length: V }, () => Math.fround(4 * draw() - 2)));
  const targets = Uint32Array.from({ length: N }, () => Math.floor(draw() * V));
  const reference = [-7, -4, -6, -8];
  const alpha = 0.3;
  const counts = [0, 1, 2, 3].map((b) => mask.slice(b * T, b * T + T).reduce((sum, m) => sum + m, 0));
  const pairs = [0, 1].map((p) => ({
    weight: 0.5,
    chosenTokens: counts[p],
    rejectedTokens: counts[2 + p],
    margin: 0.25,
    labelSmoothing: 0,
  }));
  const sft = mask.map((m, i) => i < N / 2 && m > 0 ? -alpha / 3 : 0);

  /** Row n of the hidden states is 1 in column n alone: head[v][n] is logit v of row n, and its gradient that of the logit. */
  async function run(options: Pick<PreferenceOptions, "loss" | "wpo">) {
    const head = Array.from({ length: V * C }, (_, i) => logits[i % C][Math.floor(i / C)]);
    const found = await runLoss(gpu, { shape: [V, C], data: head }, (plan, weight, given) => {
      const hidden = given(
        "hidden",
        [N, C],
        Array.from({ length: N * C }, (_, i) => Number(i % C === Math.floor(i / C))),
      );
      const ids = given("targets", [N], targets);
      const { logprob, aux } = tokenLogprob(plan, hidden, weight, ids);
      const doubled = () => tokenLogprob(plan, add(plan, hidden, hidden), weight, ids).aux;
      return preferenceLoss(plan, logprob, {
        mask: given("mask", [4, T], mask),
        reference: given("reference", [4], reference),
        pairs: given("pairs", [2, 5], pairNumbers(pairs, 2)),
        sftWeight: given("sft", [4, T], sft),
        hyper: given("hyper", [4], preferenceHyper({ beta: 0.5, labelSmoothing: 0 })),
        wpo: options.wpo ? { aux, doubled: doubled() } : undefined,
      }, options);
    });
    return { loss: found.loss, slopes: logits.map((row, n) => row.map((_, v) => found.gradient[v * C + n])) };
  }

  const softmax = logits.map((row) => {
    const exps = row.map(Math.exp), total = exps.reduce((sum, e) => sum + e, 0);
    return exps.map((e) => e / total);
  });
  const logprobs = softmax.map((row, n) => Math.log(row[targets[n]]));
  const sumsOf = (tokens: number[]) =>
    counts.map((_, b) => tokens.slice(b * T, b * T + T).reduce((sum, x, t) => sum + x * mask[b * T + t], 0));

  for (const loss of ["sigmoid", "simpo", "orpo", "aot"] as const) {
    for (const wpo of loss === "sigmoid" ? [false, true] : [false]) {
      test(`${loss}${wpo ? " with WPO" : ""}: the float64 values; nothing reaches prompts and padding; slopes of a token sum to 0`, async () => {
        const got = await run({ loss, wpo });
        const collision = sumsOf(softmax.map((row) => Math.log(row.reduce((sum, p) => sum + p * p, 0))));
        const given = { loss, reference, pairs, hyper: { beta: 0.5 }, collision: wpo ? collision : undefined };
        const want = preferenceReference(sumsOf(logprobs), given);
        const anchor = logprobs.reduce((sum, x, n) => sum + sft[n] * x, 0);
        expectClose([got.loss], [want.loss + anchor], 1e-5, 1e-4, "loss");
        got.slopes.forEach((row, n) => {
          if (mask[n] === 0) expect(row.every((slope) => slope === 0), `row ${n}`).toBe(true);
          else expect(Math.abs(row.reduce((sum, slope) => sum + slope, 0)), `row ${n}`).toBeLessThan(1e-6);
          const pull = mask[n] * want.gradient[Math.floor(n / T)] + sft[n];
          const exact = softmax[n].map((p, v) => pull * (Number(v === targets[n]) - p));
          expectClose(row, exact, 1e-5, 1e-3, `slopes of row ${n}`);
        });
      });
    }
  }
});

import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import * as advantages from "../../src/loss/advantages.ts";
import { random } from "../kernels/check_op.ts";

// Golden vectors by autodiff in float64; the functions are plain float64, so they agree to rounding.
const {
  aggregationWeights,
  gae,
  groupAdvantages,
  klEstimate,
  klRewards,
  nextKlCoefficient,
  sequenceKl,
  whiten,
  whitenRewards,
} = advantages;
const golden = JSON.parse(readFileSync(new URL("../golden/alignment.json", import.meta.url), "utf8"));

const close = (got: readonly number[], want: readonly number[], within = 1e-12) => {
  expect(got.length).toBe(want.length);
  got.forEach((value, i) =>
    expect(Math.abs(value - want[i]), `${i}: ${value} against ${want[i]}`).toBeLessThan(within)
  );
};
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const draw = random(31);
const numbers = (count: number, spread = 2) => Array.from({ length: count }, () => (draw() - 0.5) * 2 * spread);

describe("generalized advantage estimation", () => {
  for (const name of ["H_gae_torchtune", "H_gae_lam1", "H_gae_lam0", "H_gae_lam95"]) {
    test(`the golden numbers of ${name}`, () => {
      const { rewards, values, gamma, lam, adv, returns } = golden[name];
      const got = gae(rewards, values, gamma, lam);
      close(got.advantages, adv);
      close(got.returns, returns);
    });
  }

  test("lambda 1: returns are discounted rewards-to-go, whatever the values; lambda 0: TD(0)", () => {
    const rewards = numbers(9), values = numbers(9), gamma = 0.93;
    const togo = rewards.map((_, t) => sum(rewards.slice(t).map((r, k) => gamma ** k * r)));
    close(gae(rewards, values, gamma, 1).returns, togo);
    const td = rewards.map((r, t) => r + gamma * (values[t + 1] ?? 0) - values[t]);
    close(gae(rewards, values, gamma, 0).advantages, td);
  });

  test("it is the sum of discounted TD errors, written forwards", () => {
    const rewards = numbers(12), values = numbers(12), gamma = 0.97, lambda = 0.8;
    const td = rewards.map((r, t) => r + gamma * (values[t + 1] ?? 0) - values[t]);
    const want = td.map((_, t) => sum(td.slice(t).map((delta, k) => (gamma * lambda) ** k * delta)));
    close(gae(rewards, values, gamma, lambda).advantages, want);
  });

  test("of nothing there is nothing, and lengths that disagree are refused", () => {
    expect(gae([], [], 1, 1)).toEqual({ advantages: [], returns: [] });
    expect(() => gae([1, 2], [1], 1, 1)).toThrow("Cannot estimate advantages: rewards has 2 tokens, values 1");
  });

  test("a potential as a reward only shifts the advantages by its value, at lambda 1", () => {
    const potential = numbers(6), rewards = numbers(6), values = numbers(6);
    const shaped = rewards.map((r, t) => r + (potential[t + 1] ?? 0) - potential[t]);
    const plain = gae(rewards, values, 1, 1).advantages;
    close(gae(shaped, values, 1, 1).advantages, plain.map((a, t) => a - potential[t]));
  });
});

describe("whitening", () => {
  const { x, unbiased, shift_mean_false } = golden.H_whiten;
  test("the golden numbers, with the mean taken out and with it left in", () => {
    close(whiten([x])[0], unbiased);
    close(whiten([x], { shiftMean: false })[0], shift_mean_false);
    expect(whitenRewards([x])).toEqual(whiten([x], { shiftMean: false }));
  });

  test("mean 0 and unbiased variance 1 over all tokens of a batch, whatever their split into sequences", () => {
    const flat = numbers(23, 5).map((value) => value + 3);
    const split = [flat.slice(0, 4), flat.slice(4, 5), [], flat.slice(5)];
    const got = whiten(split);
    expect(got.map(({ length }) => length)).toEqual([4, 1, 0, 18]);
    const all = got.flat();
    expect(sum(all)).toBeCloseTo(0, 10);
    expect(sum(all.map((value) => value ** 2)) / 22).toBeCloseTo(1, 7);
    expect(all).toEqual(whiten([flat])[0]);
    const kept = whiten(split, { shiftMean: false }).flat();
    expect(sum(kept)).toBeCloseTo(sum(flat), 10);
  });

  test("numbers that are all the same become 0, and so does a single one; rewards keep what they are", () => {
    expect(whiten([[0.1, 0.1], [0.1]])).toEqual([[0, 0], [0]]);
    expect(whiten([[7]])).toEqual([[0]]);
    expect(whitenRewards([[0.1, 0.1], [0.1]])).toEqual([[0.1, 0.1], [0.1]]);
    expect(whiten([])).toEqual([]);
    expect(whiten([[], []])).toEqual([[], []]);
  });
});

describe("the divergence in the reward", () => {
  test("the golden rows: -coefficient k1 on every token, the score on the last", () => {
    const { scores, kl_coef, logp, ref, rewards } = golden.H_klreward;
    scores.forEach((score: number, i: number) => close(klRewards(logp[i], ref[i], kl_coef, score), rewards[i]));
  });

  test("a single token has the score itself", () => expect(klRewards([-1], [-1], 0.1, 2)).toEqual([2]));

  test("rewards of single tokens are added where they belong", () => {
    close(klRewards([-1, -2, -3], [-1, -1, -3], 0.5, 1, "k1", [0.1, 0.2, 0.3]), [0.1, 0.7, 1.3]);
    expect(() => klRewards([-1], [-1], 0.5, 1, "k1", [1, 2])).toThrow("extra 2");
    expect(() => klRewards([-1], [-1, -2], 0.5, 1)).toThrow("Cannot make rewards: old has 1 tokens, reference 2");
  });

  const { p, q, KL, E_k1, E_k2, E_k3, var_k1, var_k2, var_k3 } = golden.I_kl;
  for (const [kind, mean, variance] of [["k1", E_k1, var_k1], ["k2", E_k2, var_k2], ["k3", E_k3, var_k3]] as const) {
    test(`${kind}: mean and variance on three symbols, values of single ones`, () => {
      const values = p.map((each: number, a: number) => klEstimate(kind, Math.log(each / q[a])));
      close(values, golden.I_kl[`per_outcome_${kind}`]);
      const expected = sum(values.map((value: number, a: number) => p[a] * value));
      expect(expected).toBeCloseTo(mean, 12);
      expect(sum(values.map((value: number, a: number) => p[a] * (value - expected) ** 2))).toBeCloseTo(variance, 12);
      if (kind !== "k2") expect(expected).toBeCloseTo(KL, 12);
    });
  }

  test("Schulman's Gaussians a tenth and one apart: relative bias and deviation of the estimators", () => {
    for (const shift of [0.1, 1]) {
      // x ~ N(0,1) = p, q = N(shift,1): log p - log q = shift^2 / 2 - shift x, by quadrature.
      const step = 1e-3, xs = Array.from({ length: 20_001 }, (_, i) => (i - 10_000) * step);
      const density = xs.map((x) => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) * step);
      for (const kind of advantages.KL_ESTIMATORS) {
        const values = xs.map((x) => klEstimate(kind, shift * shift / 2 - shift * x));
        const mean = sum(values.map((value, i) => density[i] * value));
        const variance = sum(values.map((value, i) => density[i] * (value - mean) ** 2));
        const { rel_bias, rel_std } = golden.I_schulman[shift.toFixed(1)][kind];
        expect(mean / (shift * shift / 2) - 1).toBeCloseTo(rel_bias, 6);
        expect(Math.sqrt(variance) / (shift * shift / 2)).toBeCloseTo(rel_std, 5);
      }
    }
  });

  test("per sequence it is a sum in nats, k3 never negative, k3 exact where the ratio is close to 1", () => {
    expect(sequenceKl([-1, -2, -3], [-1.5, -2.25, -2.5])).toBeCloseTo(0.25, 12);
    for (const l of numbers(50, 4)) expect(klEstimate("k3", l)).toBeGreaterThan(0);
    expect(klEstimate("k3", 1e-9) / 5e-19).toBeCloseTo(1, 5);
    expect(klEstimate("k3", 0)).toBe(0);
  });

  test("the adaptive coefficient: the golden cases; a fixed one stays", () => {
    const { init, target, horizon, cases } = golden.J_adaptive;
    for (const [kl, episodes, want] of cases) {
      expect(nextKlCoefficient({ kind: "adaptive", target, horizon }, init, kl, episodes)).toBeCloseTo(want, 12);
      expect(nextKlCoefficient({ kind: "fixed" }, init, kl, episodes)).toBe(init);
    }
  });
});

describe("advantages of a group", () => {
  for (const name of ["K_grpo_half", "K_grpo_one", "K_grpo_flat", "K_grpo_eta"]) {
    test(`the golden numbers of ${name}`, () => {
      const { rewards, adv_trl, adv_verl, dr_grpo, rloo } = golden[name];
      close(groupAdvantages(rewards, { kind: "trl" }), adv_trl);
      close(groupAdvantages(rewards, { kind: "verl" }), adv_verl);
      close(groupAdvantages(rewards, { kind: "dr-grpo" }), dr_grpo);
      close(groupAdvantages(rewards, { kind: "rloo" }), rloo);
    });
  }

  test("they sum to 0, a constant changes nothing, nor does a scale if it is divided out", () => {
    const rewards = numbers(7);
    for (const kind of advantages.GROUP_ADVANTAGES) {
      const plain = groupAdvantages(rewards, { kind });
      expect(sum(plain)).toBeCloseTo(0, 12);
      close(groupAdvantages(rewards.map((r) => r + 5), { kind }), plain, 1e-9);
      const scaled = groupAdvantages(rewards.map((r) => 8 * r), { kind });
      const divided = kind === "trl" || kind === "verl";
      close(scaled, plain.map((a) => divided ? a : 8 * a), divided ? 1e-3 : 1e-9);
    }
  });

  test("RLOO is G / (G - 1) times Dr. GRPO, and the reward less the mean of the others", () => {
    const rewards = numbers(6);
    const rloo = groupAdvantages(rewards, { kind: "rloo" });
    close(rloo, groupAdvantages(rewards, { kind: "dr-grpo" }).map((a) => a * 6 / 5));
    close(rloo, rewards.map((r, i) => r - sum(rewards.filter((_, j) => j !== i)) / 5));
  });

  test("a sample without a reward has no advantage and is in no mean", () => {
    for (const kind of advantages.GROUP_ADVANTAGES) {
      const [a, none, b, c] = groupAdvantages([1, null, 0.25, 0], { kind });
      expect([a, b, c]).toEqual(groupAdvantages([1, 0.25, 0], { kind }));
      expect(none).toBe(0);
      expect(groupAdvantages([1, null, null], { kind })).toEqual([0, 0, 0]);
      expect(groupAdvantages([null, null], { kind })).toEqual([0, 0]);
      expect(groupAdvantages([], { kind })).toEqual([]);
      expect(groupAdvantages([0.1, 0.1, 0.1], { kind })).toEqual([0, 0, 0]); // 0.1 + 0.1 + 0.1 is not 0.3
    }
  });
});

describe("aggregation", () => {
  const { loss, mask, token_mean, seq_mean_token_mean, dr_grpo_Lmax4 } = golden.K_agg;
  const rows: number[][] = loss.map((row: number[], b: number) => row.filter((_, t) => mask[b][t] === 1));
  const total = (weights: readonly number[], of = rows) => sum(of.map((row, b) => weights[b] * sum(row)));
  const lengths = rows.map((row) => row.length);

  test("the golden case: token mean, mean of means, sum over what there is room for", () => {
    expect(total(aggregationWeights("dapo", lengths))).toBeCloseTo(token_mean, 12);
    expect(total(aggregationWeights("grpo", lengths))).toBeCloseTo(seq_mean_token_mean, 12);
    expect(total(aggregationWeights("dr-grpo", lengths, { maxLength: 4 }))).toBeCloseTo(dr_grpo_Lmax4, 12);
    expect(total(aggregationWeights("bnpo", lengths))).toBeCloseTo(token_mean, 12);
    expect(total(aggregationWeights("bnpo", lengths, { localBatch: 1 }))).toBeCloseTo(seq_mean_token_mean, 12);
  });

  test("bnpo is the mean of token means of local batches, the last of which may be smaller", () => {
    const of = [3, 1, 4, 1, 5].map((n) => numbers(n));
    const batches = [of.slice(0, 2), of.slice(2, 4), of.slice(4)].map((rows) => rows.flat());
    const want = sum(batches.map((tokens) => sum(tokens) / tokens.length)) / 3;
    const weights = aggregationWeights("bnpo", of.map(({ length }) => length), { localBatch: 2 });
    expect(total(weights, of)).toBeCloseTo(want, 12);
  });

  test("dr-grpo has to know the longest completion; a completion without tokens has no weight", () => {
    expect(() => aggregationWeights("dr-grpo", [1])).toThrow("Cannot aggregate by dr-grpo: maxLength is undefined");
    for (const kind of advantages.AGGREGATIONS) {
      const weights = aggregationWeights(kind, [0, 2], { maxLength: 4, localBatch: 1 });
      expect(weights.every(Number.isFinite), kind).toBe(true);
    }
  });
});

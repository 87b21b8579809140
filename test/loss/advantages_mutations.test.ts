// Negative controls of src/loss/advantages.ts: each named mistake in its text must fail the golden check that it names.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import golden from "../golden/alignment.json" with { type: "json" };

type Advantages = typeof import("../../src/loss/advantages.ts");
/** The largest |got - want|; below 1e-9 is right. */
type Check = (of: Advantages) => number;

const source = readFileSync(new URL("../../src/loss/advantages.ts", import.meta.url), "utf8");

/** The module with its text changed, which imports nothing and so can stand alone. */
async function load(text: string): Promise<Advantages> {
  const code = `data:application/typescript;base64,${btoa(text)}`;
  return await import(/* @vite-ignore */ code);
}

const far = (got: readonly number[], want: readonly number[]) =>
  got.length === want.length
    ? Math.max(...got.map((value, i) => Number.isFinite(value) ? Math.abs(value - want[i]) : Infinity))
    : Infinity;

const GROUPS = ["K_grpo_half", "K_grpo_one", "K_grpo_flat", "K_grpo_eta"] as const;
const CHECKS: Record<string, Check> = {
  gae: ({ gae }) =>
    Math.max(...(["H_gae_torchtune", "H_gae_lam1", "H_gae_lam0", "H_gae_lam95"] as const).map((name) => {
      const { rewards, values, gamma, lam, adv, returns } = golden[name];
      const got = gae(rewards, values, gamma, lam);
      return far([...got.advantages, ...got.returns], [...adv, ...returns]);
    })),
  whiten: ({ whiten }) => {
    const { x, unbiased, shift_mean_false } = golden.H_whiten;
    return Math.max(
      far(whiten([x.slice(0, 1), x.slice(1)]).flat(), unbiased),
      far(whiten([x], { shiftMean: false })[0], shift_mean_false),
      far(whiten([[0.1, 0.1], [0.1]]).flat(), [0, 0, 0]),
      far(whiten([[7]])[0], [0]),
    );
  },
  "whitened rewards": ({ whitenRewards }) =>
    far(whitenRewards([golden.H_whiten.x])[0], golden.H_whiten.shift_mean_false),
  "KL rewards": ({ klRewards }) => {
    const { scores, kl_coef, logp, ref, rewards } = golden.H_klreward;
    return Math.max(...scores.map((score, i) => far(klRewards(logp[i], ref[i], kl_coef, score), rewards[i])));
  },
  estimators: ({ klEstimate }) => {
    const { p, q, per_outcome_k1, per_outcome_k2, per_outcome_k3 } = golden.I_kl;
    const of = (kind: "k1" | "k2" | "k3") => p.map((each, a) => klEstimate(kind, Math.log(each / q[a])));
    return far([...of("k1"), ...of("k2"), ...of("k3")], [...per_outcome_k1, ...per_outcome_k2, ...per_outcome_k3]);
  },
  "adaptive coefficient": ({ nextKlCoefficient }) => {
    const { init, target, horizon, cases } = golden.J_adaptive;
    const control = { kind: "adaptive" as const, target, horizon };
    return Math.max(...cases.map(([kl, n, want]) => far([nextKlCoefficient(control, init, kl, n)], [want])));
  },
  groups: ({ groupAdvantages }) =>
    Math.max(...GROUPS.map((name) => {
      const { rewards, adv_trl, adv_verl, dr_grpo, rloo } = golden[name];
      const of = (kind: "trl" | "verl" | "dr-grpo" | "rloo") => groupAdvantages(rewards, { kind });
      return far([...of("trl"), ...of("verl"), ...of("dr-grpo"), ...of("rloo")], [
        ...adv_trl,
        ...adv_verl,
        ...dr_grpo,
        ...rloo,
      ]);
    })),
  "unknown rewards": ({ groupAdvantages }) =>
    far([
      ...groupAdvantages([1, null, 0], { kind: "dr-grpo" }),
      ...groupAdvantages([1, null], { kind: "trl" }),
      ...groupAdvantages([0.1, 0.1, 0.1], { kind: "trl" }),
    ], [0.5, 0, -0.5, 0, 0, 0, 0, 0]),
  aggregation: ({ aggregationWeights }) => {
    const { loss, mask, token_mean, seq_mean_token_mean, dr_grpo_Lmax4 } = golden.K_agg;
    const rows = loss.map((row, b) => row.filter((_, t) => mask[b][t] === 1));
    const sums = rows.map((row) => row.reduce((sum, value) => sum + value, 0));
    const total = (
      ...[kind, options]: [Parameters<typeof aggregationWeights>[0], Parameters<typeof aggregationWeights>[2]?]
    ) =>
      aggregationWeights(kind, rows.map(({ length }) => length), options)
        .reduce((sum, weight, b) => sum + weight * sums[b], 0);
    return far(
      [
        total("dapo"),
        total("grpo"),
        total("dr-grpo", { maxLength: 4 }),
        total("bnpo"),
        total("bnpo", { localBatch: 1 }),
      ],
      [token_mean, seq_mean_token_mean, dr_grpo_Lmax4, token_mean, seq_mean_token_mean],
    );
  },
};

const MUTATIONS: [name: string, check: keyof typeof CHECKS, find: string, replace: string][] = [
  ["the next value is this one's", "gae", "values[t + 1] : 0", "values[t] : 0"],
  ["a value behind the end", "gae", "t + 1 < T ? values[t + 1] : 0", "t + 1 < T ? values[t + 1] : values[t]"],
  ["lambda without gamma", "gae", "+ gamma * lambda * later", "+ lambda * later"],
  ["gamma without lambda", "gae", "+ gamma * lambda * later", "+ gamma * later"],
  ["no discount of the next value", "gae", "gamma * next - values[t]", "next - values[t]"],
  ["returns are advantages", "gae", "advantages.map((a, t) => a + values[t])", "advantages.map((a) => a)"],
  ["forwards", "gae", "for (let t = T - 1; t >= 0; t--)", "for (let t = 0; t < T; t++)"],
  ["biased variance", "whiten", "/ (all.length - 1);", "/ all.length;"],
  ["the mean is added back", "whiten", "shiftMean ? 0 : mean", "shiftMean ? mean : 0"],
  [
    "sequence by sequence",
    "whiten",
    "const all = batch.flatMap((tokens) => Array.from(tokens));",
    "const all = Array.from(batch[0]);",
  ],
  ["no care for equal numbers", "whiten", "const variance = flat ? 0 :", "const variance ="],
  ["variance for deviation", "whiten", "1 / Math.sqrt(variance + WHITEN_EPS)", "1 / (variance + 1)"],
  ["rewards are shifted", "whitened rewards", "whiten(batch, { shiftMean: false })", "whiten(batch)"],
  ["a divergence is rewarded", "KL rewards", "-coefficient * klEstimate", "coefficient * klEstimate"],
  ["the score on every token", "KL rewards", "(t === last ? score : 0)", "score"],
  ["the score behind the end", "KL rewards", "const last = old.length - 1;", "const last = old.length;"],
  ["the score on the first token", "KL rewards", "const last = old.length - 1;", "const last = 0;"],
  ["reference and policy are swapped", "KL rewards", "lp - reference[t]) + (t", "reference[t] - lp) + (t"],
  ["k2 without its half", "estimators", "logRatio ** 2 / 2", "logRatio ** 2"],
  ["k3 turned round", "estimators", "Math.expm1(-logRatio) + logRatio", "Math.expm1(logRatio) - logRatio"],
  [
    "k1 by its size",
    "estimators",
    'if (estimator === "k1") return logRatio;',
    'if (estimator === "k1") return Math.abs(logRatio);',
  ],
  [
    "the error is not clipped",
    "adaptive coefficient",
    "Math.min(0.2, Math.max(-0.2, kl / control.target - 1))",
    "kl / control.target - 1",
  ],
  ["the coefficient falls where it should rise", "adaptive coefficient", "(1 + error *", "(1 - error *"],
  ["the horizon is forgotten", "adaptive coefficient", "* episodes / control.horizon", "* episodes"],
  ["biased deviation", "groups", "/ (G - 1));", "/ G);"],
  ["the epsilons are swapped", "groups", 'kind === "trl" ? 1e-4 : 1e-6', 'kind === "trl" ? 1e-6 : 1e-4'],
  ["RLOO is Dr. GRPO", "groups", "? G / (G - 1)", "? 1"],
  ["no baseline", "groups", "(r - mean) * factor", "r * factor"],
  ["unknown rewards count as 0", "unknown rewards", "rewards.filter((r) => r !== null)", "rewards.map((r) => r ?? 0)"],
  ["a mean of means is a token mean", "aggregation", "shareOf(B * n)", "shareOf(sum(tokens))"],
  ["a token mean is a mean of means", "aggregation", "shareOf(sum(tokens)));", "1 / (B * tokens[0]));"],
  ["Dr. GRPO forgets the batch", "aggregation", "1 / (B * maxLength)", "1 / maxLength"],
  ["local means are summed", "aggregation", "shareOf(batches * sum(", "shareOf(sum("],
  ["a local batch is the step", "aggregation", "tokens.slice(start, start + localBatch)", "tokens"],
];

test("the golden checks pass with the functions as they are", async () => {
  const module = await load(source);
  for (const [name, check] of Object.entries(CHECKS)) expect(check(module), name).toBeLessThan(1e-9);
});

describe("and fail with", () => {
  for (const [name, check, find, replace] of MUTATIONS) {
    test(`${check}: ${name}`, async () => {
      expect(source.split(find).length - 1, `places of ${find}`).toBe(1);
      expect(CHECKS[check](await load(source.replace(find, () => replace)))).toBeGreaterThan(1e-7);
    });
  }
});

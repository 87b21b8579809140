// The losses on preference pairs and of KTO in float64, from their papers' formulas, with exact slopes by dual numbers. Nothing of
// the shaders' algebra is used here: no shared derivatives, and natural forms except where float64 itself would overflow.
import type { Divergence, PreferenceLoss } from "../../kernels/mod.ts";

/** A number and its slopes by the winner's and the loser's log-probability. */
type Dual = readonly [value: number, byChosen: number, byRejected: number];

const constant = (value: number): Dual => [value, 0, 0];
const plus = (...terms: Dual[]): Dual =>
  terms.reduce(([a, b, c], [x, y, z]): Dual => [a + x, b + y, c + z], constant(0));
const times = (factor: number, [a, b, c]: Dual): Dual => [factor * a, factor * b, factor * c];
const minus = (x: Dual, y: Dual) => plus(x, times(-1, y));
const product = (x: Dual, y: Dual): Dual => [x[0] * y[0], x[0] * y[1] + y[0] * x[1], x[0] * y[2] + y[0] * x[2]];
const apply = (x: Dual, f: (x: number) => number, slope: (x: number) => number): Dual => {
  const by = slope(x[0]);
  return [f(x[0]), by * x[1], by * x[2]];
};

const s = (x: number) => x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
const ls = (x: number) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: Dual) => apply(x, s, (x) => s(x) * s(-x));
const logSigmoid = (x: Dual) => apply(x, ls, (x) => s(-x));
const square = (x: Dual) => product(x, x);
/** e^x, beyond x = 20 its tangent there. */
const exponential = (x: Dual) =>
  apply(x, (x) => Math.exp(Math.min(x, 20)) * (1 + Math.max(x - 20, 0)), (x) => Math.exp(Math.min(x, 20)));
const logOdds = (a: Dual) =>
  minus(a, apply(a, (a) => Math.log(-Math.expm1(Math.min(a, -1e-6))), (a) => a < -1e-6 ? 1 + 1 / Math.expm1(a) : 0));

export interface Hyper {
  beta: number;
  divergenceAlpha?: number;
  gamma?: number;
  temperature?: number;
}

export interface PairGiven {
  weight: number;
  chosenTokens: number;
  rejectedTokens: number;
  margin?: number;
  labelSmoothing?: number;
}

function underDivergence(u: Dual, divergence: Divergence, a: number): Dual {
  if (divergence === "forward-kl") return times(-1, exponential(times(-1, u)));
  if (divergence === "js") return logSigmoid(u);
  if (divergence === "alpha") return times(1 / (a - 1), exponential(times(a - 1, u)));
  return u;
}

/** The loss of one pair, from the log-probabilities (or log-ratios) c and r of winner and loser. */
function pairLoss(loss: PreferenceLoss, c: Dual, r: Dual, pair: PairGiven, hyper: Hyper): Dual {
  const { beta, gamma = 0.5, temperature = 0.05 } = hyper;
  const { margin = 0, labelSmoothing: e = 0 } = pair;
  const [meanC, meanR] = [times(1 / pair.chosenTokens, c), times(1 / pair.rejectedTokens, r)];
  const smoothed = (z: Dual) => minus(times(-(1 - e), logSigmoid(z)), times(e, logSigmoid(times(-1, z))));
  const z = minus(times(beta, minus(c, r)), constant(margin));
  const zOfMeans = minus(times(beta, minus(meanC, meanR)), constant(margin));
  const [x, y] = [times(beta, c), times(beta, r)];
  const not = (x: Dual) => times(-1, x);
  switch (loss) {
    case "sigmoid":
    case "aot":
    case "aot-unpaired":
    case "cpo":
      return smoothed(z);
    case "sigmoid-norm":
      return smoothed(zOfMeans);
    case "simpo":
      return smoothed(minus(zOfMeans, constant(gamma)));
    case "hinge":
      return apply(z, (z) => Math.max(0, 1 - z), (z) => z < 1 ? -1 : 0);
    case "ipo":
      return square(minus(minus(meanC, meanR), constant((0.5 + margin) / beta)));
    case "ipo-sum":
      return square(minus(minus(c, r), constant((0.5 + margin) / beta)));
    case "exo":
      return plus(
        product(sigmoid(z), minus(logSigmoid(z), constant(Math.log1p(-e)))),
        product(sigmoid(not(z)), minus(logSigmoid(not(z)), constant(Math.log(e)))),
      );
    case "nca":
      return times(-1, plus(logSigmoid(x), times(0.5, logSigmoid(not(x))), times(0.5, logSigmoid(not(y)))));
    case "bco":
      return times(-1, plus(logSigmoid(x), logSigmoid(not(y))));
    case "robust":
      return times(1 / (1 - 2 * e), minus(times(e, logSigmoid(not(z))), times(1 - e, logSigmoid(z))));
    case "sppo":
      return plus(square(minus(c, constant(0.5 / beta))), square(plus(r, constant(0.5 / beta))));
    case "apo-zero":
      return plus(constant(1), not(sigmoid(x)), sigmoid(y));
    case "apo-down":
      return plus(sigmoid(x), constant(1), not(sigmoid(z)));
    case "discopop": {
      const cooled = times(1 / temperature, z);
      // e^-z m as one exponential: far on the losing side the first factor overflows as the second vanishes.
      const both = exponential(minus(logSigmoid(cooled), z));
      return plus(times(-1, product(logSigmoid(z), sigmoid(not(cooled)))), both);
    }
    case "orpo":
      return times(-beta, logSigmoid(minus(minus(logOdds(meanC), logOdds(meanR)), constant(margin))));
  }
}

export interface PreferenceGiven {
  loss: PreferenceLoss;
  divergence?: Divergence;
  reference: ArrayLike<number>;
  pairs: readonly PairGiven[];
  hyper: Hyper;
  /** For WPO: [2P] sums of log sum p^2. */
  collision?: ArrayLike<number>;
}

const REFERENCE_FREE = ["simpo", "cpo", "orpo"];

/** Loss, gradient by the [2P] log-probabilities, and the metrics in the kernel's order. Pairs of weight 0 are padding. */
export function preferenceReference(lp: ArrayLike<number>, given: PreferenceGiven) {
  const { loss, divergence = "reverse-kl", reference, pairs, hyper, collision } = given;
  const P = pairs.length;
  const free = REFERENCE_FREE.includes(loss);
  const real = pairs.flatMap(({ weight }, p) => weight === 0 ? [] : [p]);
  const ratio = (i: number) => lp[i] - (free ? 0 : reference[i]);
  const sortedBy = (key: (p: number) => number) => [...real].sort((a, b) => key(a) - key(b) || a - b);
  let total = 0;
  const gradient = Array<number>(2 * P).fill(0);
  const add = (p: number, c: Dual, r: Dual, at: readonly [number, number]) => {
    const scores = [c, r].map((u) => underDivergence(u, divergence, hyper.divergenceAlpha ?? 0.5));
    let { weight } = pairs[p];
    if (collision) {
      const { chosenTokens, rejectedTokens } = pairs[p];
      weight *= Math.exp((lp[p] - collision[p]) / chosenTokens + (lp[P + p] - collision[P + p]) / rejectedTokens);
    }
    const [value, byChosen, byRejected] = pairLoss(loss, scores[0], scores[1], pairs[p], hyper);
    total += weight * value;
    gradient[at[0]] += weight * byChosen;
    gradient[at[1]] += weight * byRejected;
  };
  if (loss === "aot") {
    const policy = sortedBy((p) => lp[p] - lp[P + p]);
    const met = sortedBy((p) => reference[p] - reference[P + p]);
    policy.forEach((p, rank) => {
      const q = met[rank];
      add(p, [lp[p] - reference[q], 1, 0], [lp[P + p] - reference[P + q], 0, 1], [p, P + p]);
    });
  } else if (loss === "aot-unpaired") {
    const winners = sortedBy((p) => ratio(p));
    const losers = sortedBy((p) => ratio(P + p));
    winners.forEach((p, rank) => add(p, [ratio(p), 1, 0], [ratio(P + losers[rank]), 0, 1], [p, P + losers[rank]]));
  } else for (const p of real) add(p, [ratio(p), 1, 0], [ratio(P + p), 0, 1], [p, P + p]);

  const means = loss === "simpo" || loss === "orpo";
  const metrics = Array<number>(7).fill(0);
  for (const p of real) {
    const { weight, chosenTokens, rejectedTokens } = pairs[p];
    const [c, r] = [ratio(p) / (means ? chosenTokens : 1), ratio(P + p) / (means ? rejectedTokens : 1)];
    const { beta } = hyper;
    [beta * c, beta * r, beta * (c - r), Number(c > r), Number(c < 0), lp[p], lp[P + p]]
      .forEach((value, m) => metrics[m] += weight * value);
  }
  return { loss: total, gradient, metrics };
}

export interface KtoGiven {
  reference: ArrayLike<number>;
  items: readonly { weight: number; desirable: boolean; share: number }[];
  kl: number;
  beta: number;
}

/** Loss, gradient by the [P] log-probabilities, and the metrics in the kernel's order. */
export function ktoReference(lp: ArrayLike<number>, { reference, items, kl, beta }: KtoGiven) {
  let loss = 0;
  const metrics = [0, 0, 0, 0];
  const gradient = items.map(({ weight, desirable, share }, p) => {
    if (share === 0) return 0;
    const ratio = lp[p] - reference[p];
    const z = times(beta, minus([ratio, 1, 0], constant(Math.max(0, kl))));
    const [value, slope] = minus(constant(1), sigmoid(desirable ? z : times(-1, z)));
    loss += weight * value;
    metrics[desirable ? 0 : 1] += share * beta * ratio;
    metrics[desirable ? 2 : 3] += share * lp[p];
    return weight * slope;
  });
  return { loss, gradient, metrics };
}

/**
 * What an order has to say about the pairs that samples allow: how many there are, by how the two programs end; how many
 * it ties; which of its rules decides. All pairs of different programs of a prompt count, whatever a policy would draw.
 */
import { compare, decidedBy, type Judgement, type Order, type OrderName, orderOf } from "../trace/heuristics.ts";
import { byProblem, type Candidate, candidates, type Dropped } from "./pair_candidates.ts";
import { defaultPairOptions, type PairOptions, type PairReason, reasonOf, type Sample } from "./pairs.ts";

export const PAIR_STRATA = ["pass/fail", "fail/fail, same class", "fail/fail, different class"] as const;
export type PairStratum = typeof PAIR_STRATA[number];

export interface StratumCounts {
  pairs: number;
  ties: number;
  /** One of the two was not measured in what the order asks for (a sibling to agree with). */
  incomparable: number;
  /** The rest, by the rule that decided. */
  byRule: Partial<Record<PairReason, number>>;
}

export interface PairStats {
  order: string;
  prompts: number;
  /** Where no program passes. */
  silentPrompts: number;
  samples: number;
  /** Different programs with a sure verdict. */
  programs: number;
  dropped: Dropped;
  strata: Record<PairStratum, StratumCounts>;
}

/** How a program ends; two failures of one class may be told apart by finer rules only. */
export type EndClass = "pass" | "syntax" | "load" | "wrong" | "crash" | "stopped";

export function endClass({ stage, passed, outcomes }: Judgement): EndClass {
  if (stage !== "run") return stage;
  const first = outcomes.find((outcome) => outcome !== "PASS");
  if (passed ?? first === undefined) return "pass";
  return first === "WRONG" ? "wrong" : first === "EXC" ? "crash" : "stopped";
}

export function pairStratum(a: Judgement, b: Judgement): PairStratum | null {
  const [left, right] = [endClass(a), endClass(b)];
  if (left === "pass" && right === "pass") return null;
  if (left === "pass" || right === "pass") return "pass/fail";
  return left === right ? "fail/fail, same class" : "fail/fail, different class";
}

/** Counts over all prompts. Options other than those of judgements (`weightTests`, `seed`) change nothing. */
export function pairStats(
  samples: readonly Sample[],
  order: OrderName | Order,
  options: Partial<PairOptions> = {},
): PairStats {
  const policy = { ...defaultPairOptions, ...options };
  const { name } = orderOf(order);
  const empty = (): StratumCounts => ({ pairs: 0, ties: 0, incomparable: 0, byRule: {} });
  const stats: PairStats = {
    order: name,
    prompts: 0,
    silentPrompts: 0,
    samples: samples.length,
    programs: 0,
    dropped: { infra: 0, duplicate: 0, flaky: 0, unfinishedPass: 0 },
    strata: {
      "pass/fail": empty(),
      "fail/fail, same class": empty(),
      "fail/fail, different class": empty(),
    },
  };
  for (const group of byProblem(samples).values()) {
    const programs = candidates(group, policy, stats.dropped);
    stats.prompts++;
    stats.programs += programs.length;
    if (!programs.some(({ sample }) => sample.result.passed)) stats.silentPrompts++;
    addPairs(stats, programs, order);
  }
  return stats;
}

function addPairs(stats: PairStats, programs: readonly Candidate[], order: OrderName | Order): void {
  programs.forEach(({ record: a }, place) => {
    for (const { record: b } of programs.slice(place + 1)) {
      const stratum = pairStratum(a, b);
      if (stratum === null) continue;
      const counts = stats.strata[stratum];
      counts.pairs++;
      const verdict = compare(a, b, order);
      if (verdict === null) counts.incomparable++;
      else if (verdict === 0) counts.ties++;
      else {
        const rule = reasonOf[decidedBy(a, b, order)!]; // it was not 0
        counts.byRule[rule] = (counts.byRule[rule] ?? 0) + 1;
      }
    }
  });
}

/** Statistics of one data set under several orders, and the pairs that were drawn from it under each. */
export interface DatasetStats {
  dataset: string;
  orders: { stats: PairStats; drawn: Record<string, number> }[];
}

/** Markdown: it reads well on a terminal too. */
export function pairStatsTable(datasets: readonly DatasetStats[]): string {
  return datasets.map(({ dataset, orders }) => {
    const [{ stats: { prompts, silentPrompts, samples, programs, dropped, strata } }] = orders;
    const left = Object.entries(dropped).filter(([cause, n]) => n > 0 && cause !== "duplicate");
    const [certain, same, different] = PAIR_STRATA.map((name) => strata[name].pairs);
    const head = [
      "order",
      "ties, same class",
      "ties, different class",
      "incomparable",
      "failures decided by",
      "pairs drawn",
    ];
    const rows = orders.map(({ stats: { order, strata }, drawn }) => {
      const failing = [strata["fail/fail, same class"], strata["fail/fail, different class"]];
      const unknown = failing.reduce((sum, { incomparable }) => sum + incomparable, 0);
      return [
        order,
        ...failing.map(({ ties, pairs }) => percent(ties, pairs)),
        percent(unknown, same + different),
        rules(failing),
        Object.entries(drawn).filter(([, n]) => n > 0).map(([reason, n]) => `${reason} ${n}`).join(", ") || "none",
      ];
    });
    return [
      `${dataset}: ${prompts} prompts (${silentPrompts} without a pass), ${samples} samples, ${programs} different programs` +
      `${left.map(([cause, n]) => `, ${n} ${cause}`).join("")}.`,
      `Pairs: ${certain} pass/fail; ${same} of two failures of one class, ${different} of two classes.`,
      "",
      `| ${head.join(" | ")} |`,
      `|${head.map(() => "---").join("|")}|`,
      ...rows.map((row) => `| ${row.join(" | ")} |`),
      "",
    ].join("\n");
  }).join("\n");
}

/** `stage 40 %, fraction 60 %`: shares of the decided pairs of two failures. */
function rules(strata: readonly StratumCounts[]): string {
  const sums = new Map<string, number>();
  for (const { byRule } of strata) {
    for (const [rule, n] of Object.entries(byRule)) sums.set(rule, (sums.get(rule) ?? 0) + n);
  }
  const all = [...sums.values()].reduce((sum, n) => sum + n, 0);
  return [...sums].map(([rule, n]) => `${rule} ${percent(n, all)}`).join(", ") || "nothing";
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${(100 * part / whole).toFixed(1)} %`;
}

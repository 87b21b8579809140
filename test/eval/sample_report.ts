/** A report as a run makes it, from invented samples through the real summaries, for tests and for looking at. */
import { makePairs, type Sample } from "../../src/data/pairs.ts";
import { transition } from "../../src/eval/outcomes.ts";
import type { MetricRow, RunReport } from "../../src/eval/report.ts";
import { compareEvaluations, summarize } from "../../src/eval/summary.ts";
import type { Outcome, Stage, Verdict } from "../../src/trace/schema.ts";

const families = ["clamp", "count_vowels", "digit_sum", "dict_invert", "fibonacci", "max_gap", "rotate", "zip_sum"];

/** A run that evaluated before and after. */
export type ComparedReport = RunReport & Required<Pick<RunReport, "before" | "after" | "comparison">>;

export function sampleReport(): ComparedReport {
  const before = samples(1, 0.3);
  const after = samples(2, 0.42);
  const options = { ks: [1, 4], seed: 7, families: new Map(problems().map(({ id, family }) => [id, family])) };
  const [first, second] = [summarize(before, options), summarize(after, options)];
  const { pairs, counts } = makePairs(before, "eta");
  return {
    version: 2,
    recipe: "eta-dpo",
    command: "deno task train --seed 7 --out runs/first",
    seed: 7,
    adapter: "llvmpipe (LLVM 15.0.6, 256 bits)",
    model: { dir: "models/micro-1m", parameters: 1_048_576 },
    data: { name: "micro", trainProblems: 96, evalProblems: first.problems, evalOn: "held-out families" },
    options: { order: "eta", problems: 96, samples: 8, temperature: 1, beta: 0.1, learningRate: 1e-5, steps: 60 },
    before: first,
    after: second,
    comparison: compareEvaluations(first, second, 7),
    transition: transition(before, after),
    pairs: { total: pairs.length, order: "eta", counts },
    trainings: [{ stage: "dpo", steps: 60, metrics: curve() }],
    tables: [{
      title: "Reward model on held-out pairs",
      columns: ["stratum", "pairs", "accuracy"],
      rows: [["pass/fail", 40, 0.9], ["fail/fail", 12, null]],
      note: "Only the second row says anything.",
    }],
    example: {
      problemId: "micro/clamp/3",
      description:
        'def clamp(x, low, high):\n    """ Return x, but at least low and at most high.\n    >>> clamp(5, 0, 3)\n    3\n    """\n',
      reason: "pass/fail",
      test: "clamp(5, 0, 3)",
      chosen: {
        code: "    if x < low:\n        return low\n    if x > high:\n        return high\n    return x\n",
        verdict: "pass",
        testsPassed: 5,
        testsTotal: 5,
        trace: "[L1] call: x=5, low=0, high=3\n[L6] line: x=5, low=0, high=3 | Condition (x < low) is False\n" +
          "[L8] line: x=5, low=0, high=3 | Condition (x > high) is True\n[L9] line: x=5, low=0, high=3 | Returning high\n" +
          "[L9] return: 3\nTest Result: PASS\n",
      },
      rejected: {
        code: "    if x < low:\n        return low\n    if x >= hihg:\n        return high\n    return x\n",
        verdict: "runtime_error",
        testsPassed: 1,
        testsTotal: 5,
        trace: "[L1] call: x=5, low=0, high=3\n[L6] line: x=5, low=0, high=3 | Condition (x < low) is False\n" +
          "[L8] line: x=5, low=0, high=3 | EXCEPTION: NameError(\"name 'hihg' is not defined\")\nTest Result: FAIL\n",
      },
    },
    notes: ["The model has a million parameters: this shows that the machinery works, not how a large model behaves."],
    timing: {
      startedAt: "2026-01-02T03:04:05Z",
      totalSeconds: 431,
      stages: [
        { name: "load", seconds: 2.4, detail: "model, tokenizer, 144 problems" },
        { name: "evaluate before", seconds: 81, detail: "384 samples" },
        { name: "sample", seconds: 95, detail: "768 samples" },
        { name: "trace", seconds: 44, detail: "768 programs in 2 interpreters" },
        { name: "train", seconds: 127, detail: "60 steps of 8 pairs" },
        { name: "evaluate after", seconds: 80, detail: "384 samples" },
      ],
      tokensPerSecond: { sampling: 1843, training: 2210.4 },
    },
  };
}

function problems(): { id: string; family: string }[] {
  return families.flatMap((family) => [1, 2, 3, 4, 5, 6].map((n) => ({ id: `micro/${family}/${n}`, family })));
}

function samples(seed: number, skill: number): Sample[] {
  const random = numbers(seed);
  return problems().flatMap(({ id, family }, problem) =>
    Array.from({ length: 8 }, (_, index) => {
      const easy = families.indexOf(family) / families.length - 0.4;
      const draw = random();
      const verdict: Verdict = draw < skill + 0.5 * easy ? "pass" : ([
        "wrong_answer",
        "wrong_answer",
        "wrong_answer",
        "runtime_error",
        "runtime_error",
        "step_limit",
        "missing_entry",
        "syntax_error",
      ] as const)[Math.floor(random() * 8)];
      return sample(id, index, verdict, random, problem);
    })
  );
}

function sample(problemId: string, index: number, verdict: Verdict, random: () => number, problem: number): Sample {
  const stage: Stage = verdict === "syntax_error" ? "syntax" : verdict === "missing_entry" ? "load" : "run";
  const failure: Outcome = stage !== "run"
    ? "SKIP"
    : verdict === "runtime_error"
    ? "EXC"
    : verdict === "step_limit"
    ? "FUEL"
    : "WRONG";
  const type = ["TypeError", "NameError", "IndexError"][Math.floor(random() * 3)];
  const tests = [0, 1, 2, 3, 4].map((test) => {
    const outcome: Outcome = verdict === "pass" || stage === "run" && random() < 0.3 && test > 0 ? "PASS" : failure;
    return {
      index: test,
      outcome,
      verdict: outcome === "PASS" ? "pass" as const : verdict,
      source: `f(${test})`,
      steps: 3 + Math.floor(random() * 20),
      ...(outcome === "EXC" ? { error: { type, message: "", line: 2 } } : {}),
    };
  });
  return {
    problemId,
    index,
    completion: `    return ${Math.floor(random() * 1000)} + ${problem}\n`,
    tokens: Array.from({ length: 8 + Math.floor(random() * 40) }, () => 1),
    finished: random() < 0.96,
    result: {
      id: `${problemId}#${index}`,
      stage,
      verdict,
      passed: verdict === "pass",
      tests,
      testsPassed: tests.filter((t) => t.outcome === "PASS").length,
      testsTotal: tests.length,
      steps: 5,
      infra: false,
      elapsedMs: 4,
    },
  };
}

function curve(): MetricRow[] {
  const random = numbers(4);
  return Array.from({ length: 31 }, (_, i) => {
    const margin = 0.9 * (1 - Math.exp(-i / 12)) + (i ? 0.08 * (random() - 0.5) : 0);
    return {
      step: 2 * i,
      loss: Math.log1p(Math.exp(-margin)),
      "rewards/chosen": margin / 3,
      "rewards/rejected": -2 * margin / 3,
      "rewards/margins": margin,
      "rewards/accuracies": i ? Math.min(1, 0.55 + i / 60 + 0.1 * (random() - 0.5)) : 0,
      "rewards/chosen_falling": i ? 0.3 + 0.2 * random() : 0,
      grad_norm: 1 + random(),
      learning_rate: 1e-5 * Math.min(1, i / 5),
    };
  });
}

/** mulberry32: a fixed sequence. */
export function numbers(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

// Fuzz program number `index` of a seed: the same on every machine, whatever was run before it.

import type { Candidate } from "../../src/data/candidates.ts";
import { candidateJob } from "../../src/data/candidates.ts";
import type { Problem } from "../../src/data/problem.ts";
import { uniformStream } from "../../src/model/philox.ts";
import { escapes } from "../../src/trace/escapes.ts";
import type { ProgramJob } from "../../src/trace/schema.ts";
import { allocation, endless, nested, recursion, regex } from "./bombs.ts";
import { randomModule } from "./grammar.ts";
import { garbage, mutateCharacters, mutateLines, mutateTokens, splice } from "./mutate.ts";
import { below, pick, type Uniform, weighted } from "./random.ts";

export interface Corpus {
  candidates: Candidate[];
  problems: Map<string, Problem>;
}

/** How often each kind comes, in parts of 100. The bombs are few: most of their time goes into waiting for a limit. */
const shares = {
  tokens: 30,
  lines: 16,
  characters: 13,
  splice: 5,
  grammar: 22,
  garbage: 4,
  nested: 4,
  regex: 0.7,
  allocation: 1.3,
  recursion: 2,
  endless: 1,
  escape: 1,
};
export type Kind = keyof typeof shares;

const limits = { stepsPerTest: 100_000, wallMsPerProgram: 6000, stdoutBytes: 200_000 };

export function fuzzJob(seed: number, index: number, corpus: Corpus): { kind: Kind; job: ProgramJob } {
  const uniform = uniformStream(seed, index);
  const kind = weighted(uniform, shares);
  const more = {
    id: `fuzz-${seed}-${index}`,
    limits,
    trace: uniform() < 0.3 ? "deciding" as const : "none" as const,
    streams: uniform() < 0.2,
  };
  if (kind === "tokens" || kind === "lines" || kind === "characters" || kind === "splice") {
    const candidate = pick(uniform, corpus.candidates);
    const job = candidateJob(corpus.problems.get(candidate.problemId)!, candidate, "none");
    return {
      kind,
      job: { ...job, ...more, program: mutated(uniform, kind, job.program, pick(uniform, corpus.candidates).code) },
    };
  }
  const [program, entryPoint] = kind === "escape"
    ? [pick(uniform, escapes).program, "attempt"]
    : [made[kind](uniform), "f"];
  const call = kind === "escape"
    ? "attempt()"
    : `f(${pick(uniform, ["0", "5", "-3", "[1, 2]", "'ab'", "None", "{}"])})`;
  const tests = Array.from({ length: 1 + below(uniform, 3) }, (_, i) => `assert ${call} == ${i}`);
  return { kind, job: { ...more, program, entryPoint, testKind: "assert-list", tests } };
}

const made = { grammar: randomModule, garbage, nested, regex, allocation, recursion, endless };

function mutated(uniform: Uniform, kind: Kind, program: string, donor: string): string {
  switch (kind) {
    case "tokens":
      return mutateTokens(uniform, program);
    case "lines":
      return mutateLines(uniform, program, donor);
    case "characters":
      return mutateCharacters(uniform, program);
    default:
      return splice(uniform, program, donor);
  }
}

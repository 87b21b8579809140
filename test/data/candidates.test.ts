import { describe, expect, test } from "vitest";
import { candidateJob, parseCandidates } from "../../src/data/candidates.ts";
import { loadProblems } from "../../src/data/datasets.ts";
import { measuredClass } from "../../src/eval/measured.ts";
import { denoHost } from "../../src/host/deno.ts";

const host = denoHost();
const data = "../shared/data";

describe("model outputs with measured results", () => {
  test("all 12,129 have a key of their own and a job for their problem", async () => {
    const packed = await host.gunzip(await host.readBytes(`${data}/candidates.jsonl.gz`));
    const candidates = parseCandidates(new TextDecoder().decode(packed), "candidates.jsonl.gz");
    expect(candidates.length).toBe(12_129);
    expect(new Set(candidates.map(({ key }) => key)).size).toBe(12_129);
    expect(candidates.reduce((sum, { count }) => sum + count, 0)).toBe(15_169);

    const files = await Promise.all(
      ["humaneval", "mbpp", "apps"].map((name) => loadProblems(host, `${data}/${name}.jsonl`)),
    );
    const problems = new Map(files.flat().map((problem) => [problem.id, problem]));
    const kinds: Record<string, number> = {};
    for (const candidate of candidates) {
      const problem = problems.get(candidate.problemId)!;
      const job = candidateJob(problem, candidate, "none");
      expect(job.id).toBe(candidate.key);
      const completes = candidate.codeMode === "completion";
      expect(job.program).toBe(completes ? problem.prompt + candidate.code : candidate.code);
      const kind = `${candidate.codeMode} ${job.testKind}`;
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    expect(kinds).toEqual({
      "completion humaneval-check": 9382,
      "program humaneval-check": 493,
      "program assert-list": 1134,
      "stdio-program stdio": 1120,
    });
    const classes = new Set(candidates.map(({ measured }) => measuredClass(measured!)));
    expect([...classes].filter((name) => !name.startsWith("exc:")).sort()).toEqual(
      ["assert", "pass", "syntax", "timeout"],
    );
  });

  test("rows without a result, sample or count, rows that repeat a key, rows that are wrong", () => {
    const row = { problem_id: "t/1", model: "m", code_mode: "program", code: "x" };
    const text = [row, { ...row, sample: 0, count: 3, result: "pass" }].map((r) => JSON.stringify(r)).join("\n");
    expect(parseCandidates(text, "x.jsonl")).toEqual([
      { key: "t/1#m#0", problemId: "t/1", model: "m", count: 1, codeMode: "program", code: "x", measured: null },
      { key: "t/1#m#0~2", problemId: "t/1", model: "m", count: 3, codeMode: "program", code: "x", measured: "pass" },
    ]);
    const parse = (changes: object) => () => parseCandidates(JSON.stringify({ ...row, ...changes }), "x.jsonl");
    expect(parse({ code_mode: "body" })).toThrow(
      'Cannot read x.jsonl: line 1: field "code_mode" is "body", expected one of completion, program, stdio-program',
    );
    expect(parse({ code: 7 })).toThrow('Cannot read x.jsonl: line 1: field "code" is 7, expected text');
  });
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mutantChains, type MutantLink, type MutantRequest, MUTATIONS } from "../../src/data/mutants.ts";
import { denoHost } from "../../src/host/deno.ts";
import { createPool } from "../../src/trace/pool.ts";

const host = denoHost();
const pool = createPool(() => host.spawnArena(), { size: 1 });
afterAll(() => pool.close());

const SOURCE = `import math


def helper(n):
    return n + 1


def f(xs, low, high):
    """Keep this text: 1 < 2."""
    total = 0
    best = None
    for i in range(len(xs)):
        x = xs[i]
        if x < low or x > high:
            continue
        total += max(x, low) * 2
        if best is None or x > best:
            best = x
    while total > 100:
        total = total // 2
        if total == 77:
            break
    return (total - 1, best, xs[low:high], math.gcd(total, high))
`;
const request = (changes: Partial<MutantRequest> = {}): MutantRequest => (
  { program: SOURCE, entry: "f", firstLine: 1, seed: "1 p", chains: 16, depth: 3, mix: "kinds", ...changes }
);
let chains: MutantLink[][];
beforeAll(async () => chains = await chainsOf());
const chainsOf = async (changes: Partial<MutantRequest> = {}) => (await mutantChains(pool, [request(changes)]))[0];

/** What Python says of texts: whether each compiles, its syntax tree with positions left out, the tree's edit sites. */
const TREES = `
import ast

def main(texts):
    return [ast.dump(ast.parse(text)) for text in texts]
`;
const trees = async (texts: string[]) => await pool.script(TREES, texts) as string[];

test("the seed and a chain's number decide the chain", async () => {
  expect(await chainsOf({ chains: 7 })).toEqual(chains.slice(0, 7));
  const others = await chainsOf({ seed: "2 p", chains: 7 });
  expect(others.filter((chain, i) => chain[2].code === chains[i][2].code)).toEqual([]);
});

test("by places many edits are another variable, by kinds few", async () => {
  const share = (of: MutantLink[][]) => of.flat().filter(({ kind }) => kind === "variable").length / of.flat().length;
  expect(share(await chainsOf({ mix: "places" }))).toBeGreaterThan(0.35);
  expect(share(chains)).toBeLessThan(0.3);
});

test("every link is a program of its own that compiles, one edit from the one before", async () => {
  expect(chains.map((chain) => chain.length)).toEqual(chains.map(() => 3));
  const dumped = await trees([SOURCE, ...chains.flat().map(({ code }) => code)]); // fails on a text that does not compile
  for (const at of chains.keys()) {
    const steps = [dumped[0], ...dumped.slice(1 + 3 * at, 4 + 3 * at)];
    expect(new Set(steps).size).toBe(4);
  }
  const kinds = new Set(chains.flat().map(({ kind }) => kind));
  expect([...kinds].filter((kind) => !MUTATIONS.includes(kind))).toEqual([]);
  expect(kinds.size).toBeGreaterThanOrEqual(MUTATIONS.length - 1); // 48 draws of 11 kinds
  expect(chains.flat().every(({ code }) => code.includes("Keep this text: 1 < 2."))).toBe(true);
});

test("a later edit leaves the earlier ones in place", async () => {
  // A constant turned into a value that stands nowhere else must still be there two edits later.
  const program = "def f(a, b, c):\n    d = a + 1000\n    e = b * 5000\n    g = c - 9000\n    return d + e + g\n";
  const marked = await chainsOf({ program, chains: 60 });
  const marks = /\b(999|1001|4999|5001|8999|9001)\b/g;
  let seen = 0;
  for (const chain of marked) {
    chain.forEach(({ code }, place) => {
      for (const mark of code.match(marks) ?? []) {
        seen++;
        for (const later of chain.slice(place)) expect(later.code).toContain(mark);
      }
    });
  }
  expect(seen).toBeGreaterThan(20);
});

test("lines before the first are left alone", async () => {
  const first = SOURCE.split("\n").findIndex((line) => line.startsWith("    while")) + 1;
  const heads = (await chainsOf({ firstLine: first })).flat().map(({ code, line }) => {
    expect(line).toBeGreaterThanOrEqual(first);
    return code.slice(0, code.indexOf("            best = x\n"));
  });
  expect(heads.length).toBe(48);
  expect(new Set(heads).size).toBe(1);
  expect(heads[0]).toContain("total += max(x, low) * 2");
  expect(await chainsOf({ firstLine: 1000, chains: 2 })).toEqual([[], []]); // nothing is left to edit
});

test("a program with few places gives shorter chains", async () => {
  const short = await chainsOf({ program: "def f(x):\n    return x + 1\n", chains: 20 });
  const lengths = new Set(short.map((chain) => chain.length));
  expect(Math.max(...lengths)).toBeLessThanOrEqual(2); // the operator and the constant
  expect(lengths.has(0)).toBe(false);
  expect(await chainsOf({ program: "def f():\n    pass\n", chains: 2 })).toEqual([[], []]);
});

describe("padding", () => {
  const run = async (program: string) =>
    await pool.run({
      id: "p",
      program,
      entryPoint: "f",
      testKind: "assert-list",
      tests: ["assert f([3, 5, 900], 1, 9)[1] == 5", "assert f([], 1, 9)[1] == 1"],
      streams: true,
      trace: "none",
      limits: { stepsPerTest: 3000 },
    });

  test("takes 102 line events a call and changes no outcome; the quiet kind makes no value either", async () => {
    let measured = 0;
    for (const link of chains.slice(0, 8).map(([_first, second]) => second)) {
      const [plain, counting, quiet] = await Promise.all([link.code, link.padded, link.quiet].map(run));
      if (plain.stage !== "run") continue;
      plain.tests.forEach((test, i) => {
        if (test.outcome === "FUEL") return; // all of them take as many steps as there are
        measured++;
        for (const padded of [counting, quiet]) {
          expect(padded.tests[i].outcome).toBe(test.outcome);
          expect(padded.tests[i].steps - test.steps).toBe(102);
        }
        expect(quiet.tests[i].values).toEqual(test.values);
        expect(counting.tests[i].values!.length).toBeGreaterThan(test.values!.length + 40);
      });
    }
    expect(measured).toBeGreaterThan(8);
  });
});

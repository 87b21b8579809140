import { describe, expect, test } from "vitest";
import { uniformStream } from "../../src/model/philox.ts";
import { causalLines, ddmin, repair } from "../../src/trace/counterfactual.ts";
import { differingLines, lineHunks, linePieces, mergedHunks, patched, splitLines } from "../../src/trace/line_diff.ts";
import { asserts, testPool } from "./helpers.ts";

const pool = testPool();
const tests = ["assert f([3, 1], 9) == 4", "assert f([], 9) == 0", "assert f([5, 6], 9) == 9"];
const judge = (program: string) => pool.run(asserts(program, "f", tests, { limits: { stepsPerTest: 2000 } }));

const right = `def f(items, limit):
    total = 0
    for item in items:
        total += item
    if total > limit:
        total = limit
    return total
`;

describe("line hunks", () => {
  test("turn the one program into the other, and their lines are outside of the common subsequence", () => {
    const random = uniformStream(3, 0);
    const text = (size: number) => Array.from({ length: size }, () => "abcd"[Math.floor(random() * 4)]);
    for (let round = 0; round < 60; round++) {
      const [own, other] = [text(Math.floor(random() * 9)), text(Math.floor(random() * 9))];
      const hunks = lineHunks(own, other);
      expect(patched(own, hunks)).toBe(other.join("\n"));
      for (const most of [1, 2]) {
        const merged = mergedHunks(hunks, own, most);
        expect(merged.length).toBeLessThanOrEqual(most);
        expect(patched(own, merged)).toBe(other.join("\n"));
      }
      const pieces = hunks.flatMap((hunk) => linePieces(own, hunk));
      expect(patched(own, pieces)).toBe(other.join("\n"));
      expect(pieces.every(({ start, end, lines }) => end - start <= 1 && lines.length <= 1)).toBe(true);
      const kept = own.filter((_, i) => !differingLines(own, other).includes(i + 1));
      expect(kept.length).toBe(longestCommon(own, other));
      // No two of them touch, or they would be one.
      hunks.slice(1).forEach((hunk, i) => expect(hunk.start).toBeGreaterThan(hunks[i].end));
    }
  });

  test("see no difference in blanks at a line's end, nor in how lines end", () => {
    expect(lineHunks(splitLines("a  \r\nb\rc"), splitLines("a\nb\nc\t"))).toEqual([]);
  });
});

function longestCommon(a: string[], b: string[]): number {
  if (a.length === 0 || b.length === 0) return 0;
  if (a[0] === b[0]) return 1 + longestCommon(a.slice(1), b.slice(1));
  return Math.max(longestCommon(a.slice(1), b), longestCommon(a, b.slice(1)));
}

describe("exchanging hunks", () => {
  test("finds the one line that is wrong among harmless differences", async () => {
    const wrong = right.replace("total > limit", "total < limit").replace("total += item", "total = total + item");
    const found = await repair(judge, wrong, right);
    // The two lines are neighbours and one hunk, of which one line had to be exchanged: apart, each is judged by itself.
    expect(found.hunks.map(({ start, end }) => [start + 1, end])).toEqual([[4, 5]]);
    expect([...causalLines(found, 7)]).toEqual([[5, 1]]);
    const apart = wrong.replace("    if", "    limit = limit + 0\n    if");
    const again = await repair(judge, apart, right.replace("    if", "    limit = limit + 0\n    if"));
    expect(again.hunks.map(({ start, end }) => [start + 1, end])).toEqual([[4, 4], [6, 6]]);
    expect(again.gains[0]).toBe(0);
    expect(again.gains[1]).toBeGreaterThan(0);
    expect(again.minimal).toEqual([1]);
    expect(again.repaired).toContain("total = total + item");
    expect([...causalLines(again, 8)]).toEqual([[6, 1]]);
    expect((await judge(again.repaired!)).passed).toBe(true);
  });

  test("of a hunk that repairs the program only the lines that had to be exchanged are to blame", async () => {
    const wrong = right.replace("total > limit", "limit > total").replace("total = limit", "total = limit - 1");
    const other = right.replace("item:", "each:").replace(
      "    if total > limit:\n        total = limit",
      "    # most\n    if not total <= limit:\n        total = limit + 0",
    );
    const found = await repair(judge, wrong, other);
    expect(found.hunks.map(({ start, end, lines }) => [start, end, lines.length])).toEqual([[4, 6, 3]]);
    expect(found.minimal).toEqual([0]);
    expect(found.exchanged).toEqual([
      { start: 4, end: 5, lines: ["    if not total <= limit:"] },
      { start: 5, end: 6, lines: ["        total = limit + 0"] },
    ]);
    expect(found.repaired).not.toContain("# most");
    const one = await repair(judge, wrong.replace("limit - 1", "limit"), other);
    expect(one.exchanged).toEqual([{ start: 4, end: 5, lines: ["    if not total <= limit:"] }]);
    expect([...causalLines(one, 7)]).toEqual([[5, 1]]);
  });

  test("an inserted line stands where it comes in, and a part of the tests is a part of the credit", async () => {
    const wrong = `def f(items, limit):
    total = 1
    for item in items:
        total += item
    return total
`;
    const found = await repair(judge, wrong, right);
    expect(found.hunks).toEqual([
      { start: 1, end: 2, lines: ["    total = 0"] },
      { start: 4, end: 4, lines: ["    if total > limit:", "        total = limit"] },
    ]);
    // total = 0 alone mends two tests of three, the limit alone the third.
    expect(found.gains[0]).toBeCloseTo(2 / 3, 12);
    expect(found.gains[1]).toBeCloseTo(1 / 3, 12);
    expect(found.minimal).toEqual([0, 1]);
    expect([...causalLines(found, 5)].map(([line, part]) => [line, part.toFixed(4)])).toEqual([[2, "0.6667"], [
      5,
      "0.3333",
    ]]);
  });

  test("where no line alone helps, the smallest set that does has the credit", async () => {
    const wrong = `def f(items, limit):
    n = 0
    for item in items:
        n += item
    # sum
    spare = 1
    return min(m, limit)
`;
    const other = `def f(items, limit):
    m = 0
    for item in items:
        m += item
    # sum
    spare = 2
    return min(m, limit)
`;
    const filled = (program: string) => pool.run(asserts(program, "f", [tests[0], tests[2]]));
    const found = await repair(filled, wrong, other);
    expect(found.gains).toEqual([0, 0, 0]);
    expect(found.minimal).toEqual([0, 1]);
    expect(found.repaired).toContain("spare = 1");
    expect([...causalLines(found, 7)]).toEqual([[2, 0.5], [4, 0.5]]);
  });

  test("a hunk that is no program by itself has no gain, and too many hunks become few", async () => {
    const wrong = right.replace("    for item in items:", "    while items:").replace("total += item", "pass");
    const other = right.replace("        total += item", "        total += item\n        # next");
    const found = await repair(
      judge,
      right.replace("    if total > limit:\n        total = limit", "    if True: pass"),
      other,
    );
    expect(found.gains.length).toBe(found.hunks.length);
    const one = await repair(judge, wrong, right, { most: 1 });
    expect(one.hunks.length).toBe(1);
    expect(one.minimal).toEqual([0]);
    const broken = `def f(items, limit):
    total = 0
    for item in items:
        total += item
    # here
    if total > limit:
        total = limit + 1
    return total
`;
    const shifted = `def f(items, limit):
    total = 0
    for item in items:
        total += item
    if True:
    # here
      if total > limit:
        total = limit
    return total
`;
    const parts = await repair(judge, broken, shifted);
    expect(parts.gains).toContain(null);
    expect(parts.minimal).not.toBe(null);
  });

  test("of a sibling that fails too nothing is learnt", async () => {
    const found = await repair(judge, right.replace("= 0", "= 1"), right.replace("= 0", "= 2"));
    expect(found).toMatchObject({ minimal: null, repaired: null });
    expect(causalLines(found, 7).size).toBe(0);
  });
});

test("ddmin finds a set from which nothing can be left out", async () => {
  const random = uniformStream(9, 0);
  for (let round = 0; round < 40; round++) {
    const all = Array.from({ length: 8 }, (_, i) => i);
    const needed = all.filter(() => random() < 0.4);
    let asked = 0;
    const found = await ddmin(all, (set) => {
      asked++;
      return Promise.resolve(needed.length > 0 ? needed.every((index) => set.includes(index)) : set.length > 0);
    });
    if (needed.length > 0) expect(found).toEqual(needed);
    else expect(found.length).toBe(1);
    expect(asked).toBeLessThan(80);
  }
});

import { describe, expect, test } from "vitest";
import { agreement, type Answer, commonLength, groupAgreement, streamAgreement } from "../../src/trace/agreement.ts";
import { codeTokens, editDistance, normalisedCode } from "../../src/trace/code_tokens.ts";

describe("common subsequence", () => {
  test.each([
    ["", "", 0],
    ["abc", "", 0],
    ["abcbdab", "bdcaba", 4],
    ["xmjyauz", "mzjawxu", 4],
    ["aab", "ab", 2],
    ["abcd", "abxcd", 4],
  ])("of %s and %s is %i long", (a, b, length) => {
    expect(commonLength([...a], [...b])).toBe(length);
    expect(commonLength([...b], [...a])).toBe(length);
  });

  test("equals the brute-force answer on 300 short random streams", () => {
    const random = numbers(3);
    const stream = () => Array.from({ length: Math.floor(random() * 8) }, () => "abc"[Math.floor(random() * 3)]);
    for (let round = 0; round < 300; round++) {
      const [a, b] = [stream(), stream()];
      expect(commonLength(a, b)).toBe(longestByBruteForce(a, b));
    }
  });
});

describe("stream agreement", () => {
  const passing = ["0", "1", "3", "6", "R:6"];

  test("is 1 with itself and with nothing against nothing, 0 without a common value", () => {
    expect(streamAgreement(passing, passing)).toBe(1);
    expect(streamAgreement([], [])).toBe(1);
    expect(streamAgreement(passing, ["7", "R:8"])).toBe(0);
    expect(streamAgreement(passing, [])).toBe(0);
  });

  test("is the F1 of the common subsequence: an off-by-one sum shares 3 of 5 and 4 values", () => {
    expect(streamAgreement(["0", "1", "3", "R:3"], passing)).toBeCloseTo(2 * 3 / 9, 12);
  });

  test("padding with values the sibling does not have can only lower it", () => {
    const random = numbers(5);
    const values = (alphabet: string) =>
      Array.from({ length: Math.floor(random() * 12) }, () => alphabet[Math.floor(random() * alphabet.length)]);
    let lowered = 0;
    for (let round = 0; round < 500; round++) {
      const [candidate, sibling, padding] = [values("abcde"), values("abcd"), values("xyz")];
      const place = Math.floor(random() * (candidate.length + 1));
      const padded = [...candidate.slice(0, place), ...padding, ...candidate.slice(place)];
      const [before, after] = [streamAgreement(candidate, sibling), streamAgreement(padded, sibling)];
      expect(after).toBeLessThanOrEqual(before);
      if (after < before) lowered++;
    }
    expect(lowered).toBeGreaterThan(200);
  });

  test("a no-op loop of 30 new values costs, one that changes no value does not", () => {
    const looped = [...passing.slice(0, 4), ...Array.from({ length: 30 }, (_, i) => `${100 + i}`), "R:6"];
    expect(streamAgreement(looped, passing)).toBeCloseTo(10 / 40, 12);
    expect(streamAgreement([...passing], passing)).toBe(1);
  });

  test("streams beyond 400 values are cut, so one endless loop does not stall the rest", () => {
    const long = Array.from({ length: 100_000 }, (_, i) => String(i));
    expect(streamAgreement(long, long.slice(0, 400))).toBe(1);
  });
});

describe("agreement with siblings", () => {
  test("takes the best sibling for each test on its own", () => {
    const candidate = [["1", "2"], ["a", "b"]];
    expect(agreement(candidate, [[["1", "2"], ["z"]], [["9"], ["a", "b"]]])).toEqual([1, 1]);
    expect(agreement(candidate, [[["1"], ["z"]]])).toEqual([2 / 3, 0]);
  });

  test("is undefined without siblings", () => {
    expect(agreement([["1"]], [])).toBe(null);
  });

  const answer = (code: string, passed: boolean, ...values: string[][]): Answer => ({
    code,
    result: {
      id: "p",
      stage: "run",
      verdict: passed ? "pass" : "wrong_answer",
      passed,
      tests: values.map((stream, index) => ({
        index,
        outcome: passed ? "PASS" : "WRONG",
        verdict: passed ? "pass" : "wrong_answer",
        source: `f(${index})`,
        steps: 1,
        values: stream,
      })),
      testsPassed: passed ? values.length : 0,
      testsTotal: values.length,
      steps: 1,
      infra: false,
      elapsedMs: 1,
    },
  });

  test("within a prompt, failing answers are held against passing ones; passing ones agree with themselves", () => {
    const answers = [
      answer("return a + b", true, ["R:3"], ["R:5"]),
      answer("return a - b", false, ["R:-1"], ["R:5"]),
    ];
    expect(groupAgreement(answers)).toEqual([[1, 1], [0, 1]]);
  });

  test("looks at the four nearest distinct passing programs only", () => {
    const far = (n: number) => answer(`return ${"x + ".repeat(10 + n)}y`, true, [`R:${n}`]);
    const near = answer("return a", true, ["R:near"]);
    const copies = [1, 2, 3, 4].map(() => answer("return  a  # the same program", true, ["R:copy"]));
    const candidate = answer("return b", false, ["R:2"]);
    // distinct programs by distance: near, far 0, 1, 2; far 3 is the fifth and is not asked
    const siblings = [near, ...copies, far(0), far(1), far(2), far(3)];
    expect(groupAgreement([candidate, ...siblings])[0]).toEqual([1]);
    expect(groupAgreement([answer("return b", false, ["R:3"]), ...siblings])[0]).toEqual([0]);
    expect(groupAgreement([answer("return b", false, ["R:copy"]), ...siblings])[0]).toEqual([0]);
  });

  test("without a passing answer the reference stands in, and without that nothing is said", () => {
    const answers = [answer("return 1", false, ["R:1"]), answer("return 2", false, ["R:2"])];
    expect(groupAgreement(answers)).toEqual([null, null]);
    expect(groupAgreement(answers, answer("return 2 + 0", true, ["R:2"]))).toEqual([[0], [1]]);
    expect(groupAgreement([...answers, answer("return 1 + 0", true, ["R:1"])], answer("return 2 + 0", true, ["R:2"])))
      .toEqual([[1], [0], [1]]);
  });
});

describe("code tokens", () => {
  test("comments, blank lines, spacing and the width of indentation do not count", () => {
    const plain = "def f(a, b):\n    if a:\n        return a+b\n    return -1";
    const spread = "# head\ndef f( a,b ):  # why\n\n  if a :\n      return a + b\n\n\n  return - 1\n\n";
    expect(normalisedCode(spread)).toBe(normalisedCode(plain));
  });

  test("indentation itself, names, strings and their spacing do count", () => {
    const base = "for x in y:\n    a(x)\n    b(x)";
    for (
      const other of ["for x in y:\n    a(x)\nb(x)", "for x in y:\n    a(x)\n    b(y)", base.replace("b(x)", "b('x')")]
    ) {
      expect(normalisedCode(other)).not.toBe(normalisedCode(base));
    }
    // A body that stands one column off its head's does not compile, and must not pass for its neighbour that does.
    expect(normalisedCode("   return x")).not.toBe(normalisedCode("    return x"));
    // A first line one column too deep is a syntax error, and must not pass for its neighbour that runs.
    expect(normalisedCode("     x = 1\n    return x")).not.toBe(normalisedCode("    x = 1\n    return x"));
    expect(normalisedCode("'a  b'")).not.toBe(normalisedCode("'a b'"));
    expect(normalisedCode("'# no comment'")).not.toBe(normalisedCode("'# another'"));
  });

  test("lines inside brackets and after a backslash are one line", () => {
    expect(normalisedCode("x = [1,\n     2,\n  3]\ny = 1 + \\\n  2")).toBe(normalisedCode("x = [1, 2, 3]\ny = 1 + 2"));
  });

  test("tokens of one line, with operators and strings whole", () => {
    expect(codeTokens('x **= f"a\\"b"[1:] // 1.5e-3')).toEqual(
      ["⏎0", "x", "**=", 'f"a\\"b"', "[", "1", ":", "]", "//", "1.5e-3"],
    );
    expect(codeTokens('"""two\nlines"""\nx')).toEqual(["⏎0", '"""two\nlines"""', "⏎0", "x"]);
  });

  test("text that is no Python still has tokens", () => {
    expect(codeTokens("def f(:\n  '''open\n )")).toEqual(["⏎0", "def", "f", "(", ":", "'''open\n )"]);
    expect(codeTokens("")).toEqual([]);
  });

  test("edit distance counts single-token changes", () => {
    expect(editDistance([..."kitten"], [..."sitting"])).toBe(3);
    expect(editDistance(codeTokens("return a + b"), codeTokens("return a - b"))).toBe(1);
    expect(editDistance([], [..."abc"])).toBe(3);
    expect(editDistance([..."abc"], [..."abc"])).toBe(0);
    expect(editDistance([..."aXbc"], [..."abYc"])).toBe(2);
  });
});

function longestByBruteForce(a: string[], b: string[]): number {
  let best = 0;
  for (let subset = 0; subset < 1 << a.length; subset++) {
    const part = a.filter((_, i) => subset >> i & 1);
    if (part.length <= best) continue;
    let found = 0;
    for (const value of b) if (value === part[found]) found++;
    if (found === part.length) best = part.length;
  }
  return best;
}

/** mulberry32: a fixed sequence, so that a failure can be repeated. */
function numbers(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let mixed = Math.imul(seed ^ seed >>> 15, 1 | seed);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
  };
}

import { beforeAll, describe, expect, test } from "vitest";
import type { Explanation } from "../../src/mod.ts";
import { etalon } from "./command.ts";

let dir: string;
beforeAll(async () => {
  dir = await Deno.makeTempDir();
  const right = `def total(items, limit):
    result = 0
    for item in items:
        result += item
    # not too much
    if result > limit:
        result = limit
    return result
`;
  const wrong = right.replace("result > limit", "result < limit").replace("result += item", "result = result + item");
  await Deno.writeTextFile(`${dir}/right.py`, right);
  await Deno.writeTextFile(`${dir}/wrong.py`, wrong);
  await Deno.writeTextFile(
    `${dir}/tests.py`,
    "assert total([], 5) == 0\nassert total([1, 2], 5) == 3\nassert total([4, 4], 5) == 5\n",
  );
});
const explain = (...words: string[]) => etalon("explain", `${dir}/wrong.py`, "--sibling", `${dir}/right.py`, ...words);

describe("etalon explain", () => {
  test("shows the first other value, the slice and the exchange that repairs the program", async () => {
    const { code, stdout, stderr } = await explain("--tests", `${dir}/tests.py`);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const shown = stdout.replaceAll(`${dir}/`, "").split("\n").map((line) => line.trimEnd());
    expect(shown[0]).toBe("wrong.py  0 of 3 tests pass");
    expect(shown.slice(2, 10).map((line) => [line.slice(0, 3).trim(), line.slice(13)])).toEqual([
      ["", "1  def total(items, limit):"],
      ["", "2      result = 0"],
      ["", "3      for item in items:"],
      ["", "4          result = result + item"],
      ["", "5      # not too much"],
      ["*", "6      if result < limit:"],
      ["", "7          result = limit"],
      [">", "8      return result"], // 5 was an argument: no new value before it is returned
    ]);
    expect(shown[7]).toContain("#");
    expect(stdout).toContain("total([], 5)  gives 5, expected 0\n");
    expect(stdout).toContain("line 8 makes R:5, where");
    expect(shown.slice(-3)).toEqual(["", "One exchange (*) repairs the program.", ""]);
  });

  test("prints the same as JSON, and takes a call with what it should return", async () => {
    const { stdout } = await explain("--call", "total([1], 5)", "--expect", "1", "--json");
    const found = JSON.parse(stdout) as Explanation;
    expect(found.minimal).toHaveLength(1);
    expect(found.siblingPassed).toBe(true);
    expect(found.lines.reduce((sum, { cause }) => sum + cause, 0)).toBeCloseTo(1, 12);
  });

  test("says in one line what it cannot do", async () => {
    const cases: [string[], string][] = [
      [["--call", "total([], 5)"], `without --expect no program fails`],
      [["--call", "total([9], 9)", "--expect", "9"], `it passes`],
      [[], "give it one of --call, --tests and --stdin"],
    ];
    for (const [words, message] of cases) {
      const { code, stderr } = await explain(...words);
      expect(code).toBe(1);
      expect(stderr).toContain(message);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    }
  });
});

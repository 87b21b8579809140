// The escape attempts as tests, the same for every kind of arena.

import { beforeAll, describe, expect, test } from "vitest";
import { type Escape, escapes, probe, type RunProgram, selfTest, tryEscape } from "../../src/trace/escapes.ts";
import probeProgram from "../../src/trace/escapes/probe.py" with { type: "text" };

// Refused already, or over before the program ends: nothing of them is to be seen.
const unseen = [
  "the working directory and the file mask",
  "devices replaced or closed",
  "memory grown to its limit",
  "constants of the interpreter",
  "files in the folders of devices and processes",
  "a task left to the event loop",
];

/** @param run runs a program in an arena that goes on to the next one */
export function testEscapes(run: RunProgram) {
  let clean: string;
  beforeAll(async () => {
    clean = await probe(run);
  });

  for (const [group, attempts] of Map.groupBy(escapes, (escape) => escape.group)) {
    describe(group, () => {
      test.each(attempts.map((escape) => [escape.name, escape] as const))("%s", async (_name, escape) => {
        expect(await tryEscape(escape, run)).toBe(null);
        expect(await probe(run), "the next program finds a clean interpreter").toBe(clean);
      });
    });
  }

  describe("the judge of escapes", () => {
    const attempt = (name: string, program: string): Escape => ({ name, group: "test", program, marks: [] });

    test("knows more than a hundred attempts, no two of one name", () => {
      expect(escapes.length).toBeGreaterThan(100);
      expect(new Set(escapes.map(({ group, name }) => `${group}: ${name}`)).size).toBe(escapes.length);
    });

    test("names what succeeds", async () => {
      const open = [
        attempt("a harmless one", "def attempt():\n  return None\n"),
        attempt("a claim", "def attempt():\n  return 'the moon'\n"),
        { ...attempt("a count", "def attempt():\n  return 'x'\n"), marks: ["same"] },
      ];
      await expect(selfTest(run, open)).rejects.toThrow(
        "The sandbox is open: 1 of 3 escape attempts succeeded\ntest: a claim ('the moon')",
      );
    });

    test("takes no broken attempt for one that was held", async () => {
      await expect(selfTest(run, [attempt("a typo", "def atempt():\n  return 1\n")])).rejects.toThrow("a typo");
    });

    // What the rewind undoes must be something the probe would see.
    const nothing = attempt("nothing at all", "def attempt():\n    pass\n");
    const poisons = [nothing, ...escapes.filter(({ group, name }) => group === "state" && !unseen.includes(name))];
    test.each(poisons.map((escape) => [escape.name, escape] as const))("would notice %s", async (name, { program }) => {
      const both = [
        program.replace("def attempt()", "def poison()"),
        probeProgram.replace("def attempt()", "def look()"),
        "def attempt():\n    poison()\n    return look()\n",
      ];
      const found = await probe(run, both.join("\n")).catch(() => "it cannot even look");
      const common = (seen: string) => seen.split(", 'addresses")[0]; // another program lies elsewhere in memory
      if (name === nothing.name) expect(common(found)).toBe(common(clean));
      else expect(common(found)).not.toBe(common(clean));
    });
  });
}

import { afterAll, beforeAll, expect, test } from "vitest";
import { etalon } from "./command.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "etalon-trace-" });
  await Deno.writeTextFile(`${folder}/divide.py`, "def divide(a, b):\n    return a / b\n");
});
afterAll(async () => await Deno.remove(folder, { recursive: true }));

test("trace prints the text form of a failing call and exits with 1", async () => {
  const { code, stdout, stderr } = await etalon("trace", `${folder}/divide.py`, "--call", "divide(10, 0)");
  expect(stderr).toBe("");
  expect(stdout.replaceAll(folder, "DIR")).toBe(
    `Problem: "DIR/divide.py"
Generated Code:
1: def divide(a, b):
2:     return a / b

Test Case: divide(10, 0)
Execution Trace:
[L1] call: a=10, b=0
[L2] line: a=10, b=0 | EXCEPTION: ZeroDivisionError("division by zero")
---
`,
  );
  expect(code).toBe(1);
});

test("trace --json gives the verdict and the events; a call as expected exits with 0", async () => {
  const words = ["--call", "divide(10, 4)", "--expect", "2.5", "--json"];
  const { code, stdout } = await etalon("trace", `${folder}/divide.py`, ...words);
  const result = JSON.parse(stdout);
  expect(result.verdict).toBe("pass");
  expect(result.trace.events.map(({ event_type }: { event_type: string }) => event_type)).toEqual(
    ["call", "line", "return"],
  );
  expect(code).toBe(0);
});

test("trace names a file that is not there, and a call it cannot read", async () => {
  const missing = await etalon("trace", `${folder}/none.py`, "--call", "f()");
  expect(missing.stderr).toBe(`error: Cannot read ${folder}/none.py: no such file\n`);
  const odd = await etalon("trace", `${folder}/divide.py`, "--call", "1 + 1");
  expect(odd.stderr).toBe(`error: Cannot trace: --call "1 + 1" does not start with a function's name\n`);
  expect([missing.code, odd.code]).toEqual([1, 1]);
});

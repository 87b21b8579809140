// Negative controls: tests that pass with anything are worth nothing, so each named mistake in a shader must fail the golden check that
// it names, by far more than rounding could.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Gpu, openGpu } from "../../src/plan/mod.ts";
import { CHECKS, mutate, MUTATIONS } from "./mutations.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

const checks = Object.values(CHECKS).flatMap((family) => Object.entries(family));
const checkOf = (name: string) => {
  const found = checks.filter(([each]) => each === name);
  if (found.length !== 1) throw new Error(`Cannot find the golden check "${name}": there are ${found.length}`);
  return found[0][1];
};

describe("golden checks pass with the shaders as they are", () => {
  const used = [...new Set(MUTATIONS.map(({ check }) => check))];
  for (const name of used) test(name, async () => expect(await checkOf(name)(gpu)).toBeLessThan(1));
});

describe("and fail with", () => {
  for (const mutation of MUTATIONS) {
    test(`${mutation.kernel}: ${mutation.name}`, async () => {
      const seen = { count: 0 };
      const error = await checkOf(mutation.check)(gpu, mutate(mutation, seen));
      expect(seen.count, "kernels changed").toBeGreaterThan(0);
      expect(error).toBeGreaterThan(10);
    });
  }
});

describe("a mutation", () => {
  const [first] = MUTATIONS;
  const kernel = { name: first.kernel, code: "", entry: "forward", bindings: [], dims: [] };

  test("whose text is gone, or there twice, says so", () => {
    for (const [count, code] of [[0, "fn forward() {}"], [2, `${first.find}\n${first.find}`]] as const) {
      expect(() => mutate(first, { count: 0 })({ ...kernel, code })).toThrow(
        `Cannot apply mutation "${first.name}": preference.forward has its text ${count} times, not once`,
      );
    }
  });

  test("leaves other kernels alone", () => {
    const other = { ...kernel, name: "add.forward" };
    expect(mutate(first, { count: 0 })(other)).toBe(other);
  });

  test("has a name and a kernel of its own", () => {
    const names = MUTATIONS.map(({ kernel, name }) => `${kernel}: ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

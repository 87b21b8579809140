import { afterAll, expect, test } from "vitest";
import { denoHost } from "../../src/host/deno.ts";
import { createPool } from "../../src/trace/pool.ts";
import { programKeys } from "../../src/data/program_keys.ts";

const pool = createPool(() => denoHost().spawnArena());
afterAll(() => pool.close());

const base = "def f(a):\n    return a + 1\n";
const same = async (text: string) => {
  const [one, two] = await programKeys(pool, [base, text]);
  return [one.program === two.program, one.lines === two.lines, one.text === two.text];
};

test("what Python reads alike is one program; lines and text tell how nearly it is written alike", async () => {
  expect(await same("def f( a ):\n  return (a+1) # sum\n")).toEqual([true, true, false]);
  expect(await same("def f(a):  \n    return a + 1")).toEqual([true, true, false]);
  expect(await same("def f(a):  \n    return a + 1 \n")).toEqual([true, true, true]);
  expect(await same("def f(a):\n\n    return a + 1")).toEqual([true, false, false]);
  expect(await same("# sum\ndef f(a):\n    return a + 1")).toEqual([true, false, false]);
  expect(await same('def f(a):\n    """Sum."""; return a + 1')).toEqual([true, true, false]);
  const [empty, documented] = await programKeys(pool, ["def f():\n    pass\n", 'def f():\n    "x"\n']);
  expect([empty.program, empty.lines]).toEqual([documented.program, documented.lines]);
});

test("another name, another number or another order is another program", async () => {
  for (const text of ["def f(b):\n    return b + 1", "def f(a):\n    return a + 2", "def f(a):\n    return 1 + a"]) {
    expect(await same(text)).toEqual([false, false, false]);
  }
});

test("texts that do not parse are compared by their tokens, and run as they are", async () => {
  const broken = ["def f(:\n  return 1 # x", "def f( :\n    return 1", "def g(:\n  return 1"];
  const [a, b, c] = await programKeys(pool, broken);
  expect(a.program).toBe(b.program);
  expect(a.lines).not.toBe(b.lines);
  expect(c.program).not.toBe(a.program);
});

test("one hostile text does not spoil the keys of the others", async () => {
  const deep = "x = " + "-".repeat(200_000) + "1";
  const hostile = [deep, "(".repeat(5000), "x = " + "a.b".repeat(50_000), "\0", "\ud800 = 1", ""];
  const keys = await programKeys(pool, [base, ...hostile, base]);
  expect(keys).toHaveLength(8);
  expect(keys[7]).toEqual(keys[0]);
  expect(new Set(keys.map(({ text }) => text)).size).toBe(7);
});

test("keys come in order, however many programs there are", async () => {
  const programs = Array.from({ length: 600 }, (_, i) => `x = ${i % 300}\n`);
  const keys = await programKeys(pool, programs);
  expect(new Set(keys.map(({ program }) => program)).size).toBe(300);
  expect(keys.slice(0, 300)).toEqual(keys.slice(300));
});

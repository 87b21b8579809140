// The README's tasks table and deno.json name the same tasks, so that neither promises what the other lacks.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");
const tasks = Object.keys(JSON.parse(readFileSync(new URL("deno.json", root), "utf8")).tasks).sort();

describe("README.md", () => {
  test("the tasks table lists exactly the tasks of deno.json", () => {
    const rows = [...readme.matchAll(/^\| `deno task ([\w:-]+)[^`]*` \|/gm)].map((match) => match[1]);
    expect([...new Set(rows)].sort()).toEqual(tasks);
  });

  test("no text names a task that deno.json lacks", () => {
    const named = [...readme.matchAll(/deno(?:@[\d.]+)? task ([a-z][\w:-]*)/g)].map((match) => match[1]);
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((name) => !tasks.includes(name))).toEqual([]);
  });
});

import { describe, expect, test } from "vitest";
import { createPages, type Lease } from "../../src/model/decode/pages.ts";
import { random } from "../kernels/check_op.ts";

const prompt = (length: number, seed = 0) => Array.from({ length }, (_, i) => seed * 1000 + i);
const held = ({ shared, template, own }: Lease) =>
  [...shared, ...(template ? [template] : [])].map(({ page }) => page).concat(own);

describe("pages of the cache", () => {
  test("sequences with one prompt share its full pages and what has been computed of the rest", () => {
    const pages = createPages(20);
    const first = pages.admit(prompt(40))!; // 39 tokens are cached: two pages and 7 tokens
    const second = pages.admit(prompt(40))!;
    expect(first.known).toBe(0);
    expect(second.known).toBe(39);
    expect(second.lease.shared).toEqual(first.lease.shared);
    expect(second.lease.template).toBe(first.lease.template);
    expect(new Set([...held(first.lease), ...held(second.lease)]).size).toBe(5);
    const other = pages.admit([...prompt(32), ...prompt(5, 1)])!;
    expect(other.known).toBe(32);
    expect(pages.admit(prompt(1))).toMatchObject({ known: 0, lease: { shared: [], own: [], template: null } });
  });

  test("a prompt's page is found by what stands before it too", () => {
    const pages = createPages(20);
    pages.admit([...prompt(16), ...prompt(16, 2), 5]);
    expect(pages.admit([...prompt(16, 1), ...prompt(16, 2), 5])!.known).toBe(0);
  });

  test("a prompt that finds no room leaves nothing behind", () => {
    const pages = createPages(5);
    const first = pages.admit(prompt(20))!;
    expect(pages.free()).toBe(1);
    expect(pages.admit([...prompt(16), ...prompt(30, 1)])).toBeNull();
    expect(pages.free()).toBe(1);
    expect(pages.admit([...prompt(16), ...prompt(8, 1)])).toBeNull(); // the copy finds no room
    expect(pages.free()).toBe(1);
    pages.release(first.lease);
    const again = pages.admit([...prompt(16), ...prompt(8, 1)])!;
    expect(again.known).toBe(16);
  });

  test("prompts that nobody uses make room, the longest unused first, and never a page that another goes on from", () => {
    const pages = createPages(6);
    for (const seed of [0, 1]) pages.release(pages.admit(prompt(33, seed))!.lease); // two pages each, no rest
    pages.release(pages.admit(prompt(33, 0))!.lease);
    const { lease } = pages.admit(prompt(33, 2))!; // the fifth page, and the last page of prompt 1
    expect(held(lease)).toHaveLength(2);
    expect(pages.admit(prompt(33, 0))!.known).toBe(32);
    expect(pages.admit(prompt(33, 1))).toBeNull(); // its first page is still there, one more is not
    expect(pages.admit(prompt(17, 1))!.known).toBe(16);
  });

  test("no page ever belongs to two sequences that write to it, whatever comes and goes", () => {
    const draw = random(3);
    const below = (n: number) => Math.floor(draw() * n);
    const pages = createPages(40);
    const running: { lease: Lease; length: number }[] = [];
    for (let round = 0; round < 3000; round++) {
      const length = 1 + below(50);
      const admission = below(3) > 0 && pages.admit(prompt(length, below(3)));
      if (admission) {
        pages.copied(admission.lease);
        running.push({ lease: admission.lease, length });
      }
      if (running.length > 0 && (!admission || below(3) === 0)) {
        const at = below(running.length);
        const { lease, length } = running[at];
        if (!pages.extend(lease, length + below(40)) || below(2) === 0) {
          pages.release(lease);
          running.splice(at, 1);
        }
      }
      const own = running.flatMap(({ lease }) => lease.own);
      const shared = new Set(running.flatMap(({ lease }) => lease.shared.map(({ page }) => page)));
      expect(new Set(own).size).toBe(own.length);
      expect(own.filter((page) => shared.has(page) || page < 1 || page >= 40)).toEqual([]);
    }
    for (const { lease } of running) pages.release(lease);
    const all = pages.admit([])!;
    expect(pages.extend(all.lease, 39 * 16)).toBe(true); // every page can be had again
  });
});

/** Loops of a trace folded: repeated cycles of the same lines keep their first two iterations and their last. */
import { type Item, itemKey, itemText } from "./compact_items.ts";
import { indent } from "./serialize.ts";

/** One line of the text, which may stand for several events. */
export interface Line {
  /** how many events are lost if it is left out */
  events: number;
  depth: number;
  /** never left out */
  must: boolean;
  /** only says that events are missing: joins what is left out beside it */
  gap: boolean;
  /** null: no item of its own (omitted iterations) */
  item: Item | null;
  /** values cut to `cap` characters */
  text(cap: number): string;
}

/** Longer cycles of lines are not looked for. */
const longestCycle = 400;

export function unfolded(items: readonly Item[]): Line[] {
  return items.map((item) => ({
    events: item.events,
    depth: item.event?.depth ?? 0,
    must: item.must,
    gap: item.event === null,
    item,
    text: (cap) => itemText(item, cap),
  }));
}

type Node = { key: number; item: Item } | { key: number; iterations: Node[][] };

/**
 * The lines of the items with loops folded, inner ones in the iterations of outer ones. A cycle is a repeated sequence of
 * lines, whatever the values on them and however often its inner cycles turn. Where `[L4-L6] … 37 iterations omitted …`
 * stands for at least one iteration (`… 37 levels omitted …` where each turn is one call deeper or higher); one with an item
 * that must stay, or with `marked`, is not omitted.
 */
export function foldLoops(items: readonly Item[], marked: Item | null): Line[] {
  const keys = new Map<string, number>();
  const number = (text: string) => {
    if (!keys.has(text)) keys.set(text, keys.size);
    return keys.get(text)!;
  };
  const leaves = items.map((item, index): Node => ({ key: number(itemKey(item) || `gap ${index}`), item }));
  return lines(collapse(leaves, (cycle) => number(`(${cycle.map(({ key }) => key).join(" ")})`)), marked);
}

/** Replaces runs of at least two equal cycles, shortest cycles first, until there are none. */
function collapse(nodes: Node[], keyOf: (cycle: Node[]) => number): Node[] {
  for (let period = 1; period <= Math.min(nodes.length / 2, longestCycle);) {
    const out: Node[] = [];
    let at = 0;
    while (at < nodes.length) {
      let equal = 0; // how many nodes in a row are like the one a period later
      while (at + equal + period < nodes.length && nodes[at + equal].key === nodes[at + equal + period].key) equal++;
      if (equal < period) {
        out.push(nodes[at++]);
        continue;
      }
      const turns = Math.floor(equal / period) + 1;
      const iterations = Array.from(
        { length: turns },
        (_, turn) => nodes.slice(at + turn * period, at + (turn + 1) * period),
      );
      out.push({ key: keyOf(iterations[0]), iterations });
      at += turns * period;
    }
    // A folded inner loop makes its outer loop's cycle shorter.
    period = out.length < nodes.length ? 1 : period + 1;
    nodes = out;
  }
  return nodes;
}

function lines(nodes: Node[], marked: Item | null): Line[] {
  return nodes.flatMap((node) => {
    if ("item" in node) return unfolded([node.item]);
    const { iterations } = node;
    const last = iterations.length - 1;
    const stays = (turn: number) =>
      turn < 2 || turn === last || leavesOf(iterations[turn]).some((item) => item.must || item === marked);
    const out: Line[] = [];
    for (let turn = 0; turn <= last;) {
      const from = turn;
      while (!stays(turn)) turn++;
      const rest = iterations.slice(from, turn).flatMap((iteration) => lines(iteration, marked));
      // In place of a single line it would save nothing.
      out.push(
        ...rest.length > 1 ? [omitted(node.iterations, from, turn)] : rest,
        ...lines(iterations[turn++], marked),
      );
    }
    return out;
  });
}

/** Says that the iterations from `from` up to `to` are left out. */
function omitted(all: Node[][], from: number, to: number): Line {
  const iterations = all.slice(from, to).map(leavesOf);
  const top = (items: Item[]) => Math.min(...items.map(({ event }) => event!.depth));
  // Lines of the loop itself, not of what it calls.
  const numbers = iterations.flatMap((items) => {
    const depth = top(items);
    return items.filter(({ event }) => event!.depth === depth).map(({ line }) => line);
  });
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const range = low === high ? `[L${low}]` : `[L${low}-L${high}]`;
  const what = top(leavesOf(all[0])) === top(leavesOf(all[1])) ? "iteration" : "level";
  const turns = `${iterations.length} ${what}${iterations.length === 1 ? "" : "s"}`;
  const text = `${indent(iterations[0][0].event!)}${range} … ${turns} omitted …`;
  const events = iterations.flat().reduce((sum, item) => sum + item.events, 0);
  const depth = Math.min(...iterations.map(top));
  return { events, depth, must: false, gap: false, item: null, text: () => text };
}

function leavesOf(nodes: Node[]): Item[] {
  return nodes.flatMap((node) => "item" in node ? [node.item] : node.iterations.flatMap(leavesOf));
}

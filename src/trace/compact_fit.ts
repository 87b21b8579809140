/** Chooses what of a compact trace (compact.ts) stays within a number of tokens. */
import type { Line } from "./compact_fold.ts";

const caps = [Infinity, 80, 40, 20];
/** Lines at the end that go last. */
const protectedLines = 20;
/** Frames deeper than this are the first to go as a whole. */
const deepest = 3;

/** The first text of the order in compact.ts that fits; if none does, the shortest, which has more tokens than `budget`. */
export function fit(
  full: Line[],
  folded: Line[],
  marked: Line["item"],
  ending: string,
  budget: number,
  count: (text: string) => number,
): { text: string; tokens: number } {
  const make = (lines: Line[], texts: string[], kept: boolean[]) => {
    const text = rendered(lines, texts, kept) + ending;
    return { text, tokens: count(text) };
  };
  const whole = make(full, textsOf(full, Infinity), full.map(() => true));
  if (whole.tokens <= budget) return whole;

  /** As much of a window as fits, or the smallest one. */
  const windowed = (lines: Line[], cap: number, floor: number) => {
    const texts = textsOf(lines, cap);
    const costs = texts.map(count);
    const place = lines.findIndex(({ item }) => item !== null && item === marked);
    // A quarter of four times the sum holds everything.
    let [low, high] = [0, 4 * costs.reduce((sum, cost) => sum + cost, 0)];
    const size = (room: number) => make(lines, texts, chosen(lines, costs, room, floor, place));
    let best = size(high);
    if (best.tokens <= budget) return best;
    best = size(0);
    while (low < high - 1 && best.tokens <= budget) {
      const middle = Math.floor((low + high) / 2);
      const next = size(middle);
      if (next.tokens <= budget) [low, best] = [middle, next];
      else high = middle;
    }
    return best;
  };
  const shallow = folded.map((line) => line.depth > deepest && !line.must ? { ...line, gap: true } : line);
  const tries: (() => { text: string; tokens: number })[] = [
    ...caps.map((cap) => () => windowed(folded, cap, protectedLines)),
    () => windowed(shallow, caps.at(-1)!, protectedLines),
    () => windowed(shallow, caps.at(-1)!, 0),
  ];
  let shortest = whole;
  for (const next of tries) {
    const found = next();
    if (found.tokens <= budget) return found;
    if (found.tokens < shortest.tokens) shortest = found;
  }
  return shortest;
}

/** The lines of a window of about `room` tokens; more room never takes a line away. */
function chosen(lines: Line[], costs: number[], room: number, floor: number, place: number): boolean[] {
  const kept = lines.map((line, index) => line.must || index >= lines.length - floor);
  const take = (from: number, direction: 1 | -1, share: number) => {
    let spent = 0;
    for (let at = from; at >= 0 && at < lines.length; at += direction) {
      spent += costs[at];
      if (spent > share) return;
      kept[at] = true;
    }
  };
  take(0, 1, room / 4);
  take(lines.length - 1, -1, place === -1 ? room * 3 / 4 : room / 2);
  if (place !== -1) {
    take(place, -1, room / 8);
    take(place, 1, room / 8);
  }
  return kept;
}

function textsOf(lines: Line[], cap: number): string[] {
  return lines.map((line) => `${line.text(cap)}\n`);
}

function rendered(lines: Line[], texts: string[], kept: boolean[]): string {
  let out = "";
  let run: number[] = []; // left out in a row
  const tell = () => {
    const omitted = run.reduce((sum, index) => sum + lines[index].events, 0);
    const told = omitted > 0 ? `… ${omitted} event${omitted === 1 ? "" : "s"} omitted …\n` : "";
    // A line such as `[L4]` is shorter than to say that it is missing.
    const instead = run.some((index) => lines[index].gap) ? told : run.map((index) => texts[index]).join("");
    out += instead.length < told.length ? instead : told;
    run = [];
  };
  lines.forEach((line, index) => {
    if (line.gap || !kept[index]) run.push(index);
    else {
      tell();
      out += texts[index];
    }
  });
  tell();
  return out;
}

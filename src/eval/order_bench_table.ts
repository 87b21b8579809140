/** The figures of an order benchmark as text. */
import type { MutantCounts, OrderFigures, Tally } from "./order_bench.ts";
import { STRATA } from "./order_bench.ts";

export interface OrderBenchDocument {
  /** What they are, in words. */
  problems: string;
  chains: number;
  /** How edits were drawn. */
  mix: string;
  seed: number;
  counts: MutantCounts;
  orders: OrderFigures[];
}

/** Markdown: it reads well on a terminal too. */
export function orderBenchTable({ problems, chains, mix, seed, counts, orders }: OrderBenchDocument): string {
  const { oneEdit } = counts;
  const share = (count: number) => (100 * count / Math.max(1, oneEdit.programs)).toFixed(1);
  const left = Object.keys(counts.dropped).length;
  const lines = [
    `${counts.problems} problems of ${problems}${left > 0 ? ` (${left} left out)` : ""}, ${chains} chains of 1 to 3 ` +
    `nested edits each (all ${mix} as likely), seed ${seed}: ${counts.programs} different mutants.`,
    `One edit: ${share(oneEdit.wrong)} % wrong, ${share(oneEdit.crash)} % crash, ${
      share(oneEdit.fuel)
    } % out of steps, ` +
    `${share(oneEdit.pass)} % still pass, ${
      share(oneEdit.other)
    } % other. ${counts.nestedPairs} nested pairs, both failing.`,
    "",
    ...table(
      ["order", "agree / disagree / tie %", "precision [95 %]", ...STRATA, "1 against 3 edits"],
      orders.map(({ order, nested, strata, independent }) => [
        order,
        split(nested),
        precision(nested),
        ...STRATA.map((name) => brief(strata[name])),
        brief(independent),
      ]),
    ),
    "",
    "Worse program preferred, % of nested pairs: as it is, with 102 line events of padding that make new values, with 102",
    "that make none. Then the pairs with a program out of steps that change when all get three times the steps.",
    "",
    ...table(
      ["order", "as it is", "padded", "quietly padded", "changed by steps"],
      orders.map(({ order, worsePreferred: { plain, counting, quiet }, budget, contradictions }) => [
        order + (contradictions > 0 ? ` (${contradictions} contradictions)` : ""),
        ...[plain, counting, quiet].map((value) => (100 * value).toFixed(1)),
        `${budget.changed} of ${budget.pairs}`,
      ]),
    ),
    "",
    "What decided (precision, pairs):",
    "",
    ...orders.map(({ order, byRule }) => {
      const rules = Object.entries(byRule).map(([rule, { decided, agree }]) =>
        `${rule} ${three(agree / decided)} of ${decided}`
      );
      return `- ${order}: ${rules.join(", ") || "nothing"}`;
    }),
  ];
  return lines.join("\n") + "\n";
}

function split({ pairs, agree, disagree, ties }: Tally): string {
  return [agree, disagree, ties].map((count) => (100 * count / Math.max(1, pairs)).toFixed(1)).join(" / ");
}

function precision({ precision }: Tally): string {
  return precision ? `${three(precision.value)} [${three(precision.low)}, ${three(precision.high)}]` : "-";
}

function brief({ precision, pairs, ties }: Tally): string {
  if (!precision) return "-";
  return `${three(precision.value)} (${(100 * ties / pairs).toFixed(0)} % ties)`;
}

/** 0.925 -> .925 */
const three = (value: number) => value.toFixed(3).replace(/^0/, "");

function table(head: readonly string[], rows: readonly string[][]): string[] {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column].length)));
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  return [line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)];
}

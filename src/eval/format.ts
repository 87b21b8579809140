/** Numbers and words as the report writes them. */
import type { OutcomeKind } from "./outcomes.ts";
import type { Interval } from "./statistics.ts";

export const outcomeNames: Record<OutcomeKind, string> = {
  pass: "pass",
  unfinished: "pass, but cut off",
  wrong: "wrong answer",
  crash: "crash",
  limit: "over a limit",
  load: "does not load",
  syntax: "syntax error",
  infra: "not measured",
};

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

/** A change of a share, with its sign: `+4.2` percentage points. */
export function points(change: number): string {
  const text = (100 * change).toFixed(1);
  return change > 0 && text !== "0.0" ? `+${text}` : text.replace("-0.0", "0.0").replace("-", "\u2212");
}

export function interval({ low, high }: Interval, format: (x: number) => string = percent): string {
  return `${format(low)} to ${format(high)}`;
}

/** Three digits that matter: axis labels, metrics. Very small values, such as learning rates, get an exponent. */
export function short(value: number): string {
  const size = Math.abs(value);
  const text = size >= 1000
    ? Math.round(value).toLocaleString("en")
    : size > 0 && size < 0.001
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "\u2212");
}

export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(1)}\u00a0s`;
  if (value < 120) return `${Math.round(value)}\u00a0s`;
  return `${Math.floor(value / 60)}\u00a0min\u00a0${String(Math.round(value % 60)).padStart(2, "0")}\u00a0s`;
}

export function count(value: number, one: string, many = `${one}s`): string {
  return `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
}

/** The arithmetic of the bench: medians, rates, and how numbers are shown. Seconds are wall clock, microseconds GPU stamps. */

/** The middle value; with an even count the upper of the two. NaN for none. */
export function median(values: readonly number[]): number {
  return values.length === 0 ? NaN : [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** `amount` per second, in units of 1e9: FLOPs give GFLOP/s, bytes GB/s. */
export function gigaPerSecond(amount: number, microseconds: number): number {
  return amount / microseconds / 1000;
}

/** Three significant digits, no exponent: 0.0123, 4.57, 1230; whole numbers below a million as they are. */
export function show(value: number): string {
  if (!Number.isFinite(value)) return "-";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude < 2) return value.toFixed(Math.min(8, 2 - magnitude));
  const unit = 10 ** (magnitude - 2);
  return String(Math.round(value / unit) * unit);
}

/** Columns of text: the first to the left, the others to the right. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0].map((_, k) => Math.max(...lines.map((line) => line[k].length)));
  return lines.map((line) =>
    line.map((cell, k) => k === 0 ? cell.padEnd(widths[k]) : cell.padStart(widths[k])).join("  ").trimEnd()
  ).join("\n");
}

/** Intervals by bootstrap: seeded, so that the same measurements give the same interval. */

export interface Interval {
  /** The mean itself. */
  value: number;
  low: number;
  high: number;
}

export interface BootstrapOptions {
  seed: number;
  /** Resamples; 10,000 keeps the ends steady to about a hundredth of the interval's width. */
  draws?: number;
  /** Share of resamples between the ends. */
  level?: number;
  /**
   * The group of each value. With groups, whole groups are drawn: problems of one family are near-copies, and drawing
   * them one by one would make the interval too narrow.
   */
  groups?: readonly string[];
}

/** Percentile bootstrap interval of the mean (Efron 1979), resampling values, or whole groups of them. */
export function meanInterval(values: readonly number[], options: BootstrapOptions): Interval {
  if (values.length === 0) throw new Error("Cannot compute an interval over no values");
  const { seed, draws = 10_000, level = 0.95, groups } = options;
  if (groups && groups.length !== values.length) {
    throw new Error(`Cannot compute an interval: ${values.length} values, but ${groups.length} groups`);
  }
  const units = toUnits(values, groups);
  const random = randomIntegers(seed);
  const means = Float64Array.from({ length: draws }, () => {
    let sum = 0;
    let count = 0;
    for (let i = 0; i < units.length; i++) {
      const unit = units[random(units.length)];
      sum += unit.sum;
      count += unit.count;
    }
    return sum / count;
  }).sort();
  const tail = (1 - level) / 2;
  const value = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { value, low: quantile(means, tail), high: quantile(means, 1 - tail) };
}

/** Interval of the mean change. Paired: the two lists are of the same problems in the same order. */
export function pairedInterval(
  before: readonly number[],
  after: readonly number[],
  options: BootstrapOptions,
): Interval {
  if (before.length !== after.length) {
    throw new Error(`Cannot compare: ${before.length} values before, but ${after.length} after`);
  }
  return meanInterval(after.map((value, i) => value - before[i]), options);
}

/** Value below which a share of the sorted list lies, linear between neighbours. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) throw new Error("Cannot compute a quantile of no values");
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

function toUnits(values: readonly number[], groups?: readonly string[]): { sum: number; count: number }[] {
  const units = new Map<string | number, { sum: number; count: number }>();
  values.forEach((value, i) => {
    const key = groups ? groups[i] : i;
    const unit = units.get(key) ?? { sum: 0, count: 0 };
    unit.sum += value;
    unit.count++;
    units.set(key, unit);
  });
  return [...units.values()];
}

/** Uniform integers below a bound: a Weyl sequence through a 32-bit finaliser (C. Wellons' lowbias32). */
function randomIntegers(seed: number): (bound: number) => number {
  let counter = mixed(seed >>> 0); // mixed, or the sequences of neighbouring seeds would be shifted copies
  return (bound) => {
    counter = (counter + 0x9e3779b9) >>> 0;
    return Math.floor(mixed(counter) / 2 ** 32 * bound);
  };
}

function mixed(x: number): number {
  x = Math.imul(x ^ x >>> 16, 0x7feb352d);
  x = Math.imul(x ^ x >>> 15, 0x846ca68b);
  return (x ^ x >>> 16) >>> 0;
}

// Choices of a fuzz program, all from one stream of uniform numbers.

export type Uniform = () => number;

/** An integer from 0 to `end - 1`. */
export function below(uniform: Uniform, end: number): number {
  return Math.min(end - 1, Math.floor(uniform() * end));
}

export function pick<T>(uniform: Uniform, items: readonly T[]): T {
  return items[below(uniform, items.length)];
}

/** One of the keys, in proportion to its weight. */
export function weighted<Key extends string>(uniform: Uniform, weights: Record<Key, number>): Key {
  const entries = Object.entries(weights) as [Key, number][];
  let left = uniform() * entries.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [key, weight] of entries) {
    left -= weight;
    if (left < 0) return key;
  }
  return entries[entries.length - 1][0];
}

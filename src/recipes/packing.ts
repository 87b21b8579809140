/**
 * Sequence packing: short sequences share a row, each in a segment of its own with positions from 0, so that hardly any
 * position is padding. Attention stays within segments, so losses and gradients are those of rows of their own
 * (Krell et al. 2021, "Efficient sequence packing without cross-contamination"). Rows are filled by first-fit decreasing,
 * which needs at most 11/9 of the fewest rows, and one more (Johnson 1973; Dósa 2007).
 */
import { type BatchArrays, bucketOf, positionsOf, type Sequence } from "./batches.ts";

/** A sequence in a packed row, under the number of its segment. */
export interface Packed {
  sequence: Sequence;
  segment: number;
}

export interface PackedArrays extends BatchArrays {
  /** [B,T] from 0 in every segment. */
  positions: Uint32Array;
  /** [B,T] the number of each position's segment; padding has a number that no segment has. */
  segments: Uint32Array;
}

/** Items of the given lengths in rows of T positions, first-fit decreasing: the items of each row. */
export function packRows(lengths: readonly number[], T: number): number[][] {
  const rows: { items: number[]; free: number }[] = [];
  for (const i of byFallingLength(lengths)) {
    if (lengths[i] > T) throw new Error(`Cannot pack a sequence of ${lengths[i]} positions into rows of ${T}`);
    let row = rows.find(({ free }) => free >= lengths[i]);
    if (!row) rows.push(row = { items: [], free: T });
    row.items.push(i);
    row.free -= lengths[i];
  }
  return rows.map(({ items }) => items);
}

/** Longest first; ties keep their order, so a step is packed the same way wherever it is resumed. */
function byFallingLength(lengths: readonly number[]): number[] {
  return lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a] || a - b);
}

export interface PackedPairs {
  /** Indices of the pairs, in the order of their numbers in this batch. */
  pairs: number[];
  /** Rows of (pair number in this batch, 0 the chosen or 1 the rejected sequence). */
  rows: (readonly [pair: number, side: 0 | 1])[][];
}

/**
 * Pairs of sequences of the given lengths in batches of at most B rows of T positions and `most` pairs. Both sequences of a
 * pair are in one batch, not necessarily in one row.
 */
export function packPairs(
  lengths: readonly (readonly [number, number])[],
  B: number,
  T: number,
  most: number,
): PackedPairs[] {
  const batches: (PackedPairs & { free: number[] })[] = [];
  for (const i of byFallingLength(lengths.map(([a, b]) => Math.max(a, b)))) {
    const longest = Math.max(...lengths[i]);
    if (longest > T || B < 2 && lengths[i][0] + lengths[i][1] > T) {
      throw new Error(`Cannot pack a pair of ${lengths[i].join(" and ")} positions into ${B} rows of ${T}`);
    }
    let placed = batches.some((batch) => placePair(batch, i, lengths[i], most));
    if (!placed) {
      const batch = { pairs: [], rows: Array.from({ length: B }, () => []), free: Array<number>(B).fill(T) };
      batches.push(batch);
      placed = placePair(batch, i, lengths[i], most);
    }
  }
  return batches.map(({ pairs, rows }) => ({ pairs, rows }));
}

function placePair(
  batch: PackedPairs & { free: number[] },
  i: number,
  lengths: readonly [number, number],
  most: number,
): boolean {
  const { pairs, rows, free } = batch;
  if (pairs.length === most) return false;
  const first = free.findIndex((room) => room >= lengths[0]);
  if (first < 0) return false;
  const second = free.findIndex((room, row) => room - (row === first ? lengths[0] : 0) >= lengths[1]);
  if (second < 0) return false;
  const number = pairs.push(i) - 1;
  rows[first].push([number, 0]);
  rows[second].push([number, 1]);
  free[first] -= lengths[0];
  free[second] -= lengths[1];
  return true;
}

/** Row counts of the plans for packed batches of at most B rows: B, B / 2, B / 4 and so on to 1. */
export function rowCounts(B: number): number[] {
  const counts = [B];
  while (counts[counts.length - 1] > 1) counts.push(Math.ceil(counts[counts.length - 1] / 2));
  return counts;
}

/** The fewest rows of a plan that holds `used` rows: the last pass of a step need not be a full one. */
export function fittingRows(used: number, B: number): number {
  return rowCounts(B).findLast((rows) => rows >= used) ?? B;
}

/**
 * As `batchArrays`, several sequences a row, in the order of their segments: attention counts on numbers that never fall along a
 * row. `padding`, above all of them, is the number of positions that belong to no sequence.
 */
export function packedArrays(
  rows: readonly (readonly Packed[])[],
  B: number,
  T: number,
  padId: number,
  padding: number,
): PackedArrays {
  const ids = new Uint32Array(B * T).fill(padId);
  const [targets, positions] = [new Uint32Array(B * T), new Uint32Array(B * T)];
  const segments = new Uint32Array(B * T).fill(padding);
  const mask = new Float32Array(B * T);
  const counts: number[] = [];
  rows.forEach((row, b) => {
    let start = b * T;
    for (const { sequence, segment } of [...row].sort((a, b) => a.segment - b.segment)) {
      const { tokens, promptLength } = sequence;
      const length = positionsOf(sequence);
      if (start + length > (b + 1) * T) {
        throw new Error(`Cannot batch a row: its sequences have more than ${T} positions`);
      }
      let count = 0;
      for (let t = 0; t < length; t++) {
        ids[start + t] = tokens[t];
        targets[start + t] = tokens[t + 1];
        positions[start + t] = t;
        segments[start + t] = segment;
        if (t + 1 < promptLength) continue;
        mask[start + t] = 1;
        count++;
      }
      counts[segment] = count;
      start += length;
    }
  });
  return { ids, targets, mask, counts, positions, segments };
}

/** Share of positions that are padding, in buckets of neighbours in length and packed; steps of `batchSize` items. */
export function paddingShares(
  lengths: readonly number[],
  options: { batchSize: number; microBatch: number; longest: number },
): { bucketed: number; packed: number } {
  const { batchSize, microBatch, longest } = options;
  const { B, T } = packedShape(lengths, microBatch, longest);
  let used = 0, bucketed = 0, packed = 0;
  for (let start = 0; start < lengths.length; start += batchSize) {
    const step = lengths.slice(start, start + batchSize).sort((a, b) => a - b);
    used += step.reduce((sum, length) => sum + length, 0);
    for (let at = 0; at < step.length; at += microBatch) {
      bucketed += microBatch * bucketOf(step[Math.min(step.length, at + microBatch) - 1], longest);
    }
    const rows = packRows(step, T).length;
    const full = Math.floor(rows / B) * B;
    packed += (full + (rows > full ? fittingRows(rows - full, B) : 0)) * T;
  }
  return { bucketed: 1 - used / bucketed, packed: 1 - used / packed };
}

/**
 * Rows and positions of a packed pass that stands in for one of `microBatch` padded rows: rows of twice the longest sequence,
 * since sequences of more than half a row leave the rest of it empty, and half as many of them.
 */
export function packedShape(
  lengths: readonly number[],
  microBatch: number,
  maxPositions: number,
): { B: number; T: number } {
  const longest = lengths.reduce((most, length) => Math.max(most, length), 1);
  const T = bucketOf(Math.min(2 * longest, maxPositions), maxPositions);
  const B = Math.max(1, Math.floor(microBatch * bucketOf(longest, maxPositions) / T));
  // A pair must fit one pass: into one row of twice its longest sequence, or into two rows.
  return { B: B === 1 && T < 2 * longest ? Math.min(2, microBatch) : B, T };
}

/** Tensors of a plan: views into storages. A storage is one GPU buffer, or a place in shared memory until a plan is compiled. */

/** f16 is for storage: sums accumulate in f32. */
export type DType = "f32" | "f16" | "u32" | "i32";
export type Shape = readonly number[];
type StorageKind = "weight" | "gradient" | "input" | "value";

/** Bytes on the GPU. `buffer` is there from the start for everything that outlives a plan, and unset for values. */
export interface Storage {
  readonly id: number;
  readonly kind: StorageKind;
  readonly name: string;
  readonly bytes: number;
  readonly buffer?: GPUBuffer;
  /** Where gradients of this storage accumulate (weights only). */
  readonly gradient?: Storage;
  /** True if a loss can depend on it through differentiable ops. */
  needsGrad: boolean;
}

export interface Tensor {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly storage: Storage;
  /** Byte offset into the storage, a multiple of 256 (the binding alignment every adapter accepts). */
  readonly offset: number;
}

let nextStorage = 0;

export function newStorage(init: Omit<Storage, "id">): Storage {
  return { id: nextStorage++, ...init };
}

export function elements(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of one element. */
export const bytesOf = (dtype: DType = "f32") => dtype === "f16" ? 2 : 4;

/** Bytes of a tensor, up to the next word: a buffer is copied by words. */
export function byteLength(tensor: { shape: Shape; dtype?: DType }): number {
  return Math.ceil(elements(tensor.shape) * bytesOf(tensor.dtype) / 4) * 4;
}

export function showTensor(tensor: Tensor): string {
  return `${tensor.name} [${tensor.shape.join(",")}]`;
}

/** The same bytes under another shape. */
export function reshape(tensor: Tensor, shape: Shape): Tensor {
  if (elements(shape) !== elements(tensor.shape)) {
    throw new Error(
      `Cannot reshape ${showTensor(tensor)} to [${shape.join(",")}]: ${elements(tensor.shape)} elements against ${
        elements(shape)
      }`,
    );
  }
  return { ...tensor, shape };
}

/** Rows [start, start + count) of a tensor kept by rows, without a copy. The byte offset must stay a multiple of 256. */
export function rows(tensor: Tensor, start: number, count: number): Tensor {
  const width = elements(tensor.shape.slice(1));
  const offset = tensor.offset + start * width * bytesOf(tensor.dtype);
  if (start < 0 || start + count > tensor.shape[0]) {
    throw new Error(`Cannot take rows ${start} to ${start + count} of ${showTensor(tensor)}: out of range`);
  }
  if (offset % 256 !== 0) {
    throw new Error(`Cannot take rows of ${showTensor(tensor)} from ${start}: offset ${offset} is no multiple of 256`);
  }
  return { ...tensor, shape: [count, ...tensor.shape.slice(1)], offset };
}

/**
 * The fewest runs of rows of at most `bytes` bytes each that can be bound: every one but the last has as many rows as
 * `granule` allows (a multiple of it, and at a bindable offset). One run where the whole tensor fits.
 */
export function rowRanges(tensor: Tensor, bytes: number, granule = 1): { first: number; count: number }[] {
  const [all] = tensor.shape;
  if (byteLength(tensor) <= bytes) return [{ first: 0, count: all }];
  const row = elements(tensor.shape.slice(1)) * bytesOf(tensor.dtype);
  const step = lcm(granule, 256 / gcd(256, row));
  const count = Math.floor(bytes / row / step) * step;
  if (count === 0) {
    throw new Error(
      `Cannot take ${showTensor(tensor)} by rows: ${step} rows have ${
        step * row
      } bytes, the adapter binds at most ${bytes}`,
    );
  }
  return Array.from({ length: Math.ceil(all / count) }, (_, i) => ({
    first: i * count,
    count: Math.min(count, all - i * count),
  }));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

const lcm = (a: number, b: number) => a / gcd(a, b) * b;

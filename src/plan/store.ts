/** Persistent GPU memory: inputs, state and flat weight pages. Values live in src/plan/memory.ts. */
import { makeBuffer } from "./buffers.ts";
import type { Gpu } from "./device.ts";
import { placeSentinels } from "./guard.ts";
import { flush, flushReaders } from "./queue.ts";
import { byteLength, type DType, elements, newStorage, type Shape, type Storage, type Tensor } from "./tensor.ts";

/** Binding offsets are multiples of 256 bytes, so a flat page places each tensor on such a border. */
const ALIGN = 256;
const align = (bytes: number) => Math.ceil(bytes / ALIGN) * ALIGN;

/** Largest staging buffer: what is longer goes up and comes back in pieces. */
export const STAGING_BYTES = 64 << 20;

function allocate(gpu: Gpu, bytes: number, label: string): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = makeBuffer(gpu, label, Math.max(align(bytes), ALIGN) + gpu.guard, usage);
  placeSentinels(gpu, buffer, label, bytes);
  return buffer;
}

/** A zero-initialised tensor with a buffer of its own: step inputs, caches, counters. Shared by any number of plans. */
export function persistent(gpu: Gpu, name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  const bytes = byteLength({ shape, dtype });
  const { bindingBytes } = gpu.traits;
  if (bytes > bindingBytes) {
    throw new Error(`Cannot allocate ${name}: ${bytes} bytes, the adapter binds at most ${bindingBytes}`);
  }
  const buffer = allocate(gpu, bytes, name);
  return {
    name,
    shape,
    dtype,
    storage: newStorage({ kind: "input", name, bytes, buffer, needsGrad: false }),
    offset: 0,
  };
}

/** f16 tensors take f32 data, which is rounded, or halves as they are. */
export function write(gpu: Gpu, tensor: Tensor, data: Float32Array | Float16Array | Uint32Array | Int32Array): void {
  if (tensor.dtype === "f16" && data instanceof Float32Array) {
    // Copied by words: an odd count takes a zero along.
    const halves = new Float16Array(Math.ceil(data.length / 2) * 2);
    halves.set(data);
    return write(gpu, tensor, halves);
  }
  const buffer = tensor.storage.buffer;
  if (!buffer) throw new Error(`Cannot write ${tensor.name}: it has no memory of its own before a plan is compiled`);
  if (data.byteLength > byteLength(tensor)) {
    throw new Error(`Cannot write ${tensor.name}: ${data.length} elements into [${tensor.shape.join(",")}]`);
  }
  flushReaders(gpu, tensor.storage);
  const { queue } = gpu.device;
  if (data.byteLength <= STAGING_BYTES) {
    return queue.writeBuffer(buffer, tensor.offset, data as unknown as BufferSource);
  }
  // The driver keeps a copy of what is written until the next submit: a large tensor goes in pieces, each submitted.
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < bytes.length; at += STAGING_BYTES) {
    queue.writeBuffer(buffer, tensor.offset + at, bytes.subarray(at, at + STAGING_BYTES));
    queue.submit([]);
  }
}

export interface WeightSpec {
  name: string;
  shape: Shape;
  /** Weight decay applies (matrices), or not (norm gains, biases). */
  decay: boolean;
  /**
   * Tensors that lie one behind the other in this one: files know them, plans use the whole. Their offsets are right for
   * reading and writing, and for binding only if they happen to be multiples of 256.
   */
  packs?: readonly { name: string; shape: Shape }[];
}

/**
 * One flat run of weights with its gradient, as long as the adapter binds at once. A tensor beyond that
 * has a buffer to itself and several pages, each a part of it; ops that use such a tensor take it by rows (`rowRanges`).
 */
export interface WeightPage {
  readonly elements: number;
  readonly decay: boolean;
  readonly weights: Tensor;
  readonly gradients?: Tensor;
}

export interface Weights {
  /** By the names of files. */
  readonly tensors: Map<string, Tensor>;
  /** Tensors that pack several of those. */
  readonly packed: Map<string, Tensor>;
  readonly pages: readonly WeightPage[];
  /** Number of parameters, padding not counted. */
  readonly parameters: number;
}

/** Lays tensors out in flat pages. With `training`, each page gets gradients; moments are the optimizer's. */
export function createWeights(gpu: Gpu, specs: readonly WeightSpec[], training: boolean): Weights {
  const limit = gpu.traits.bindingBytes;
  const named = { tensors: new Map<string, Tensor>(), packed: new Map<string, Tensor>() };
  const pages: WeightPage[] = [];
  for (const decay of [true, false]) {
    const group = specs.filter((spec) => spec.decay === decay);
    let start = 0;
    while (start < group.length) {
      let end = start, bytes = 0;
      while (end < group.length && (end === start || bytes + align(byteLength(group[end])) <= limit)) {
        bytes += align(byteLength(group[end++]));
      }
      pages.push(...createPages(gpu, group.slice(start, end), bytes, decay, training, named));
      start = end;
    }
  }
  const parameters = specs.reduce((sum, spec) => sum + byteLength(spec) / 4, 0);
  return { ...named, pages, parameters };
}

/** One buffer for each kind, and its pages. */
function createPages(
  gpu: Gpu,
  specs: readonly WeightSpec[],
  bytes: number,
  decay: boolean,
  training: boolean,
  { tensors, packed }: Pick<Weights, "tensors" | "packed">,
): WeightPage[] {
  const kind = decay ? "decayed" : "undecayed";
  const flat = (name: string, extra: Partial<Storage> = {}): Tensor => {
    const label = `${name}.${kind}`;
    const buffer = allocate(gpu, bytes, label);
    const storage = newStorage({ kind: "gradient", name: label, bytes, buffer, needsGrad: false, ...extra });
    return { name: label, shape: [bytes / 4], dtype: "f32", storage, offset: 0 };
  };
  const gradients = training ? flat("gradients") : undefined;
  const weights = flat("weights", { kind: "weight", gradient: gradients?.storage, needsGrad: training });
  let offset = 0;
  const place = (into: Map<string, Tensor>, { name, shape }: { name: string; shape: Shape }, offset: number) => {
    if (into.has(name)) throw new Error(`Cannot lay out weights: "${name}" is listed twice`);
    into.set(name, { name, shape, dtype: "f32", storage: weights.storage, offset });
  };
  for (const spec of specs) {
    place(spec.packs ? packed : tensors, spec, offset);
    let part = offset;
    for (const each of spec.packs ?? []) {
      place(tensors, each, part);
      part += byteLength(each);
    }
    if (spec.packs && part !== offset + byteLength(spec)) {
      throw new Error(
        `Cannot lay out weights: the parts of "${spec.name}" have ${part - offset} bytes, it has ${byteLength(spec)}`,
      );
    }
    offset += align(byteLength(spec));
  }
  // Parts begin at multiples of 64 KiB, so that whatever is kept per block of weights has whole blocks.
  const limit = Math.max(ALIGN, Math.floor(gpu.traits.bindingBytes / 65536) * 65536 || gpu.traits.bindingBytes);
  return Array.from({ length: Math.ceil(bytes / limit) }, (_, i) => {
    const elements = Math.min(limit, bytes - i * limit) / 4;
    const part = <T extends Tensor | undefined>(whole: T): T =>
      whole && { ...whole, shape: [elements], offset: whole.offset + i * limit };
    return {
      elements,
      decay,
      weights: part(weights),
      gradients: part(gradients),
    };
  });
}

export interface Reader {
  /** Waits for all submitted work and copies the tensors to the host, in the order given at creation; f16 as f32. */
  read(): Promise<(Float32Array | Uint32Array | Int32Array)[]>;
  destroy(): void;
}

interface Piece {
  readonly tensor: number;
  /** Bytes from the start of the tensor, into the staging buffer, and how many. */
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** Copies in rounds of at most `limit` bytes. */
function readRounds(lengths: readonly number[], limit: number): Piece[][] {
  const rounds: Piece[][] = [[]];
  let to = 0;
  lengths.forEach((length, tensor) => {
    for (let from = 0; from < length;) {
      if (to >= limit) (rounds.push([]), to = 0);
      const bytes = Math.min(length - from, limit - to);
      rounds[rounds.length - 1].push({ tensor, from, to, bytes });
      from += bytes;
      to += align(bytes);
    }
  });
  return rounds;
}

/**
 * One staging buffer for a fixed list of tensors: a readback is one copy list, one submit and one map (11 ms in Deno), or
 * several where the tensors are longer than the staging buffer may be.
 */
export function createReader(gpu: Gpu, tensors: readonly Tensor[], placeOf = persistentPlace): Reader {
  const lengths = tensors.map(byteLength);
  const rounds = readRounds(lengths, STAGING_BYTES);
  const size = Math.max(ALIGN, ...rounds.flat().map(({ to, bytes }) => to + align(bytes)));
  const staging = makeBuffer(gpu, "readback", size, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  return {
    async read() {
      const host = lengths.map((length) => new Uint8Array(length));
      for (const round of rounds) {
        flush(gpu, (encoder) => {
          for (const { tensor, from, to, bytes } of round) {
            const { buffer, offset } = placeOf(tensors[tensor]);
            encoder.copyBufferToBuffer(buffer, offset + from, staging, to, bytes);
          }
        });
        await staging.mapAsync(GPUMapMode.READ);
        gpu.check();
        const mapped = new Uint8Array(staging.getMappedRange());
        for (const { tensor, from, to, bytes } of round) host[tensor].set(mapped.subarray(to, to + bytes), from);
        staging.unmap();
      }
      return tensors.map((tensor, i) => {
        const { buffer } = host[i];
        if (tensor.dtype === "f32") return new Float32Array(buffer);
        if (tensor.dtype === "f16") {
          return Float32Array.from(new Float16Array(buffer).subarray(0, elements(tensor.shape)));
        }
        return tensor.dtype === "u32" ? new Uint32Array(buffer) : new Int32Array(buffer);
      });
    },
    destroy: () => staging.destroy(),
  };
}

function persistentPlace({ name, storage, offset }: Tensor): { buffer: GPUBuffer; offset: number } {
  if (!storage.buffer) throw new Error(`Cannot read ${name}: it is a value of a plan; keep() it there`);
  return { buffer: storage.buffer, offset };
}

/** Copies persistent tensors into others of the same size, on the GPU, before anything that is recorded later. */
export function copyTensors(gpu: Gpu, pairs: readonly (readonly [from: Tensor, to: Tensor])[]): void {
  flush(gpu, (encoder) => {
    for (const [from, to] of pairs) {
      const [source, destination] = [from.storage.buffer!, to.storage.buffer!];
      encoder.copyBufferToBuffer(source, from.offset, destination, to.offset, byteLength(to));
    }
  });
}

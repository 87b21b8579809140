/**
 * safetensors: 8 bytes little-endian header length, a JSON header, then the tensors' bytes.
 * Format: https://github.com/huggingface/safetensors (header size, no overlap and no hole are checked here as there).
 * Floating-point numbers become float32 on reading; writing is float32, and bytes (U8).
 */

export interface StoredTensor {
  /** The dtype in the file; `data` is float32 whatever it was. */
  dtype: "F32" | "F16" | "BF16";
  shape: number[];
  /** Row-major; its length is the product of `shape`. */
  data: Float32Array;
}

export interface SafeTensors {
  /** The file's name, for errors. */
  name: string;
  tensors: Map<string, StoredTensor>;
  /** U8 tensors: optimizer state in 8 bits. They stand in `skipped` too, for whoever wants numbers. */
  bytes: Map<string, { shape: number[]; data: Uint8Array }>;
  /** Tensors of a dtype that is not read here (integer or boolean buffers of some exports), by name. */
  skipped: Map<string, string>;
  metadata: Record<string, string>;
}

const bytesPerElement: Record<string, number> = { F32: 4, F16: 2, BF16: 2 };
const skippedBytes: Record<string, number> = {
  F64: 8,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/**
 * Reads a whole file. `name` stands in errors: `Cannot read <name>: …` for a file cut short, a header that is not
 * JSON, a tensor whose byte range does not fit its shape, overlapping ranges, bytes that belong to no tensor.
 */
export function readSafetensors(bytes: Uint8Array, name: string): SafeTensors {
  const fail = (what: string) => new Error(`Cannot read ${name}: ${what}`);
  bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length); // slice of a Node Buffer would not copy
  const { header, start } = readHeader(bytes, fail);
  const file: SafeTensors = { name, tensors: new Map(), bytes: new Map(), skipped: new Map(), metadata: {} };
  const ranges: { tensor: string; begin: number; end: number }[] = [];
  for (const [tensor, entry] of Object.entries(header)) {
    if (tensor === "__metadata__") {
      file.metadata = readMetadata(entry, fail);
      continue;
    }
    const { dtype, shape, begin, end } = readEntry(tensor, entry, bytes.length - start, fail);
    ranges.push({ tensor, begin, end });
    if (dtype === "U8") file.bytes.set(tensor, { shape, data: bytes.slice(start + begin, start + end) });
    if (dtype in skippedBytes) file.skipped.set(tensor, dtype);
    else {
      const data = widen(bytes.slice(start + begin, start + end), dtype);
      file.tensors.set(tensor, { dtype: dtype as StoredTensor["dtype"], shape, data });
    }
  }
  checkRanges(ranges, bytes.length - start, fail);
  return file;
}

/**
 * One tensor of a file, its shape checked when given. Errors:
 * `Cannot read x.safetensors: tensor "wte" is missing, the file has 148 tensors` and
 * `Cannot read x.safetensors: tensor "wte" has shape [4,3], expected [3,4]`.
 */
export function takeTensor(file: SafeTensors, tensor: string, shape?: readonly number[]): StoredTensor {
  const found = file.tensors.get(tensor);
  if (!found) {
    const dtype = file.skipped.get(tensor);
    const count = file.tensors.size + file.skipped.size;
    throw new Error(
      dtype
        ? `Cannot read ${file.name}: tensor "${tensor}" has dtype ${dtype}, only F32, F16 and BF16 can be read`
        : `Cannot read ${file.name}: tensor "${tensor}" is missing, the file has ${count} tensors`,
    );
  }
  if (shape && !(shape.length === found.shape.length && shape.every((size, axis) => size === found.shape[axis]))) {
    throw new Error(
      `Cannot read ${file.name}: tensor "${tensor}" has shape [${found.shape}], expected [${shape}]`,
    );
  }
  return found;
}

/**
 * The bytes of a file with these tensors as F32 (bytes as U8), in the map's order. The default metadata is what Hugging Face
 * transformers insists on. The same input gives the same bytes.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array | Uint8Array }>,
  metadata: Record<string, string> = { format: "pt" },
): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [tensor, { shape, data }] of tensors) {
    if (tensor === "__metadata__") throw new Error(`Cannot write a tensor named "__metadata__": the name is taken`);
    const count = shape.reduce((product, size) => product * size, 1);
    if (count !== data.length) {
      throw new Error(
        `Cannot write tensor "${tensor}": shape [${shape}] holds ${count} values, data has ${data.length}`,
      );
    }
    const begin = end;
    end += data.byteLength;
    header[tensor] = {
      dtype: data instanceof Uint8Array ? "U8" : "F32",
      shape: [...shape],
      data_offsets: [begin, end],
    };
  }
  let text = JSON.stringify(header);
  const utf8Length = new TextEncoder().encode(text).length;
  text += " ".repeat((8 - utf8Length % 8) % 8); // spaces align the data to 8 bytes, as the reference writer does
  const headerBytes = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + headerBytes.length + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes.length), true);
  bytes.set(headerBytes, 8);
  let offset = 8 + headerBytes.length;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

type Fail = (what: string) => Error;

function readHeader(bytes: Uint8Array, fail: Fail): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8) throw fail(`it has ${bytes.length} bytes, a header length alone takes 8`);
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (length > bytes.length - 8) {
    throw fail(`the header should have ${length} bytes, ${bytes.length - 8} are there (cut short, or not safetensors)`);
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  } catch (error) {
    throw fail(`the header is not JSON (${(error as Error).message})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw fail("the header is not a JSON object");
  }
  return { header: header as Record<string, unknown>, start: 8 + length };
}

function readMetadata(entry: unknown, fail: Fail): Record<string, string> {
  const isText = typeof entry === "object" && entry !== null && !Array.isArray(entry) &&
    Object.values(entry).every((value) => typeof value === "string");
  if (!isText) throw fail("__metadata__ is not a map from text to text");
  return entry as Record<string, string>;
}

function readEntry(tensor: string, entry: unknown, available: number, fail: Fail) {
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const size = typeof dtype === "string" ? bytesPerElement[dtype] ?? skippedBytes[dtype] : undefined;
  if (size === undefined) throw fail(`tensor "${tensor}" has dtype ${JSON.stringify(dtype)}, which is not known`);
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw fail(`tensor "${tensor}" has shape ${JSON.stringify(shape)}, not a list of sizes`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw fail(`tensor "${tensor}" has data_offsets ${JSON.stringify(offsets)}, not [begin, end]`);
  }
  const [begin, end] = offsets as number[];
  const wanted = shape.reduce((product: number, axis: number) => product * axis, 1) * size;
  if (end - begin !== wanted) {
    throw fail(
      `tensor "${tensor}" of shape [${shape}] and dtype ${dtype} takes ${wanted} bytes, it has ${end - begin}`,
    );
  }
  if (end > available) {
    throw fail(`tensor "${tensor}" ends at byte ${end}, the file has ${available} bytes of data (cut short)`);
  }
  return { dtype: dtype as string, shape: shape as number[], begin, end };
}

/** Ranges must tile the data: an overlap or a hole means a damaged or a forged file. */
function checkRanges(ranges: { tensor: string; begin: number; end: number }[], total: number, fail: Fail): void {
  ranges.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  let before = "";
  for (const { tensor, begin, end } of ranges) {
    if (begin < covered) throw fail(`tensors "${before}" and "${tensor}" overlap at byte ${begin}`);
    if (begin > covered) throw fail(`bytes ${covered} to ${begin} belong to no tensor`);
    covered = end;
    before = tensor;
  }
  if (covered !== total) throw fail(`the tensors end at byte ${covered}, the file has ${total} bytes of data`);
}

/** `raw` is a copy of its own, so a float32 tensor may keep it. WebGPU runs on little-endian machines only. */
function widen(raw: Uint8Array<ArrayBuffer>, dtype: string): Float32Array {
  if (dtype === "F32") return new Float32Array(raw.buffer);
  const halves = new Uint16Array(raw.buffer);
  if (dtype === "BF16") {
    // bfloat16 is the upper half of a float32
    return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
  }
  return Float32Array.from(halves, halfToFloat);
}

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = half >> 10 & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24; // zero and subnormals
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

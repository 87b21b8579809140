import { Buffer } from "node:buffer";
import { describe, expect, test } from "vitest";
import { readSafetensors, takeTensor, writeSafetensors } from "../../src/files/safetensors.ts";

const checkpoints = "../shared/data/checkpoints";

/** Index of the first value that differs (0 from -0 too, NaN equals NaN), or -1: expect() on each would take seconds. */
function firstDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return i;
  return -1;
}

/** A file from a header object and data bytes, for damaged and foreign files. */
function fileOf(header: unknown, data: Uint8Array, headerLength?: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength ?? json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const entry = (shape: number[], begin: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

describe("reading published checkpoints", () => {
  test("stories260K has the tensors and shapes its config asks for", () => {
    const file = readSafetensors(Deno.readFileSync(`${checkpoints}/stories260K/model.safetensors`), "stories260K");
    const config = JSON.parse(Deno.readTextFileSync(`${checkpoints}/stories260K/config.json`));
    expect(takeTensor(file, "model.embed_tokens.weight", [config.vocab_size, config.hidden_size]).data.length)
      .toBe(512 * 64);
    takeTensor(file, "model.layers.4.mlp.down_proj.weight", [config.hidden_size, config.intermediate_size]);
    let parameters = 0;
    for (const { data } of file.tensors.values()) {
      parameters += data.length;
      expect(data.every(Number.isFinite)).toBe(true);
    }
    expect(parameters).toBeGreaterThan(250_000);
    expect(parameters).toBeLessThan(270_000);
  });

  test("tiny-random-llama's bfloat16 weights have the spread of its initializer, 0.02", () => {
    const bytes = Deno.readFileSync(`${checkpoints}/tiny-random-llama/model.safetensors`);
    const file = readSafetensors(bytes, "tiny");
    const { dtype, data, shape } = takeTensor(file, "model.layers.0.mlp.up_proj.weight", [344, 128]);
    expect(dtype).toBe("BF16");
    expect(shape).toEqual([344, 128]);
    const deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
    expect(deviation).toBeGreaterThan(0.0195);
    expect(deviation).toBeLessThan(0.0205);
    expect(takeTensor(file, "model.norm.weight").data.every((x) => x === 1)).toBe(true);
  });

  test("a float32 file survives reading, writing and reading bit for bit", () => {
    const first = readSafetensors(Deno.readFileSync(`${checkpoints}/stories260K/model.safetensors`), "a");
    const bytes = writeSafetensors(first.tensors, { format: "pt", seed: "7" });
    const again = readSafetensors(bytes, "b");
    expect([...again.tensors.keys()]).toEqual([...first.tensors.keys()]);
    expect(again.metadata).toEqual({ format: "pt", seed: "7" });
    for (const [name, { shape, data }] of first.tensors) {
      expect(again.tensors.get(name)!.shape).toEqual(shape);
      expect([name, firstDifference(again.tensors.get(name)!.data, data)]).toEqual([name, -1]);
    }
    expect(firstDifference(writeSafetensors(again.tensors, again.metadata), bytes)).toBe(-1);
  });
});

describe("number formats", () => {
  test("all 65,536 half floats widen to the value the platform gives them", () => {
    const halves = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const header = { h: entry([65_536], 0, 131_072, "F16") };
    const { data } = readSafetensors(fileOf(header, new Uint8Array(halves.buffer)), "halves").tensors.get("h")!;
    const view = new DataView(halves.buffer);
    const expected = Float32Array.from(halves, (_, bits) => view.getFloat16(2 * bits, true));
    expect(firstDifference(data, expected)).toBe(-1);
  });

  test("bfloat16 is the upper half of a float32", () => {
    const header = { b: entry([4], 0, 8, "BF16") };
    const raw = new Uint8Array(Uint16Array.from([0x3f80, 0xc049, 0x0000, 0x7f80]).buffer);
    expect([...readSafetensors(fileOf(header, raw), "b").tensors.get("b")!.data]).toEqual([1, -3.140625, 0, Infinity]);
  });

  test("scalars and empty tensors keep their shape", () => {
    const tensors = new Map([
      ["scalar", { shape: [], data: Float32Array.of(2.5) }],
      ["empty", { shape: [0, 3], data: new Float32Array() }],
      ["ünïcode", { shape: [1], data: Float32Array.of(-1) }],
    ]);
    const file = readSafetensors(writeSafetensors(tensors), "x");
    expect(file.tensors.get("scalar")).toEqual({ dtype: "F32", shape: [], data: Float32Array.of(2.5) });
    expect(file.tensors.get("empty")!.shape).toEqual([0, 3]);
    expect(file.tensors.get("ünïcode")!.data[0]).toBe(-1);
    expect(file.metadata).toEqual({ format: "pt" });
  });

  test("a view into a larger buffer is read and written from its own place", () => {
    const whole = new Float32Array([9, 1, 2, 9]);
    const bytes = writeSafetensors(new Map([["v", { shape: [2], data: whole.subarray(1, 3) }]]));
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    expect([...readSafetensors(shifted.subarray(3), "x").tensors.get("v")!.data]).toEqual([1, 2]);
  });

  test("a Node Buffer, whose slice shares memory, is copied all the same", () => {
    const bytes = Buffer.from(writeSafetensors(new Map([["v", { shape: [2], data: Float32Array.of(1, 2) }]])));
    const { data } = readSafetensors(bytes, "x").tensors.get("v")!;
    bytes.fill(0);
    expect([...data]).toEqual([1, 2]);
  });

  test("integer tensors are left out, and asking for one says why", () => {
    const file = readSafetensors(fileOf({ ids: entry([1], 0, 8, "I64") }, new Uint8Array(8)), "x.safetensors");
    expect(file.tensors.size).toBe(0);
    expect(() => takeTensor(file, "ids")).toThrow(
      'Cannot read x.safetensors: tensor "ids" has dtype I64, only F32, F16 and BF16 can be read',
    );
  });
});

describe("errors name the file, the tensor and the two values", () => {
  const file = readSafetensors(
    writeSafetensors(new Map([["wpe", { shape: [2, 3], data: new Float32Array(6) }]])),
    "x.safetensors",
  );

  test("a missing tensor and a wrong shape", () => {
    expect(() => takeTensor(file, "wte")).toThrow(
      'Cannot read x.safetensors: tensor "wte" is missing, the file has 1 tensors',
    );
    expect(() => takeTensor(file, "wpe", [3, 2])).toThrow(
      'Cannot read x.safetensors: tensor "wpe" has shape [2,3], expected [3,2]',
    );
    expect(() => takeTensor(file, "wpe", [2, 3, 1])).toThrow("expected [2,3,1]");
  });

  test("writing a shape that does not fit its data", () => {
    expect(() => writeSafetensors(new Map([["w", { shape: [2, 2], data: new Float32Array(3) }]]))).toThrow(
      'Cannot write tensor "w": shape [2,2] holds 4 values, data has 3',
    );
  });

  const eight = new Uint8Array(8);
  const damaged: [string, Uint8Array, string][] = [
    ["an empty file", new Uint8Array(), "it has 0 bytes, a header length alone takes 8"],
    ["a huge header length", fileOf({}, eight, 2 ** 52), "the header should have 4503599627370496 bytes, 10 are there"],
    ["a header that is not JSON", fileOf("{nope", eight), "the header is not JSON ("],
    ["a header that is a list", fileOf("[]", eight), "the header is not a JSON object"],
    ["an unknown dtype", fileOf({ a: entry([1], 0, 8, "F128") }, eight), 'tensor "a" has dtype "F128"'],
    ["a shape below zero", fileOf({ a: entry([-2], 0, 8) }, eight), 'tensor "a" has shape [-2], not a list of sizes'],
    ["a null entry", fileOf({ a: null }, eight), 'tensor "a" has dtype undefined'],
    ["a missing offset", fileOf({ a: { dtype: "F32", shape: [2] } }, eight), 'tensor "a" has data_offsets undefined'],
    ["a size that differs", fileOf({ a: entry([3], 0, 8) }, eight), "[3] and dtype F32 takes 12 bytes, it has 8"],
    ["data cut short", fileOf({ a: entry([2], 0, 8) }, new Uint8Array(7)), 'tensor "a" ends at byte 8, the file has 7'],
    ["an overlap", fileOf({ a: entry([2], 0, 8), b: entry([1], 4, 8) }, eight), '"a" and "b" overlap at byte 4'],
    ["a hole", fileOf({ a: entry([1], 4, 8) }, eight), "bytes 0 to 4 belong to no tensor"],
    ["bytes at the end", fileOf({ a: entry([1], 0, 4) }, eight), "the tensors end at byte 4, the file has 8 bytes"],
    [
      "odd metadata",
      fileOf({ __metadata__: { n: 1 } }, new Uint8Array()),
      "__metadata__ is not a map from text to text",
    ],
  ];
  test.each(damaged)("%s", (_name, bytes, message) => {
    expect(() => readSafetensors(bytes, "bad.safetensors")).toThrow(`Cannot read bad.safetensors: `);
    expect(() => readSafetensors(bytes, "bad.safetensors")).toThrow(message);
  });

  test("a real checkpoint cut anywhere is refused", () => {
    const whole = Deno.readFileSync(`${checkpoints}/stories260K/model.safetensors`);
    for (const share of [0, 0.0001, 0.003, 0.5, 0.999]) {
      expect(() => readSafetensors(whole.subarray(0, Math.floor(whole.length * share)), "cut")).toThrow(
        "Cannot read cut",
      );
    }
  });
});

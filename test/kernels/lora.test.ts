import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compile, createReader, type Gpu, openGpu, persistent, Plan, write } from "../../src/plan/mod.ts";
import { linear, loraBranch, loraMerge, tokenLogprob, weightedSum } from "../../kernels/mod.ts";
import { attendWithin, createLlama, forward, headWeight, initialize, type Llama } from "../../src/model/llama.ts";
import { createLora, mergeLora } from "../../src/model/lora.ts";
import { checkOp, GUARDED, random } from "./check_op.ts";
import * as reference from "./reference.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

const draw = random(3);
const floats = (count: number, spread = 1) => Float32Array.from({ length: count }, () => (draw() * 2 - 1) * spread);

/** x w^T + s (x a^T) b^T */
function branched(x: Float64Array, w: Float64Array, a: Float64Array, b: Float64Array, sizes: number[], s: number) {
  const [N, I, O, R] = sizes;
  const low = reference.linear(x, a, N, I, R);
  const side = reference.linear(low, b, N, R, O);
  return reference.linear(x, w, N, I, O).map((value, i) => value + s * side[i]);
}

describe("a linear layer with a LoRA branch agrees with its float64 reference, forward and gradient", () => {
  for (const sizes of [[7, 12, 8, 4], [5, 7, 9, 3], [35, 20, 36, 8]]) {
    const [N, I, O, R] = sizes;
    test(`${N} rows, ${I} to ${O}, rank ${R}`, () =>
      checkOp(gpu, {
        inputs: { x: { shape: [N, I] }, a: { shape: [R, I] }, b: { shape: [O, R] }, w: { shape: [O, I] } },
        record: (plan, t) => {
          const y = linear(plan, t.x, t.w);
          loraBranch(plan, y, t.x, { a: t.a, b: t.b, scale: 0.75 });
          return y;
        },
        reference: (v) => branched(v.x, v.w, v.a, v.b, sizes, 0.75),
      }));
    test(`${N} rows, ${I} to ${O}, rank ${R}, the layer itself frozen`, () => {
      const w = floats(O * I);
      return checkOp(gpu, {
        inputs: { x: { shape: [N, I] }, a: { shape: [R, I] }, b: { shape: [O, R] } },
        given: { w: { shape: [O, I], data: w } },
        record: (plan, t) => {
          const y = linear(plan, t.x, t.w);
          loraBranch(plan, y, t.x, { a: t.a, b: t.b, scale: 2 });
          return y;
        },
        reference: (v) => branched(v.x, Float64Array.from(w), v.a, v.b, sizes, 2),
      });
    });
  }
});

test("a merged layer is the layer with its branch, and unmerging takes it out again", async () => {
  const [O, I, R] = [12, 20, 4];
  const [w, a, b] = [[O, I], [R, I], [O, R]].map((shape) => persistent(gpu, "t", shape));
  const values = [floats(O * I), floats(R * I), floats(O * R)];
  [w, a, b].forEach((tensor, i) => write(gpu, tensor, values[i]));
  const reader = createReader(gpu, [w]);
  const merged = async (sign: 1 | -1) => {
    const plan = new Plan("merge", gpu);
    loraMerge(plan, w, { a, b, scale: 0.5 }, sign);
    const executable = await compile(gpu, plan);
    await executable.run();
    executable.destroy();
    return (await reader.read())[0];
  };
  const got = await merged(1);
  for (let o = 0; o < O; o++) {
    for (let i = 0; i < I; i++) {
      let want = values[0][o * I + i];
      for (let r = 0; r < R; r++) want += 0.5 * values[2][o * R + r] * values[1][r * I + i];
      expect(got[o * I + i]).toBeCloseTo(want, 5);
    }
  }
  (await merged(-1)).forEach((value, i) => expect(value).toBeCloseTo(values[0][i], 5));
});

describe("adapters of a Llama", () => {
  const config = { C: 16, F: 24, L: 2, H: 4, G: 2, D: 4, V: 40, normEps: 1e-5, ropeTheta: 1e4, tied: true };
  const rest = { maxPositions: 16, bosId: null, eosId: 0 };
  const [B, T] = [2, 5];
  const targets = ["self_attn.qkv", "self_attn.o_proj", "mlp.gate_up", "mlp.down_proj"];

  function makeModel(training = false): Llama {
    const model = createLlama(gpu, { ...config, ...rest }, training);
    initialize(model, 4);
    return model;
  }

  /** Records log-probabilities of given targets and, if something trains, their gradient. */
  async function run(model: Llama, backward: boolean): Promise<Float32Array> {
    const tokens = Uint32Array.from({ length: B * T }, (_, i) => (7 * i + 3) % config.V);
    const [ids, positions, next] = ["ids", "positions", "targets"].map((name) => persistent(gpu, name, [B * T], "u32"));
    write(gpu, ids, tokens);
    write(gpu, next, tokens.map((id) => (id + 5) % config.V));
    write(gpu, positions, tokens.map((_, i) => i % T));
    const plan = new Plan("lora", gpu);
    const h = forward(plan, model, ids, positions, attendWithin(model.config, B, T));
    const { logprob } = tokenLogprob(plan, h, headWeight(model), next);
    plan.keep(logprob);
    if (backward) {
      const mix = persistent(gpu, "mix", [B * T]);
      write(gpu, mix, Float32Array.from({ length: B * T }, (_, i) => Math.cos(i)));
      plan.backward(weightedSum(plan, logprob, mix, 1), model.one);
    }
    const executable = await compile(gpu, plan);
    await executable.run();
    const [got] = await executable.reader([logprob]).read();
    executable.destroy();
    return got as Float32Array;
  }

  test("begin as nothing: with B = 0 every bit is the base model's", async () => {
    const model = makeModel();
    const lora = createLora(model, { rank: 4, alpha: 8, targets }, false, 1);
    expect(lora.adapters.size).toBe(4 * config.L);
    expect(await run({ ...model, adapters: lora.adapters }, false)).toEqual(await run(model, false));
  });

  test("merged, the model gives what it gave with its branches, and the base model's values when taken out", async () => {
    const model = makeModel();
    const lora = createLora(model, { rank: 4, alpha: 8, targets }, false, 1);
    for (const { b } of lora.adapters.values()) write(gpu, b, floats(b.shape[0] * b.shape[1], 0.3));
    const base = await run(model, false);
    const branches = await run({ ...model, adapters: lora.adapters }, false);
    await mergeLora(gpu, model, lora, 1);
    const merged = await run(model, false);
    await mergeLora(gpu, model, lora, -1);
    const unmerged = await run(model, false);
    expect(Math.max(...branches.map((value, i) => Math.abs(value - base[i])))).toBeGreaterThan(1e-3);
    merged.forEach((value, i) => expect(value).toBeCloseTo(branches[i], 5));
    unmerged.forEach((value, i) => expect(value).toBeCloseTo(base[i], 5));
  });

  test("get the gradient that the chain rule takes from the merged weight's: dA = s B^T dW, dB = s dW A^T", async () => {
    const frozen = makeModel();
    expect(frozen.weights.pages.every((page) => page.gradients === undefined)).toBe(true);
    const lora = createLora(frozen, { rank: 4, alpha: 2, targets }, true, 1);
    const values = new Map(
      [...lora.adapters].map(([name, { b }]) => [name, floats(b.shape[0] * b.shape[1], 0.3)]),
    );
    for (const [name, { b }] of lora.adapters) write(gpu, b, values.get(name)!);
    await run({ ...frozen, adapters: lora.adapters }, true);

    const whole = makeModel(true);
    await mergeLora(gpu, whole, lora, 1);
    await run(whole, true);

    const gradientOf = (tensor: { storage: { gradient?: unknown } }) =>
      ({ ...tensor, storage: tensor.storage.gradient }) as Parameters<typeof createReader>[1][number];
    for (const [name, { a, b, scale }] of lora.adapters) {
      const w = whole.weights.packed.get(name) ?? whole.weights.tensors.get(name)!;
      const [dw, da, db, aValues] = await createReader(gpu, [gradientOf(w), gradientOf(a), gradientOf(b), a]).read();
      const [O, I] = w.shape, R = a.shape[0];
      const bValues = values.get(name)!;
      const largest = Math.max(...dw.map(Math.abs));
      for (let r = 0; r < R; r++) {
        for (let i = 0; i < I; i++) {
          let want = 0;
          for (let o = 0; o < O; o++) want += scale * bValues[o * R + r] * dw[o * I + i];
          expect(Math.abs(da[r * I + i] - want), `dA of ${name}`).toBeLessThan(1e-4 * largest);
        }
        for (let o = 0; o < O; o++) {
          let want = 0;
          for (let i = 0; i < I; i++) want += scale * dw[o * I + i] * aValues[r * I + i];
          expect(Math.abs(db[o * R + r] - want), `dB of ${name}`).toBeLessThan(1e-4 * largest);
        }
      }
      expect(largest).toBeGreaterThan(0);
    }
  });

  test("for a projection that no model has are refused", () => {
    expect(() => createLora(makeModel(), { rank: 4, alpha: 8, targets: ["q_proj"] }, false, 1)).toThrow(
      'Cannot create LoRA adapters: no projection ends in "q_proj", there are self_attn.qkv, mlp.gate_up, ' +
        "model.embed_tokens, self_attn.o_proj, mlp.down_proj",
    );
    expect(() => createLora(makeModel(), { rank: 6, alpha: 8, targets }, false, 1)).toThrow("rank is 6");
  });
});

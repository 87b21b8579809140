import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  checkGuards,
  compile,
  createReader,
  createWeights,
  elements,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { geluErf, pairwiseReward, poolRows, tanh } from "../../kernels/mod.ts";
import golden from "../golden/alignment.json" with { type: "json" };
import { checkOp, expectClose, GUARDED, random } from "./check_op.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu(GUARDED)));
afterAll(() => gpu.close());

/** erf by its series, to about 1e-15 for |x| < 5. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return 2 / Math.sqrt(Math.PI) * sum;
}

describe("functions of single numbers agree with their references, forward and gradient", () => {
  for (const shape of [[3, 5], [2, 8]]) {
    test(`gelu by erf and tanh over ${elements(shape)} numbers`, async () => {
      await checkOp(gpu, {
        inputs: { x: { shape, spread: 4 } },
        record: (plan, t) => geluErf(plan, t.x),
        reference: (v) => v.x.map((x) => x * (1 + erf(x * Math.SQRT1_2)) / 2),
      });
      await checkOp(gpu, {
        inputs: { x: { shape, spread: 2 } },
        record: (plan, t) => tanh(plan, t.x),
        reference: (v) => v.x.map(Math.tanh),
      });
    });
  }

  test("at the ends of f32 both stay finite: gelu is x or 0, tanh is 1 or -1", async () => {
    const ends = [-3e4, -200, -20, 0, 20, 200, 3e4, 3e38];
    const x = persistent(gpu, "x", [ends.length]);
    write(gpu, x, Float32Array.from(ends));
    const plan = new Plan("ends", gpu);
    const outputs = [geluErf(plan, x), tanh(plan, x)].map((y) => plan.keep(y));
    const executable = await compile(gpu, plan);
    await executable.run();
    const [gelu, squashed] = await executable.reader(outputs).read();
    expect([...gelu].map((y) => y + 0)).toEqual(ends.map((x) => Math.fround(Math.max(x, 0))));
    expectClose(squashed, ends.map(Math.sign), 1e-6, 0, "tanh");
  });
});

describe("rows are pooled by weights, forward and gradient", () => {
  for (const [B, T, C] of [[2, 5, 3], [3, 7, 8], [1, 70, 4]]) {
    test(`${B} sequences of ${T} tokens, width ${C}`, () => {
      const draw = random(9);
      const w = Float32Array.from({ length: B * T }, (_, i) => i % 3 === 1 ? 0 : draw());
      return checkOp(gpu, {
        inputs: { x: { shape: [B, T, C] } },
        given: { w: { shape: [B, T], data: w } },
        record: (plan, t) => poolRows(plan, t.x, t.w),
        reference: (v) =>
          Float64Array.from({ length: B * C }, (_, i) => {
            const [b, c] = [Math.floor(i / C), i % C];
            return Array.from({ length: T }, (_, t) => w[b * T + t] * v.x[(b * T + t) * C + c]).reduce((a, z) => a + z);
          }),
      });
    });
  }
});

const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

test("the pairwise loss agrees with its reference, forward and gradient, with margins, centring and padding", () => {
  const P = 7, center = 0.03;
  const margin = Float32Array.from([0, 1, 0.5, 0.25, 0.1, 0, 0]);
  const weight = Float32Array.from([0.2, 0.2, 0.1, 0, 0.3, 0.2, 0]);
  return checkOp(gpu, {
    inputs: { r: { shape: [2 * P], spread: 3 } },
    given: {
      margin: { shape: [P], data: margin },
      weight: { shape: [P], data: weight },
      hyper: { shape: [1], data: Float32Array.of(center) },
    },
    record: (plan, t) =>
      pairwiseReward(plan, { rewards: t.r, margin: t.margin, weight: t.weight, hyper: t.hyper }).loss,
    reference: ({ r }) => {
      let sum = 0;
      for (let p = 0; p < P; p++) {
        sum += weight[p] * (softplus(margin[p] - r[p] + r[P + p]) + center * (r[p] + r[P + p]) ** 2);
      }
      return Float64Array.of(sum);
    },
  });
});

function input(name: string, data: ArrayLike<number>): Tensor {
  const tensor = persistent(gpu, name, [data.length]);
  write(gpu, tensor, Float32Array.from(data));
  return tensor;
}

/** Loss, metrics and gradient of pairs given as [chosen..., rejected...]. */
async function lossOf(r: number[], options: { margin?: number[]; weight?: number[]; center?: number }) {
  const P = r.length / 2;
  const { margin = Array(P).fill(0), weight = Array(P).fill(1 / P), center = 0 } = options;
  const weights = createWeights(gpu, [{ name: "r", shape: [2 * P], decay: false }], true);
  write(gpu, weights.tensors.get("r")!, Float32Array.from(r));
  const plan = new Plan("reward", gpu);
  const { loss, metrics } = pairwiseReward(plan, {
    rewards: weights.tensors.get("r")!,
    margin: input("margin", margin),
    weight: input("weight", weight),
    hyper: input("hyper", [center]),
  });
  plan.keep(loss);
  plan.keep(metrics);
  plan.backward(loss, input("one", [1]));
  const executable = await compile(gpu, plan);
  await executable.run();
  const [value, means] = await executable.reader([loss, metrics]).read();
  const [gradient] = await createReader(gpu, [weights.pages[0].gradients!]).read();
  await checkGuards(gpu);
  executable.destroy();
  return { loss: value[0], metrics: [...means], gradient: [...gradient.slice(0, 2 * P)] };
}

describe("golden rows of the pairwise loss", () => {
  const rows = Object.entries(golden as unknown as Record<string, unknown>).filter(([name]) =>
    name.startsWith("E_rm_")
  );
  test("there are seven", () => expect(rows.length).toBe(7));
  for (const [name, row] of rows) {
    test(name, async () => {
      const { r, margin, center, loss, grad } = row as {
        r: number[];
        margin: number;
        center: number;
        loss: number;
        grad: number[];
      };
      const got = await lossOf(r, { margin: [margin], center });
      expectClose([got.loss], [loss], 1e-7, 1e-6, "loss");
      expectClose(got.gradient, grad, 1e-7, 1e-6, "gradient");
      const [better, worse] = r;
      const metrics = [Number(better > worse), better - worse, Math.min(...r), (better + worse) / 2, Math.max(...r)];
      expectClose(got.metrics, metrics, 1e-6, 1e-6, "metrics");
    });
  }
});

test("metrics are of real pairs alone: padding with rewards of its own changes none", async () => {
  const real = await lossOf([1, 3, 2, 1], { weight: [0.5, 0.5], margin: [0.5, 0.1], center: 0.01 });
  const padded = await lossOf([1, 3, -900, 2, 1, 900], { weight: [0.5, 0.5, 0], margin: [0.5, 0.1, 7], center: 0.01 });
  expect(padded.loss).toBe(real.loss);
  expect(padded.metrics).toEqual(real.metrics);
  expect(real.metrics).toEqual([0.5, 0.5, 1, 1.75, 3]);
  expect(padded.gradient.filter((_, i) => i % 3 !== 2)).toEqual(real.gradient);
  expect(padded.gradient.filter((_, i) => i % 3 === 2).map(Math.abs)).toEqual([0, 0]);
});

test("swapping the two of a pair flips its margin and its gradient", async () => {
  const there = await lossOf([0.7, -1.2], { center: 0 });
  const back = await lossOf([-1.2, 0.7], { center: 0 });
  expect(back.metrics[1]).toBe(-there.metrics[1]);
  expect(back.loss - there.loss).toBeCloseTo(0.7 + 1.2, 6); // L(-d) - L(d) = d
  expect(there.metrics[0] + back.metrics[0]).toBe(1);
});

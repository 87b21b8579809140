// The end points of the pairwise loss: what free rewards converge to (Bradley & Terry 1952).
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  compile,
  createReader,
  createWeights,
  type Gpu,
  openGpu,
  persistent,
  Plan,
  type Tensor,
  write,
} from "../../src/plan/mod.ts";
import { accumulateInto, linear } from "../../kernels/mod.ts";
import { preferenceProbability, rewardLoss } from "../../src/loss/reward.ts";
import { ADAMW, createOptimizer } from "../../src/optim/adamw.ts";

let gpu: Gpu;
beforeAll(async () => void (gpu = await openGpu()));
afterAll(() => gpu.close());

function input(name: string, shape: number[], data: number[]): Tensor {
  const tensor = persistent(gpu, name, shape);
  write(gpu, tensor, Float32Array.from(data));
  return tensor;
}

// Three items with scores (1, 0, -1): all ordered pairs, weighted by the chance of that label.
const truth = [1, 0, -1];
const labelled = [0, 1, 2].flatMap((a) => [0, 1, 2].filter((b) => b !== a).map((b) => [a, b] as const));
const chance = labelled.map(([a, b]) => preferenceProbability(truth[a], truth[b]) / 3);

async function converge(start: number[], center: number, margin = 0) {
  const P = labelled.length;
  const items = [...labelled.map(([a]) => a), ...labelled.map(([, b]) => b)];
  const weights = createWeights(gpu, [{ name: "scores", shape: [1, 3], decay: false }], true);
  const scores = weights.tensors.get("scores")!;
  write(gpu, scores, Float32Array.from(start));
  const which = input("which", [2 * P, 3], items.flatMap((item) => [0, 1, 2].map((i) => Number(i === item))));
  const sum = input("sum", [1], [0]);
  const plan = new Plan("fixpoint", gpu);
  const { loss } = rewardLoss(plan, linear(plan, which, scores), {
    margin: input("margin", [P], Array(P).fill(margin)),
    pairWeight: input("weight", [P], chance),
    hyper: input("hyper", [1], [center]),
  });
  accumulateInto(plan, loss, sum);
  plan.backward(loss, input("one", [1], [1]));
  const executable = await compile(gpu, plan);
  const optimizer = await createOptimizer(gpu, weights, { ...ADAMW, weightDecay: 0 });
  for (let step = 1; step <= 400; step++) {
    write(gpu, sum, Float32Array.of(0));
    await executable.run();
    await optimizer.update(step, 0.1 * (1 - step / 401));
  }
  const reader = createReader(gpu, [scores, sum]);
  const [end, floor] = await reader.read();
  reader.destroy();
  executable.destroy();
  optimizer.destroy();
  return { scores: [...end], loss: floor[0] };
}
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test("free rewards under soft labels end at the true scores up to a constant, and the loss at its floor", async () => {
  const end = await converge([2.3, 1.1, 3.1], 0);
  truth.forEach((want, i) => expect(end.scores[i] - mean(end.scores)).toBeCloseTo(want, 3));
  expect(end.loss).toBeCloseTo(0.5099133576212145, 5);
  expect(Math.abs(mean(end.scores)), "nothing moves the mean").toBeGreaterThan(1);
});

test("centring moves the mean of the same rewards to 0", async () => {
  const end = await converge([2.3, 1.1, 3.1], 0.01);
  expect(mean(end.scores)).toBeCloseTo(0, 3);
  // (r_w + r_l)^2 pulls the outer two in as well: not by much at this strength.
  truth.forEach((want, i) => expect(Math.abs(end.scores[i] - want)).toBeLessThan(0.1));
});

test("a margin spreads the rewards", async () => {
  const [plain, wide] = [await converge([0, 0, 0], 0, 0), await converge([0, 0, 0], 0, 0.5)];
  expect(wide.scores[0] - wide.scores[2]).toBeGreaterThan(plain.scores[0] - plain.scores[2] + 0.1);
});

/** `bench growth`: how step time and memory grow with the tokens of a sequence and with the parameters, with the exponents. */
import { compile, type Gpu } from "../src/plan/mod.ts";
import type { LlamaConfig } from "../src/model/config.ts";
import type { Row, Suite } from "./report.ts";
import { flopsOf, valueBytes } from "./step.ts";
import { destroyModel, isSoftware, randomModel, recordMicroStep, timeInTurns } from "./workload.ts";

/** A small decoder whose width sets its parameters; the context is as long as the longest measured. */
function decoder(C: number, L: number, maxPositions: number): LlamaConfig {
  const D = 32;
  return {
    C,
    F: C * 3,
    L,
    H: C / D,
    G: C / D,
    D,
    V: 512,
    normEps: 1e-5,
    ropeTheta: 10_000,
    tied: true,
    maxPositions,
    bosId: 1,
    eosId: 2,
  };
}

interface Point extends Row {
  /** What the row is plotted against. */
  at: number;
}

/**
 * The exponent e of y = a x^e: the slope of a least-squares line through the logarithms. NaN for fewer than two points.
 */
export function exponent(points: readonly { x: number; y: number }[]): number {
  const logs = points.map(({ x, y }) => [Math.log(x), Math.log(y)]);
  const mean = (k: number) => logs.reduce((sum, pair) => sum + pair[k], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0);
  return covariance / logs.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
}

async function measure(gpu: Gpu, config: LlamaConfig, B: number, T: number, rounds: number) {
  const model = randomModel(gpu, config);
  const { plan, loss, destroy } = recordMicroStep(model, "sft", B, T);
  const executable = await compile(gpu, plan);
  const [ms] = await timeInTurns([{ executable, watch: loss }], rounds);
  const values = valueBytes(plan).shared;
  // Weights, gradients and two moments: four buffers of the same size.
  const state = 16 * model.weights.pages.reduce((sum, page) => sum + page.elements, 0);
  const result = { ms, flops: flopsOf(plan), bytes: values + state, values, parameters: model.weights.parameters };
  executable.destroy();
  destroy();
  destroyModel(model);
  return result;
}

function suite(name: string, workload: string, points: readonly Point[]): Suite {
  const columns = ["ms", "peak MB"];
  const slope = (of: readonly Point[], column: string) =>
    exponent(of.map(({ at, values }) => ({ x: at, y: values[column] })));
  const ends = (of: readonly Point[]) => Object.fromEntries(columns.map((column) => [column, slope(of, column)]));
  return {
    name,
    workload,
    rows: [
      ...points.map(({ name, values }) => ({ name, values })),
      { name: "exponent, all", values: ends(points) },
      { name: "exponent, last three", values: ends(points.slice(-3)) },
    ],
  };
}

/** Two suites. On a GPU the models are 8 times as wide, so that there is work to measure. */
export async function benchGrowth(gpu: Gpu, rounds: number, quick: boolean): Promise<Suite[]> {
  const scale = isSoftware(gpu.adapterName) ? 1 : 8;
  const lengths = quick ? [128, 256, 512] : [128, 256, 512, 1024, 2048, 4096];
  const widths = quick ? [32, 64, 96] : [32, 64, 96, 128, 192, 256];
  const overT: Point[] = [];
  for (const T of lengths) {
    const { ms, bytes, values, flops } = await measure(gpu, decoder(64 * scale, 2, 4096), 1, T, rounds);
    overT.push({
      name: `T ${T}`,
      at: T,
      values: {
        T,
        ms,
        "tokens/s": T / ms * 1000,
        "GFLOP/s": flops / ms / 1e6,
        "peak MB": bytes / 1e6,
        "values MB": values / 1e6,
      },
    });
  }
  const overN: Point[] = [];
  for (const C of widths) {
    const { ms, bytes, parameters, flops } = await measure(gpu, decoder(C * scale, 4, 128), 4, 128, rounds);
    overN.push({
      name: `width ${C * scale}`,
      at: parameters,
      values: { parameters, ms, "GFLOP/s": flops / ms / 1e6, "peak MB": bytes / 1e6 },
    });
  }
  return [
    suite(
      "growth with T",
      `SFT micro-step of one sequence, width ${64 * scale}, 2 layers; peak: weights, gradients, moments, values`,
      overT,
    ),
    suite("growth with parameters", "SFT micro-step of 4 x 128 tokens, 4 layers", overN),
  ];
}

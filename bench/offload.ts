/** `bench offload`: scoring with the layers in host memory beside scoring with all of them on the GPU, in turns. */
import { compile, elements, type Gpu, Plan } from "../src/plan/mod.ts";
import { tokenLogprob, weightedSum } from "../kernels/mod.ts";
import type { LlamaConfig } from "../src/model/config.ts";
import { attendWithin, createLlama, forward, headWeight, setWeights } from "../src/model/llama.ts";
import { createStreamedForward, createStreamedLlama, streamedHidden } from "../src/model/streamed.ts";
import { batchInputs, destroyInputs } from "../src/recipes/scorer.ts";
import type { Row, Suite } from "./report.ts";
import { destroyModel, isSoftware } from "./workload.ts";
import { gigaPerSecond, median } from "./units.ts";

/** A software adapter gets a quarter of the width: its host copies as fast, and computes a thousand times slower. */
function shapeFor(software: boolean): { config: LlamaConfig; B: number; T: number } {
  const C = software ? 512 : 2048;
  const rest = { normEps: 1e-5, ropeTheta: 10_000, tied: true, maxPositions: 1024, bosId: 1, eosId: 2, V: 4096, D: 64 };
  const config = { C, F: 2.75 * C, L: 8, H: C / 64, G: C / 256, ...rest };
  return { config, B: software ? 1 : 16, T: software ? 64 : 1024 };
}

export async function benchOffload(gpu: Gpu, rounds: number): Promise<Suite> {
  const { config, B, T } = shapeFor(isSoftware(gpu.adapterName));
  const model = createLlama(gpu, config, false);
  const host = new Map([...model.weights.tensors].map(([name, { shape }]) => {
    const data = new Float32Array(elements(shape));
    for (let i = 0; i < data.length; i++) data[i] = ((i * 7919) % 13 - 6) * 0.01; // normal numbers would take minutes
    return [name, { shape, data }];
  }));
  setWeights(model, host, "made-up weights");
  const streamed = createStreamedLlama(gpu, config, host, "made-up weights");
  const inputs = batchInputs(model, B, T);
  const attend = attendWithin(config, B, T);
  const finished = async (name: string, hidden: (plan: Plan) => ReturnType<typeof forward>) => {
    const plan = new Plan(name, gpu);
    const { logprob } = tokenLogprob(plan, hidden(plan), headWeight(model), inputs.targets);
    const out = plan.keep(weightedSum(plan, logprob, inputs.mask, B));
    const executable = await compile(gpu, plan);
    return { executable, reader: executable.reader([out]) };
  };
  const whole = await finished("resident", (plan) => forward(plan, model, inputs.ids, inputs.positions, attend));
  const layers = await createStreamedForward(streamed, inputs.ids, inputs.positions, attend);
  const head = await finished("streamed", (plan) => streamedHidden(plan, streamed, layers.x));
  const timed = async (run: () => Promise<unknown>) => {
    const start = performance.now();
    await run();
    return performance.now() - start;
  };
  const resident = async () => (await whole.executable.run(), await whole.reader.read());
  const fromHost = async () => (await layers.run(), await head.executable.run(), await head.reader.read());
  const uploads = async () => {
    for (let l = 0; l < config.L; l++) await streamed.load(l);
    await head.reader.read(); // waits for the copies
  };
  const samples = { resident: [] as number[], fromHost: [] as number[], uploads: [] as number[] };
  const before = streamed.uploader.total.bytes;
  await uploads();
  const uploadBytes = streamed.uploader.total.bytes - before;
  for (let round = 0; round <= rounds; round++) {
    const row = { resident: await timed(resident), fromHost: await timed(fromHost), uploads: await timed(uploads) };
    if (round === 0) continue; // compiles and allocates
    for (const key of ["resident", "fromHost", "uploads"] as const) samples[key].push(row[key]);
  }
  const ms = {
    resident: median(samples.resident),
    fromHost: median(samples.fromHost),
    uploads: median(samples.uploads),
  };
  const rows: Row[] = [
    { name: "resident", values: { ms: ms.resident, "weights MB": streamed.modelBytes / 1e6 } },
    {
      name: "streamed",
      values: {
        ms: ms.fromHost,
        "weights MB": streamed.residentBytes / 1e6,
        "x resident": ms.fromHost / ms.resident,
        // 100: the shorter of computing and uploading costs nothing.
        "% overlapped": 100 * (ms.resident + ms.uploads - ms.fromHost) / Math.min(ms.resident, ms.uploads),
      },
    },
    { name: "upload alone", values: { ms: ms.uploads, "GB/s": gigaPerSecond(uploadBytes, 1000 * ms.uploads) } },
  ];
  for (const each of [whole, head]) (each.reader.destroy(), each.executable.destroy());
  layers.destroy();
  streamed.destroy();
  destroyInputs(inputs);
  destroyModel(model);
  const { C, F, L } = config;
  return { name: "offload", workload: `scoring ${B}x${T}, C ${C}, F ${F}, ${L} layers in host memory, in turns`, rows };
}

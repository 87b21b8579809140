/** DEBUG=time and DEBUG=nan: one dispatch at a time, timed or searched for the first non-finite value. */
import type { Gpu } from "./device.ts";
import { encode, type Executable } from "./executable.ts";
import { amount } from "./describe.ts";

export interface ProfileRow {
  kernel: string;
  count: number;
  microseconds: number;
  flops: number;
}

/** Times each dispatch in a pass of its own; rows are summed by kernel. Needs the timestamp-query feature. */
export async function timeDispatches(gpu: Gpu, executable: Executable, rounds: number): Promise<ProfileRow[]> {
  const { device } = gpu;
  if (!device.features.has("timestamp-query")) {
    throw new Error("Cannot time dispatches: this adapter has no timestamp-query");
  }
  const { commands } = executable;
  const chunk = 1024; // a query set holds at most 4096 stamps
  const samples: number[][] = commands.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let start = 0; start < commands.length; start += chunk) {
      const part = commands.slice(start, start + chunk);
      const querySet = device.createQuerySet({ type: "timestamp", count: part.length * 2 });
      const size = part.length * 16;
      const resolve = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
      const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      part.forEach((command, i) => {
        const pass = encoder.beginComputePass({
          timestampWrites: { querySet, beginningOfPassWriteIndex: i * 2, endOfPassWriteIndex: i * 2 + 1 },
        });
        encode(pass, command);
        pass.end();
      });
      encoder.resolveQuerySet(querySet, 0, part.length * 2, resolve, 0);
      encoder.copyBufferToBuffer(resolve, 0, staging, 0, size);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      gpu.check();
      const stamps = new BigUint64Array(staging.getMappedRange());
      part.forEach((_, i) => samples[start + i].push(Number(stamps[i * 2 + 1] - stamps[i * 2]) / 1000));
      staging.unmap();
      for (const each of [querySet, resolve, staging]) each.destroy();
    }
  }
  const rows = new Map<string, ProfileRow>();
  commands.forEach(({ dispatch }, i) => {
    const median = samples[i].sort((a, b) => a - b)[rounds >> 1];
    const row = rows.get(dispatch.kernel.name) ?? { kernel: dispatch.kernel.name, count: 0, microseconds: 0, flops: 0 };
    row.count++;
    row.microseconds += median;
    row.flops += dispatch.flops;
    rows.set(row.kernel, row);
  });
  return [...rows.values()].sort((a, b) => b.microseconds - a.microseconds);
}

/**
 * Microseconds of one run of a whole plan: a pass of several replays between two time stamps, so that stamps which a browser
 * rounds (to 100 µs) still tell fast kernels apart. `times` replays are taken; without the feature by wall clock.
 */
export async function timeReplays(gpu: Gpu, executable: Executable, times: number): Promise<number> {
  const { device } = gpu;
  const { commands } = executable;
  const stamped = device.features.has("timestamp-query");
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = device.createBuffer({ size: 16, usage });
  const resolve = device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const querySet = stamped ? device.createQuerySet({ type: "timestamp", count: 2 }) : undefined;
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass(
    querySet && { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
  );
  for (let i = 0; i < times; i++) for (const command of commands) encode(pass, command);
  pass.end();
  if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolve, 0);
  encoder.copyBufferToBuffer(resolve, 0, staging, 0, 16);
  const start = performance.now();
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const wall = (performance.now() - start) * 1000;
  gpu.check();
  const stamps = new BigUint64Array(staging.getMappedRange());
  const microseconds = stamped ? Number(stamps[1] - stamps[0]) / 1000 : wall;
  staging.unmap();
  for (const each of [querySet, resolve, staging]) each?.destroy();
  return microseconds / times;
}

export function formatProfile(name: string, rows: readonly ProfileRow[]): string {
  const total = rows.reduce((sum, row) => sum + row.microseconds, 0);
  const lines = [...rows].sort((a, b) => b.microseconds - a.microseconds).map((row) => {
    const rate = row.flops > 0 ? `${amount(row.flops / row.microseconds * 1e6)}FLOP/s` : "";
    return `${row.kernel.padEnd(30)} ${String(row.count).padStart(6)} x ${
      (row.microseconds / 1000).toFixed(2).padStart(10)
    } ms ` +
      `${(100 * row.microseconds / total).toFixed(1).padStart(5)} %  ${rate}`;
  });
  return [`time ${name}: ${(total / 1000).toFixed(1)} ms`, ...lines].join("\n");
}

/** Runs dispatch by dispatch and throws at the first one that leaves a NaN or an infinity in an f32 output. */
export async function firstNonFinite(gpu: Gpu, executable: Executable): Promise<void> {
  for (const [index, command] of executable.commands.entries()) {
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encode(pass, command);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    const { kernel, tensors } = command.dispatch;
    const outputs = tensors.filter((tensor, k) => kernel.bindings[k] !== "read" && tensor.dtype === "f32");
    if (outputs.length === 0) continue;
    const reader = executable.reader(outputs);
    const data = await reader.read();
    reader.destroy();
    data.forEach((values, k) => {
      const at = (values as Float32Array).findIndex((value) => !Number.isFinite(value));
      if (at >= 0) {
        throw new Error(
          `Non-finite value: dispatch ${index} (${kernel.name}) wrote ${values[at]} to ${outputs[k].name}` +
            `[${outputs[k].shape.join(",")}] at element ${at}`,
        );
      }
    });
  }
}

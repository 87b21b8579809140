/** The text form of a plan: every dispatch with kernel, shapes, bytes and FLOPs. Golden-tested, so a new dispatch is a diff. */
import type { MemoryPlan } from "./memory.ts";
import type { Plan } from "./plan.ts";
import { byteLength } from "./tensor.ts";

export function describe(plan: Plan, memory: MemoryPlan): string {
  const lines = plan.dispatches.map((dispatch, i) => {
    // A tensor that fills bindings which the kernel leaves unused is there once.
    const distinct = new Map<string, { text: string; bytes: number }>();
    dispatch.tensors.forEach((tensor, k) => {
      const mark = dispatch.kernel.bindings[k] === "read" ? "" : "*";
      const text = `${mark}${tensor.name}[${tensor.shape.join(",")}]`;
      distinct.set(`${tensor.storage.id}+${tensor.offset}`, { text, bytes: byteLength(tensor) });
    });
    const tensors = [...distinct.values()].map(({ text }) => text);
    const bytes = [...distinct.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return `${String(i).padStart(4)} ${dispatch.kernel.name.padEnd(28)} ${tensors.join(" ")}  ` +
      `${amount(bytes)}B ${amount(dispatch.flops)}FLOP`;
  });
  const shared = memory.sizes.reduce((sum, bytes) => sum + bytes, 0);
  const flops = plan.dispatches.reduce((sum, dispatch) => sum + dispatch.flops, 0);
  return [
    `plan ${plan.name}: ${plan.dispatches.length} dispatches, ${amount(flops)}FLOP, values ${amount(shared)}B in ` +
    `${memory.sizes.length} buffers (${(shared / memory.liveBytes).toFixed(2)} x what lives at once; ${
      amount(memory.unsharedBytes)
    }B unshared)`,
    ...lines,
  ].join("\n");
}

/** 1234567 -> "1.23 M". */
export function amount(count: number): string {
  const units = ["", "k", "M", "G", "T", "P"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) (count /= 1000, unit++);
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`;
}

// Compiles every shader of wgsl/ and bench/ as its kernel would be assembled. Two test files call this: one runs in Deno (naga), one in
// Chromium (Tint). Each refuses what the other lets pass, so a shader has to satisfy both.
import { expect, test } from "vitest";
import { assemble } from "../../kernels/kernel.ts";

// vite reads the folder and fills this in, in both engines; its types are not Deno's.
declare global {
  interface ImportMeta {
    glob(pattern: string, options: { import: "default"; eager: true }): Record<string, string>;
  }
}
const files = {
  ...import.meta.glob("../../wgsl/**/*.wgsl", { import: "default", eager: true }),
  ...import.meta.glob("../../bench/**/*.wgsl", { import: "default", eager: true }),
};

export interface Complaint {
  file: string;
  message: string;
}

/** What the engine has to say against one complete shader; empty if it is fine. naga starts its message with a newline. */
export async function complaints(device: GPUDevice, file: string, code: string): Promise<Complaint[]> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: file, code });
  const error = await device.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const bad = messages.filter((message) => message.type === "error")
    .map((message) => `line ${message.lineNum}: ${message.message.trim()}`);
  if (error && bad.length === 0) bad.push(error.message.trim());
  return bad.map((message) => ({ file, message }));
}

/**
 * Registers the tests of one engine. `engineOnly` is a shader that this engine must refuse although the other takes it: it
 * proves that the check looks, and that it is the expected engine which does.
 */
export function testShaders(engine: string, engineOnly: string): void {
  test(`${engine} compiles every file of wgsl/ and bench/`, async () => {
    const device = await openDevice();
    const paths = Object.keys(files);
    expect(paths.length).toBeGreaterThan(0);
    const all: Complaint[] = [];
    for (const path of paths) {
      const code = assemble(files[path]);
      // Tint wants the enable line, naga knows subgroups without it and refuses the line.
      const enable = engine === "Tint" && /\bsubgroup[A-Z]/.test(code) ? "enable subgroups;\n" : "";
      all.push(...await complaints(device, path.replace("../../", ""), enable + code));
    }
    device.destroy();
    expect(all).toEqual([]);
  });

  test(`${engine} refuses a shader that only the other engine takes`, async () => {
    const device = await openDevice();
    const found = await complaints(device, "wrong.wgsl", engineOnly);
    device.destroy();
    expect(found).toHaveLength(1);
    expect(found[0].message).not.toBe("");
  });
}

async function openDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("Cannot check the shaders: no GPU adapter");
  const listed = ["shader-f16", "subgroups"].filter((name) => adapter.features.has(name as GPUFeatureName));
  // Deno's adapter does not list subgroups where it has them, so there it is asked for, and then without.
  for (const wanted of [[...new Set([...listed, "subgroups"])], listed]) {
    const fresh = await navigator.gpu.requestAdapter();
    const device = await fresh?.requestDevice({ requiredFeatures: wanted as GPUFeatureName[] }).catch(() => null);
    if (device) return device;
  }
  throw new Error(`Cannot check the shaders: the adapter gives no device with ${listed.join(", ") || "no feature"}`);
}

/** Contestants in processes of their own: Deno, and PyTorch. Chromium is in chromium.ts. */
import type { PeerJob } from "./contestant.ts";
import type { PeerRun, ShapeName } from "./workload.ts";

const here = (name: string) => new URL(name, import.meta.url).pathname;

/** One contestant on whatever adapter Deno finds. Errors carry what the process said. */
export function runInDeno({ bundle, backend, shape, steps }: PeerJob): Promise<PeerRun> {
  // --no-config: the bundles hold all they import, and deno.lock has no business with them.
  const args = ["run", "--no-prompt", "-A", "--no-config", here("child.ts"), bundle, backend, shape, `${steps}`];
  return jsonOf(Deno.execPath(), args);
}

/** Ours straight from its source, on a host that need not have esbuild or any other package. */
export function runEtalon(shape: ShapeName, steps: number): Promise<PeerRun> {
  return runInDeno({ bundle: here("etalon_gpt.ts"), backend: "webgpu", shape, steps });
}

async function jsonOf(command: string, args: string[]): Promise<PeerRun> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  if (!success) throw new Error(`${[command, ...args].join(" ")}: ${decode(stderr)}`);
  return JSON.parse(decode(stdout).split("\n").at(-1)!);
}

/**
 * PyTorch, eager, on the CPU with two threads unless `args` of torch_gpt.py say otherwise; null where no Python has torch.
 * ETALON_PYTHON names the Python; else /usr/bin/python3 (Debian's package) and then the first on PATH are tried.
 */
export async function runTorch(shape: ShapeName, steps: number, args: string[] = []): Promise<PeerRun | null> {
  const chosen = Deno.env.get("ETALON_PYTHON");
  for (const python of chosen ? [chosen] : ["/usr/bin/python3", "python3"]) {
    const probe = args.includes("cuda") ? "import torch; assert torch.cuda.is_available()" : "import torch";
    try {
      const { success } = await new Deno.Command(python, { args: ["-c", probe], stderr: "null" }).output();
      if (success) {
        return await jsonOf(python, [here("torch_gpt.py"), "--shape", shape, "--steps", `${steps}`, ...args]);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

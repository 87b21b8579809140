/** `etalon trace`: run one Python file under the tracer and print what happened, line by line. */
import type { Command } from "commander";
import { createPool, traceText } from "../mod.ts";
import { denoHost } from "../host/deno.ts";

interface TraceOptions {
  call: string;
  expect?: string;
  json: boolean;
}

export function addTrace(program: Command): void {
  program.command("trace")
    .description("Run a Python file's function in the sandbox and print its execution trace")
    .argument("<file>", "Python file that defines the function")
    .requiredOption("--call <expression>", 'the call to trace, e.g. "divide(10, 0)"')
    .option("--expect <expression>", "the value it should return, as a Python expression")
    .option("--json", "print the result with all events as JSON", false)
    .addHelpText(
      "after",
      '\nExample:\n  $ deno task etalon trace divide.py --call "divide(10, 0)" --expect "float(\'inf\')"',
    )
    .action(async (file: string, options: TraceOptions) => await runTrace(file, options));
}

async function runTrace(file: string, { call, expect, json }: TraceOptions): Promise<void> {
  const host = denoHost();
  const entryPoint = call.match(/^\s*([A-Za-z_]\w*)\s*\(/)?.[1];
  if (!entryPoint) {
    throw new Error(`Cannot trace: --call ${JSON.stringify(call)} does not start with a function's name`);
  }
  const program = await host.readText(file);
  const pool = createPool(() => host.spawnArena());
  try {
    // Without an expected value there is nothing to judge: the call runs as a test against None, whose outcome is left out.
    const tests = [`assert ${call} == ${expect ?? "None"}`];
    const result = await pool.run({ id: file, program, entryPoint, testKind: "assert-list", tests, trace: 0 });
    const outcome = expect !== undefined;
    console.log(json ? JSON.stringify(result) : traceText(file, program, result, { outcome }).trimEnd());
    if (outcome ? !result.passed : result.verdict !== "pass" && result.verdict !== "wrong_answer") Deno.exitCode = 1;
  } finally {
    pool.close();
  }
}

// `deno task test`: what a machine lacks for the tests is installed, then all checks and all vitest projects run. The
// last line is `N passed, N failed` and nothing else; a check counts as one test. With --stop (deno task ok) the first
// failing check ends the run. Words that follow go to vitest, a path for instance: deno task test test/plan
import { ensureAdapterForChildren, ensureChromium } from "../src/cli/setup.ts";
import { passes, styleChecks, typeChecks } from "./check.ts";
import { type Count, countVitest, type VitestReport } from "./vitest_count.ts";

// A hang must end by itself, with a count. A quiet machine is done in half of this.
const DEADLINE_MS = Number(Deno.env.get("TEST_DEADLINE_MS") ?? 30 * 60_000);
const started = performance.now();

const words = Deno.args.filter((word) => word !== "--stop");
const total: Count = { passed: 0, failed: 0, skipped: 0, reasons: [] };

try {
  await setUp();
  await runChecks();
  const checks = total.passed + total.failed;
  await runProject("deno", 0.6 * DEADLINE_MS); // so that a hang in there leaves the others their time
  await runProject("narrow", 0.75 * DEADLINE_MS);
  await runProject("browser", DEADLINE_MS);
  if (total.passed + total.failed === checks) throw new Error(`no test ran: no test file matches ${words.join(" ")}`);
} catch (error) {
  total.failed++;
  total.reasons.push((error as Error).message);
}
finish();

async function setUp() {
  const adapter = await ensureAdapterForChildren();
  const chromium = await ensureChromium();
  console.log(`adapter: ${adapter}; chromium: ${chromium}`);
}

async function runChecks() {
  for (const check of [...styleChecks(), ...typeChecks()]) {
    if (await passes(check)) {
      total.passed++;
      continue;
    }
    total.failed++;
    total.reasons.push(`check failed: ${check.name}`);
    if (Deno.args.includes("--stop")) finish();
  }
}

/** Runs one vitest project, which has to be done `untilMs` after the start of this program. */
async function runProject(project: string, untilMs: number) {
  const began = performance.now();
  const report = await Deno.makeTempFile({ prefix: `etalon-${project}-`, suffix: ".json" });
  await Deno.remove(report); // so that a run which dies early leaves none behind
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "npm:vitest@5.1.1", "run", "--project", project]
      .concat(["--reporter=default", "--reporter=json", `--outputFile.json=${report}`])
      .concat(words.length > 0 ? ["--passWithNoTests", ...words] : []),
    stdin: "null",
    detached: true, // a process group of its own: a hung grandchild ends with it
  }).spawn();

  const killGroup = () => kill(child.pid);
  const interrupt = () => {
    killGroup();
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupt);
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    killGroup();
  }, Math.max(1, untilMs - (performance.now() - started)));
  const { code } = await child.status;
  clearTimeout(timer);
  killGroup(); // workers that outlived vitest
  Deno.removeSignalListener("SIGINT", interrupt);

  const result = await readReport(report);
  if (words.length > 0 && code === 0 && result?.testResults.length === 0) return; // the path belongs to another project
  const count = countVitest(result, code);
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
  const why = hung ? [`stopped: not done ${Math.round(untilMs / 1000)} s after the start`] : [];
  total.reasons.push(...[...why, ...count.reasons].map((reason) => `project ${project}: ${reason}`));
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`project ${project}: ${count.passed} passed, ${count.failed} failed, ${seconds} s\n`);
}

async function readReport(path: string): Promise<VitestReport | null> {
  try {
    const text = await Deno.readTextFile(path);
    await Deno.remove(path);
    return JSON.parse(text);
  } catch {
    return null; // missing, or cut off: countVitest makes a failure of it
  }
}

function kill(group: number) {
  try {
    Deno.kill(-group, "SIGKILL");
  } catch {
    // already gone
  }
}

function finish(): never {
  for (const reason of total.reasons) console.log(reason);
  if (total.skipped > 0) console.log(`${total.skipped} skipped`);
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s in all`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  Deno.exit(total.failed === 0 ? 0 : 1);
}

// One contestant in a Deno process of its own: child.ts <bundle> <backend> <shape> <steps>. Prints a PeerRun as JSON.
import { type ContestantModule, runContestant } from "./contestant.ts";
import type { ShapeName } from "./workload.ts";

const [bundle, backend, shape, steps] = Deno.args;
// The bundles are made for browsers: TensorFlow.js takes whatever has `process` for Node and asks for its modules.
Reflect.deleteProperty(globalThis, "process");
const module: ContestantModule = await import(`file://${bundle}`);
console.log(JSON.stringify(await runContestant(module, backend, shape as ShapeName, Number(steps))));
Deno.exit(0); // worker threads of a library would keep the process

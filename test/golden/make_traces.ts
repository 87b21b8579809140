// Writes traces.jsonl: the programs of test/trace/programs.ts as records with their text form, as the engine made them on
// the day. test/trace/record.test.ts checks that records and texts of that day can still be read and come out the same,
// whatever the engine has learned since.
//
//   deno run -A test/golden/make_traces.ts
import { spawnArena } from "../../src/host/deno_arena.ts";
import { createPool } from "../../src/trace/pool.ts";
import { pythonVersion, traceRecord, writeTraceRecord } from "../../src/trace/record.ts";
import { traceText } from "../../src/trace/serialize.ts";
import { programs } from "../trace/programs.ts";

const pool = createPool(spawnArena);
const version = await pythonVersion(pool);
let out = "";
for (const [name, { program, entry, test }] of Object.entries(programs)) {
  const limits = { stepsPerTest: 20_000, traceEventsHead: 40, traceEventsTail: 40 };
  const result = await pool.run({
    id: `${name}/0`,
    program,
    entryPoint: entry,
    testKind: "assert-list",
    tests: [test],
    trace: "deciding",
    limits,
  });
  const text = traceText(name, program, result);
  out += writeTraceRecord(traceRecord(result, { problemId: name, program, pythonVersion: version, text }));
}
pool.close();
Deno.writeTextFileSync(new URL("traces.jsonl", import.meta.url), out);

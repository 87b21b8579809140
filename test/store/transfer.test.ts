import type { Sample } from "../../src/data/pairs.ts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parquetMetadata } from "hyparquet";
import { loadProblems } from "../../src/data/datasets.ts";
import type { Problem } from "../../src/data/problem.ts";
import { readParquet } from "../../src/files/parquet.ts";
import { denoHost } from "../../src/host/deno.ts";
import { memoryHost } from "../../src/host/memory.ts";
import { dataCard } from "../../src/store/card.ts";
import type { Form } from "../../src/store/row_forms.ts";
import { openStore, type RunStore } from "../../src/store/store.ts";
import { encodeRows, exportRows, type Format, FORMATS, importRows } from "../../src/store/transfer.ts";
import { pairRows, problems, samples } from "./rows.ts";

const VERSIONS = { python: "3.14.2", tracer: "t1" };
const SAMPLING = { modelId: "m1", seed: 3, temperature: 0.8, stops: null };

/** Real problems of every data set, then the made-up ones. */
async function allProblems(): Promise<Problem[]> {
  const names = ["humaneval", "humanevalplus", "humanevalfix", "mbpp", "mbpp-sanitized", "mbppplus", "quixbugs"];
  const files = [...names, "apps", "cruxeval"].map((name) => `../shared/data/${name}.jsonl`);
  const sets = await Promise.all(files.map((file) => loadProblems(denoHost(), file)));
  return [...problems, ...sets.flatMap((set) => set.slice(0, 12))];
}

let store: RunStore;
let real: Problem[];
const newStore = () => openStore(memoryHost(), "run/run.db");
beforeAll(async () => {
  real = await allProblems();
  store = await newStore();
  await store.requireVersions(VERSIONS);
  await store.addProblems([...real, { ...problems[0], id: "p/ask", ask: "fix it:\n", family: "f", meta: undefined }]);
  await store.setSampling("train", SAMPLING);
  await store.addSamples(
    "train",
    samples(7).map((sample, i) => i === 3 ? { ...sample, logprob: -4.25, count: 2 } : sample),
  );
  await store.addSamples("before", samples(2));
  await store.addPairs("train", pairRows);
});
afterAll(async () => await store.close());

const exported = async (what: Form, format: Format) => encodeRows(await exportRows(store, what), what, format);

/** All that rows say about a store. */
async function contents(of: RunStore) {
  const sets = await of.sets();
  return {
    problems: await of.problems(),
    samples: await Promise.all(sets.map(async (set) => [set, await of.sampling(set), await of.samples(set)])),
    pairs: await Promise.all((await of.pairSets()).map(async (set) => [set, await of.pairs(set)])),
    versions: await of.versions(),
    card: await dataCard(of, "x"),
  };
}

describe("export and import", () => {
  for (const format of FORMATS) {
    test(`${format}: an imported export is an equal store, and importing it again changes nothing`, async () => {
      const other = await newStore();
      for (let time = 0; time < 2; time++) {
        for (const what of ["problems", "samples", "pairs"] as const) {
          const counts = await importRows(other, await exported(what, format), `x.${format}`);
          expect(counts[what]).toBeGreaterThan(1);
        }
        expect(await contents(other)).toEqual(await contents(store));
      }
      await other.close();
    });
  }

  test("problems are rows that every command reads, with the prompt to the byte", async () => {
    const host = memoryHost({ "p.jsonl": await exported("problems", "jsonl") });
    const read = await loadProblems(host, "p.jsonl");
    for (const [i, problem] of real.entries()) {
      expect(read[i].prompt).toBe(problem.prompt);
      expect(read[i].tests).toEqual(problem.tests);
    }
  });

  test("pairs have TRL's columns, SFT rows are solved programs, each once a problem", async () => {
    const pairs = await exportRows(store, "pairs");
    expect(pairs[0]).toMatchObject({ prompt: problems[0].prompt, chosen: pairRows[0].chosenText, margin: 1 });
    const sft = await exportRows(store, "sft");
    expect(sft.length).toBe(0); // those that pass are not finished
    const more = await newStore();
    await more.addProblems(problems);
    await more.addSamples("a", samples(4).map((sample) => ({ ...sample, finished: true, programKey: "one" })));
    expect(await exportRows(more, "sft")).toEqual([]); // the first of the same program fails
    const other = await newStore();
    await other.addProblems(problems);
    await other.addSamples("a", samples(4).map((sample) => ({ ...sample, finished: true })));
    expect((await exportRows(other, "sft")).map(({ problem_id, index }) => `${problem_id}#${index}`)).toEqual(
      ["p/zeta#1", "p/zeta#3", "p/alpha#1", "p/alpha#3"],
    );
    const named = (sample: Sample) => ({ ...sample, finished: true, programKey: `${sample.index}` });
    const twice = await newStore();
    await twice.addProblems(problems);
    for (const set of ["drawn", "train"]) await twice.addSamples(set, samples(4).map(named));
    expect((await exportRows(twice, "sft")).map(({ set, problem_id, index }) => [set, `${problem_id}#${index}`]))
      .toEqual(
        ["p/zeta#1", "p/zeta#3", "p/alpha#1", "p/alpha#3"].map((name) => ["drawn", name]),
      );
    await twice.close();
    await more.close();
    await other.close();
  });

  test("Parquet files say of themselves what they are, column by column", async () => {
    const bytes = await exported("samples", "parquet");
    expect(new TextDecoder().decode(bytes.slice(0, 4))).toBe("PAR1");
    expect(new TextDecoder().decode(bytes.slice(-4))).toBe("PAR1");
    const length = new DataView(bytes.buffer, bytes.length - 8).getUint32(0, true);
    expect(length).toBeLessThan(bytes.length - 12);
    const metadata = parquetMetadata(bytes.slice().buffer as ArrayBuffer);
    expect(metadata.num_rows).toBe(18n);
    expect(metadata.key_value_metadata).toEqual([{ key: "etalon.rows", value: "samples" }]);
    const types = Object.fromEntries(
      metadata.schema.slice(1).map(({ name, type, converted_type }) => [name, [type, converted_type]]),
    );
    expect(types).toMatchObject({
      prompt: ["BYTE_ARRAY", "UTF8"],
      index: ["INT32", undefined],
      passed: ["BOOLEAN", undefined],
      logprob: ["DOUBLE", undefined],
      trace: ["BYTE_ARRAY", "JSON"],
    });
    const rows = await readParquet(bytes, "x");
    expect(rows[3].completion).toBe(samples(7)[6].completion);
    expect(rows[0].trace).toEqual(samples(1)[0].result.trace);
  });
});

describe("what cannot be read is named", () => {
  const refused = async (text: string | Uint8Array, name = "x.jsonl") => {
    const other = await newStore();
    const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const message = await importRows(other, bytes, name).then(() => "no error", (error: Error) => error.message);
    expect(await other.problems()).toEqual([]); // nothing of it was added
    expect(await other.sets()).toEqual([]);
    await other.close();
    return message;
  };
  const line = async (what: Form, change: object) =>
    JSON.stringify({ ...(await exportRows(store, what))[0], ...change }) + "\n";
  const good = async () => await line("problems", {});

  test("files", async () => {
    expect(await refused("{")).toMatch(/^Cannot read x\.jsonl: line 1 is not JSON/);
    expect(await refused("[1]\n")).toBe("Cannot import x.jsonl: line 1 is not a JSON object");
    expect(await refused(new Uint8Array([0xff, 0xfe, 0]))).toBe(
      "Cannot import x.jsonl: it is neither Parquet nor UTF-8 text",
    );
    const whole = await exported("problems", "parquet");
    expect(await refused(whole.slice(0, 500), "x.parquet")).toMatch(
      /^Cannot read x\.parquet: it is not a whole Parquet file \(/,
    );
  });

  test("rows of no known kind, missing and wrong fields", async () => {
    expect(await refused('{"prompt": "a", "completion": "b"}\n')).toBe(
      "Cannot import x.jsonl: line 1 has the fields prompt, completion; expected test_kind (a problem), completion and " +
        "result (a sample) or chosen and rejected (a pair)",
    );
    const cases: [Form, object, string][] = [
      ["problems", { tests: [] }, 'field "tests" is empty'],
      ["problems", { entry_point: 7 }, 'field "entry_point" is 7, expected text'],
      ["samples", { index: -1 }, 'field "index" is -1, expected a number from 0 on'],
      ["samples", { finished: undefined }, 'field "finished" is missing, expected true or false'],
      ["samples", { tokens: [1, 2.5] }, 'field "tokens" holds 2.5, expected token ids'],
      ["samples", { result: { id: "a" } }, 'field "result": "verdict" is missing, expected a string'],
      ["samples", { trace_schema: 9 }, 'field "trace_schema" is 9, this program\'s is 1'],
      [
        "samples",
        { problem_id: "p/none" },
        'field "problem_id" is "p/none", run/run.db has no such problem: import it first',
      ],
      ["pairs", { margin: "1" }, 'field "margin" is "1", expected a number'],
      ["pairs", { rejected_trace: null }, 'field "rejected_trace" is null, expected text'],
    ];
    for (const [what, change, message] of cases) {
      expect(await refused(await good() + await line(what, change))).toBe(`Cannot import x.jsonl: line 2: ${message}`);
    }
  });

  test("results of another Python, other rows in the place of some, sets that are not there", async () => {
    const other = await newStore();
    const take = async (text: string) => await importRows(other, new TextEncoder().encode(text), "x.jsonl");
    await take(await good() + await line("samples", {}));
    await expect(take(await line("samples", { python_version: "3.13.1" }))).rejects.toThrow(
      "Cannot import x.jsonl: Cannot add to run/run.db: its results are of Python 3.14.2 and tracer t1, the new ones of " +
        "Python 3.13.1 and tracer t1",
    );
    await expect(take(await line("samples", { completion: "    return 8\n" }))).rejects.toThrow(
      'Cannot import x.jsonl: Cannot add sample p/zeta#0 to set "train" of run/run.db: another is there',
    );
    await expect(take(await line("samples", { sampling: { ...SAMPLING, seed: 4 } }))).rejects.toThrow(
      'Cannot import x.jsonl: Cannot go on with set "train" of run/run.db: seed was 3 there and is 4 now',
    );
    await expect(exportRows(other, "samples", ["trian"])).rejects.toThrow(
      'Cannot export samples of set "trian": run/run.db has train',
    );
    await other.close();
  });
});

test("the card tells sources, licences, counts, outcomes, sampling, pairs and versions", async () => {
  const card = await dataCard(store, "A set");
  expect(card).toMatch(/^# A set\n/);
  for (
    const row of [
      "| humaneval | 12 | ",
      "| mbpp | 12 | ",
      "| train | 14 | 2 of 111 | 7 | ",
      "| seed | 3 |  |",
      "| temperature | 0.8 |  |",
      "| train | 2 | 1 | pass/fail 2 |",
      "| Python of the interpreter | 3.14.2 |",
      "CC-BY-4.0",
    ]
  ) expect(card).toContain(row);
});

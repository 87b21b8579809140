/** What is in a store, in Markdown: the card that goes with a published data set. */
import { isSolved, outcomeKinds, outcomeMix } from "../eval/outcomes.ts";
import type { Problem } from "../data/problem.ts";
import { traceSchemaVersion } from "../trace/record.ts";
import { licenceOf } from "./licences.ts";
import { STORE_VERSION } from "./schema.ts";
import type { RunStore, StoredSample } from "./store.ts";

/** The card of a whole store: sources and licences, samples and what they did, how they were drawn, pairs, versions. */
export async function dataCard(store: RunStore, title: string): Promise<string> {
  const problems = await store.problems();
  const sections = [
    `# ${title}\n`,
    "Programs sampled from a language model for problems with tests, each run in a sandboxed interpreter, with what it did " +
    "(verdict and result of every test, the trace of the deciding one where traced) and preference pairs made of them.\n",
    sources(problems),
    await sampleSections(store, problems),
    await pairSection(store),
    await versionSection(store),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function sources(problems: readonly Problem[]): string {
  const names = [...new Set(problems.map(({ dataset }) => dataset))];
  const rows = names.map((name) => {
    const own = problems.filter(({ dataset }) => dataset === name);
    const splits = [...new Set(own.map(({ split }) => split))].join(", ");
    const families = new Set(own.flatMap(({ family }) => family === undefined ? [] : [family])).size;
    return [name, own.length, splits, families === 0 ? "" : families, licenceOf(name)];
  });
  return section("Problems", table(["data set", "problems", "splits", "families", "licence"], rows));
}

async function sampleSections(store: RunStore, problems: readonly Problem[]): Promise<string> {
  const sets = await store.sets();
  if (sets.length === 0) return "";
  const counts: unknown[][] = [], outcomes: unknown[][] = [], drawn: [string, Record<string, unknown> | null][] = [];
  for (const set of sets) {
    const samples = await store.samples(set);
    const per = new Map<string, StoredSample[]>();
    for (const sample of samples) per.set(sample.problemId, [...per.get(sample.problemId) ?? [], sample]);
    const sizes = [...per.values()].map(({ length }) => length);
    const solved = [...per.values()].filter((group) => group.some(isSolved)).length;
    const distinct = samples.filter(({ duplicateOf }) => duplicateOf == null).length;
    const tokens = samples.reduce((sum, sample) => sum + sample.tokens.length, 0);
    const each = sizes.length === 0 ? "0" : range(Math.min(...sizes), Math.max(...sizes));
    counts.push([
      set,
      samples.length,
      `${per.size} of ${problems.length}`,
      each,
      distinct,
      tokens,
      `${solved} of ${per.size}`,
    ]);
    const mix = outcomeMix(samples);
    outcomes.push([set, ...outcomeKinds.map((kind) => share(mix[kind], samples.length))]);
    drawn.push([set, await store.sampling(set)]);
  }
  const options = [...new Set(drawn.flatMap(([, sampling]) => Object.keys(sampling ?? {})))];
  const sampling = options.map((name) => [name, ...drawn.map(([, given]) => shown(given?.[name]))]);
  const heads = ["set", "samples", "problems", "each", "distinct programs", "tokens", "problems solved"];
  return [
    section("Samples", table(heads, counts)),
    section("Outcomes", table(["set", ...outcomeKinds], outcomes)),
    options.length === 0 ? "" : section("Sampling", table(["option", ...sets], sampling)),
  ].filter(Boolean).join("\n");
}

async function pairSection(store: RunStore): Promise<string> {
  const sets = await store.pairSets();
  if (sets.length === 0) return "";
  const rows = await Promise.all(sets.map(async (set) => {
    const pairs = await store.pairs(set);
    const reasons = [...new Set(pairs.map(({ reason }) => reason))];
    const counted = reasons.map((reason) => `${reason} ${pairs.filter((pair) => pair.reason === reason).length}`);
    return [set, pairs.length, new Set(pairs.map(({ problemId }) => problemId)).size, counted.join(", ")];
  }));
  return section("Preference pairs", table(["set", "pairs", "problems", "by reason"], rows));
}

async function versionSection(store: RunStore): Promise<string> {
  const versions = await store.versions();
  const rows = [
    ["Python of the interpreter", versions?.python ?? "not recorded"],
    ["tracer, harness and interpreter (hash)", versions?.tracer ?? "not recorded"],
    ["trace schema", traceSchemaVersion],
    ["store tables", STORE_VERSION],
  ];
  return section("Versions", table(["what", "version"], rows));
}

const section = (title: string, text: string) => `## ${title}\n\n${text}`;

function table(heads: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const line = (cells: readonly unknown[]) =>
    `| ${cells.map((cell) => `${cell}`.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(heads) + line(heads.map(() => "---")) + rows.map(line).join("");
}

function range(least: number, most: number): string {
  return least === most ? `${least}` : `${least} to ${most}`;
}

function share(count: number, total: number): string {
  return count === 0 ? "0" : `${count} (${(100 * count / total).toFixed(1)} %)`;
}

function shown(value: unknown): string {
  return value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

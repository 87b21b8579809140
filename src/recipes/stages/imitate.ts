/** Stages that imitate: SFT on reference solutions, RFT on the model's own passing samples, KTO on both kinds apart. */
import { isSolved } from "../../eval/outcomes.ts";
import { trainKto } from "../kto.ts";
import { referenceRows, rftRows, sampleSequences, type Selected } from "../rft.ts";
import { positionsOf, type Sequence } from "../batches.ts";
import { possibleLengths, type Run, type RunEvent, type Stage, type StageResult } from "../run.ts";
import { trainSft } from "../sft.ts";
import { TRAIN_SET } from "./sample.ts";
import { leaveAsItIs, logged, saveTrained } from "./trained.ts";

export const sft: Stage = {
  name: "sft",
  needs: [],
  settings: ({ sft, lora }) => ({ sft, lora }),
  workload({ config: { sft, lora, seed }, shape, tokenizer, trainProblems }) {
    const { sequences } = referenceRows(tokenizer, trainProblems, shape.maxPositions);
    if (lora.rank > 0 || sequences.length === 0) return null;
    return { recipe: "sft", config: { ...sft, seed }, model: shape, lengths: sequences.map(positionsOf) };
  },
  async *run(run, signal) {
    const selected = referenceRows(run.tokenizer, run.trainProblems, run.shape.maxPositions);
    if (selected.references === 0) throw new Error("Cannot train with sft: no problem has a reference solution");
    return yield* imitate(run, "sft", selected, run.config.sft, signal);
  },
};

export const rft: Stage = {
  name: "rft",
  needs: ["sample"],
  settings: ({ rft, lora }) => ({ rft, lora }),
  workload(facts) {
    const { config: { rft, lora, seed }, shape } = facts;
    return lora.rank > 0
      ? null
      : { recipe: "sft", config: { ...rft, seed }, model: shape, lengths: possibleLengths(facts) };
  },
  async *run(run, signal) {
    const { maxPerProblem: perProblem, silent, ...settings } = run.config.rft;
    const samples = await run.store.samples(TRAIN_SET);
    const longest = run.shape.maxPositions;
    const selected = rftRows(run.tokenizer, run.trainProblems, samples, { perProblem, silent, longest });
    if (selected.sequences.length === 0) {
      return await leaveAsItIs(run, "rft", "No sample passes, so there was nothing to imitate.");
    }
    return yield* imitate(run, "rft", selected, settings, signal);
  },
};

type SftSettings = Run["config"]["sft"];

async function* imitate(
  run: Run,
  stage: string,
  { sequences, own, references, left }: Selected,
  settings: SftSettings,
  signal?: AbortSignal,
): AsyncGenerator<RunEvent, StageResult> {
  const { host, tokenizer } = run;
  const what = [own > 0 ? `${own} own passes` : "", references > 0 ? `${references} reference solutions` : ""];
  const of = what.filter(Boolean).join(" and ");
  yield { type: "stage", name: stage, detail: `${settings.steps} steps on ${of}`, seconds: null };
  const policy = await run.policy();
  const checkpoints = `${run.folder(stage)}/checkpoints`;
  const given = { host, policy, sequences, padId: tokenizer.padId, checkpoints };
  const tokensPerSecond = yield* logged(run, stage, trainSft({ ...settings, seed: run.config.seed }, given, signal));
  await saveTrained(run, stage, policy);
  const lost = left.missing + left.tooLong;
  return {
    detail: `${settings.steps} steps of ${settings.batchSize} on ${of}`,
    steps: settings.steps,
    tokensPerSecond,
    notes: lost > 0
      ? [`${stage}: ${left.missing} problems have no reference solution, ${left.tooLong} are too long.`]
      : [],
  };
}

export const kto: Stage = {
  name: "kto",
  needs: ["sample"],
  settings: ({ kto, lora }) => ({ kto, lora }),
  async *run(run, signal) {
    const { config, host, store, tokenizer } = run;
    const settings = { ...config.kto, seed: config.seed };
    const all = await store.samples(TRAIN_SET);
    // Spoiled and flaky runs say nothing; a copy says what the first one said.
    const usable = all.filter(({ result, duplicateOf }) => !result.infra && !result.flaky && duplicateOf == null);
    const sequences: Sequence[] = sampleSequences(tokenizer, run.trainProblems, usable);
    const samples = usable.map((sample, i) => ({ sequence: sequences[i], desirable: isSolved(sample) }));
    const desirable = samples.filter((sample) => sample.desirable).length;
    const detail = `${settings.steps} steps, ${desirable} programs that pass and ${
      samples.length - desirable
    } that fail`;
    yield { type: "stage", name: "kto", detail, seconds: null };
    const policy = await run.policy();
    const checkpoints = `${run.folder("kto")}/checkpoints`;
    const given = { host, policy, samples, padId: tokenizer.padId, checkpoints, modelId: run.modelId };
    const tokensPerSecond = yield* logged(run, "kto", trainKto(settings, given, signal));
    await saveTrained(run, "kto", policy);
    const notes = desirable === 0 ? ["kto: no sample passes, so it could only make failing programs less likely."] : [];
    return { detail, steps: settings.steps, tokensPerSecond, notes };
  },
};

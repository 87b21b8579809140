/** The problems of a run: micro-Python from seeds, a named benchmark, or a file. */
import { loadProblems, microProblems, type Pool, type Problem, shuffled, uniformStream } from "../mod.ts";
import { denoHost } from "../host/deno.ts";

/** Named data sets: where their published files are expected, and where they come from. */
const NAMED: Record<string, { files: string[]; origin: string }> = {
  humaneval: {
    files: ["data/humaneval.jsonl", "data/HumanEval.jsonl.gz", "data/HumanEval.jsonl"],
    origin: "https://github.com/openai/human-eval (data/HumanEval.jsonl.gz)",
  },
  mbpp: {
    files: ["data/mbpp.jsonl", "data/mbpp.jsonl.gz"],
    origin: "https://github.com/google-research/google-research/tree/master/mbpp (mbpp.jsonl)",
  },
};

/** Micro problems take seeds of their own, so that three runs with seeds 1, 2, 3 meet three sets of problems. */
const MICRO_SEED = 1000;

export interface ChosenProblems {
  dataName: string;
  trainProblems: Problem[];
  evalProblems: Problem[];
  evalOn: string;
  notes: string[];
}

export async function chooseProblems(
  options: { data: string; problems: number; evalProblems?: number },
  seed: number,
  pool: Pool,
): Promise<ChosenProblems> {
  const { data, problems } = options;
  const host = denoHost();
  if (data === "micro") {
    const evaluated = options.evalProblems ?? 96;
    return {
      dataName: "micro",
      trainProblems: await microProblems(pool, { seed: MICRO_SEED + seed, count: problems, split: "train" }),
      evalProblems: await microProblems(pool, { seed: MICRO_SEED + seed, count: evaluated, split: "heldout" }),
      evalOn: "held-out families",
      notes: [
        "The base model has seen programs of all families in pre-training, right and wrong ones; alignment has seen " +
        "the train families only. Problems of alignment and evaluation never stood in the pre-training corpus.",
      ],
    };
  }
  const path = await dataPath(data);
  const all = await loadProblems(host, path);
  const mixed = (of: Problem[], stream: number) => shuffled(of, uniformStream(seed, stream));
  const [train, test] = ["train", "test"].map((split) => all.filter((problem) => problem.split === split));
  const count = options.evalProblems ?? problems;
  const notes: string[] = [];
  let trainProblems: Problem[], evalProblems: Problem[], evalOn: string;
  if (train.length > 0 && test.length > 0) {
    trainProblems = mixed(train, 2000).slice(0, problems);
    evalProblems = mixed(test, 2001).slice(0, count);
    evalOn = "problems of the test split";
  } else {
    const order = mixed(all, 2000);
    // Too few for both: train on at most half, so that something unseen is left.
    const trained = Math.min(problems, Math.max(1, order.length - count), Math.ceil(order.length / 2));
    trainProblems = order.slice(0, trained);
    evalProblems = order.slice(trained, trained + count);
    evalOn = "problems not trained on";
  }
  if (evalProblems.length === 0) {
    throw new Error(`Cannot evaluate: ${path} holds ${all.length} problem, at least 2 are needed`);
  }
  if (trainProblems.length < problems) {
    notes.push(`${path} left ${trainProblems.length} problems to train on, ${problems} were asked for.`);
  }
  return { dataName: path, trainProblems, evalProblems, evalOn, notes };
}

/** The file of a named data set; any other word is a path already. */
export async function dataPath(data: string): Promise<string> {
  if (!(data in NAMED)) return data;
  const host = denoHost();
  const { files, origin } = NAMED[data];
  const found = (await Promise.all(files.map(async (file) => await host.exists(file) ? file : null))).find(Boolean);
  if (!found) throw new Error(`Cannot find data set ${data}: expected ${files.join(" or ")}, published at ${origin}`);
  return found;
}

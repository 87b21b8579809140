/** Model folders and training checkpoints. A checkpoint counts only once `latest.json`, written last, points to it. */
import type { Gpu } from "../plan/mod.ts";
import type { Host } from "../host/host.ts";
import { readSafetensors, takeTensor, writeSafetensors } from "../files/safetensors.ts";
import { formatConfig, parseConfig } from "../model/config.ts";
import { createLlama, getWeights, type Llama, setWeights } from "../model/llama.ts";
import type { Trained } from "../model/weights.ts";
import type { Optimizer, OptimizerTensor } from "../optim/adamw.ts";

/** Reads a Hugging Face folder: config.json and model.safetensors. */
export async function loadModel(host: Host, gpu: Gpu, dir: string, training: boolean): Promise<Llama> {
  const config = parseConfig(await host.readText(`${dir}/config.json`), `${dir}/config.json`);
  const model = createLlama(gpu, config, training);
  await loadWeights(host, model, `${dir}/model.safetensors`);
  return model;
}

export async function loadWeights(host: Host, model: Trained, path: string): Promise<void> {
  const file = readSafetensors(await host.readBytes(path), path);
  // A tensor in a dtype that is not read here is there all the same: say so, not that it is missing.
  for (const name of model.weights.tensors.keys()) if (file.skipped.has(name)) takeTensor(file, name);
  setWeights(model, file.tensors, path);
}

/** Writes a Hugging Face folder; tokenizer files are copied from `tokenizerDir`. */
export async function saveModel(host: Host, model: Llama, dir: string, tokenizerDir: string): Promise<void> {
  for (const name of ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]) {
    if (await host.exists(`${tokenizerDir}/${name}`)) {
      await host.write(`${dir}/${name}`, await host.readBytes(`${tokenizerDir}/${name}`));
    }
  }
  await host.write(`${dir}/config.json`, formatConfig(model.config));
  await host.write(`${dir}/model.safetensors`, writeSafetensors(await getWeights(model)));
}

/** Where training stands. Everything else a run needs follows from the seed and the step. */
export interface TrainingState {
  /** Optimizer steps done. */
  step: number;
  /** Completion tokens trained on. */
  tokens: number;
  /** Between two logging steps: the metrics summed since the last one, and over how many steps. */
  open?: { steps: number; sums: number[][] };
  /** What a recipe carries from step to step beside weights and moments, as JSON: a KL coefficient, running means. */
  carried?: unknown;
}

/** Writes weights and both moments after `state.step`. */
export async function saveCheckpoint(
  host: Host,
  dir: string,
  trained: Trained,
  optimizer: Optimizer,
  state: TrainingState,
): Promise<string> {
  const folder = `step-${state.step}`;
  await host.write(`${dir}/${folder}/model.safetensors`, writeSafetensors(await getWeights(trained)));
  await host.write(`${dir}/${folder}/optimizer.safetensors`, writeSafetensors(await optimizer.save()));
  await host.write(`${dir}/latest.json`, JSON.stringify({ ...state, folder }) + "\n");
  for (const name of await host.list(dir)) {
    if (name.startsWith("step-") && name !== folder) await host.remove(`${dir}/${name}`);
  }
  return `${dir}/${folder}`;
}

/** Restores the newest whole checkpoint and says where it stands: at step 0 if there is none. */
export async function loadCheckpoint(
  host: Host,
  dir: string,
  trained: Trained,
  optimizer: Optimizer,
): Promise<TrainingState> {
  const pointer = `${dir}/latest.json`;
  if (!await host.exists(pointer)) return { step: 0, tokens: 0 };
  const { folder, ...state } = JSON.parse(await host.readText(pointer)) as TrainingState & { folder: string };
  await loadWeights(host, trained, `${dir}/${folder}/model.safetensors`);
  const path = `${dir}/${folder}/optimizer.safetensors`;
  const file = readSafetensors(await host.readBytes(path), path);
  optimizer.load(new Map<string, OptimizerTensor>([...file.tensors, ...file.bytes]));
  return state;
}

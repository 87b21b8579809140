/** The public API: the command line, the page, the workers and API tests import this and nothing deeper. */
export { debugWords, type Gpu, openGpu } from "./plan/mod.ts";
export { parseConfig, type LlamaConfig } from "./model/config.ts";
export { createLlama, initialize, type Llama } from "./model/llama.ts";
export { loadModel, saveModel } from "./recipes/checkpoint.ts";
export { SFT, type SftConfig, trainSft } from "./recipes/sft.ts";
export type { TrainingEvent } from "./recipes/events.ts";
export { type CompletionRow, tokenizeRows } from "./recipes/sequences.ts";
export { loadTokenizer, type Tokenizer } from "./data/tokenizer.ts";
export { parseJsonl } from "./files/jsonl.ts";

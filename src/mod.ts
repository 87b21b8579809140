/** The public API: the command line, the page, the workers and API tests import this and nothing deeper. */
export { debugWords, type Gpu, openGpu, type Tuned } from "./plan/mod.ts";
export { type LlamaConfig, parseConfig } from "./model/config.ts";
export { createLlama, initialize, type Llama } from "./model/llama.ts";
export { createStreamedLlama, type HostWeights, type StreamedLlama } from "./model/streamed.ts";
export { createStreamedLora, createStreamedLoraStep, type StreamedLoraStep } from "./model/streamed_lora.ts";
export { ACTIVATIONS, type Activations, RECOMPUTE, type Recompute } from "./model/saving.ts";
export { loadModel, saveModel } from "./recipes/checkpoint.ts";
export { adapted, loadPolicy, type Policy, whole } from "./recipes/policy.ts";
export { SFT, type SftConfig, trainSft } from "./recipes/sft.ts";
export { DIVERGENCES, PREFERENCE_LOSSES, type PreferenceLoss, REFERENCE_FREE } from "./loss/preference.ts";
export type { TrainingEvent } from "./recipes/events.ts";
export { type CompletionRow, tokenizeRows } from "./recipes/sequences.ts";
export { loadTokenizer, type Tokenizer } from "./data/tokenizer.ts";
export { parseJsonl, toJsonl } from "./files/jsonl.ts";
export { sha256 } from "./files/sha256.ts";
export {
  openRun,
  requireUnchanged,
  type Run,
  type RunEvent,
  type RunGiven,
  runStages,
  type Stage,
} from "./recipes/run.ts";
export { writeReport } from "./recipes/run_report.ts";
export { choices, defaults, type RunConfig } from "./recipes/run_config.ts";
export {
  type Recipe,
  type RecipeName,
  RECIPES,
  recipeSettings,
  SETTLED_STAGES,
  STAGE_COMMANDS,
  TRAINING_STAGES,
} from "./recipes/recipes.ts";
export { evaluate } from "./recipes/stages/evaluate.ts";
export { requireActing } from "./recipes/setting_rules.ts";
export {
  differing,
  hint,
  leafNames,
  numberKind,
  parseAssignment,
  type Settings,
  withSettings,
} from "./recipes/settings.ts";
export { Stopped } from "./recipes/rollout.ts";
export { DPO, type DpoConfig, type DpoPair, LOSS_DEFAULTS, trainDpo } from "./recipes/dpo.ts";
export { KTO, type KtoConfig, trainKto } from "./recipes/kto.ts";
export { passingSamples, referenceRows, rftRows, silentProblems } from "./recipes/rft.ts";
export { type RoundEvent, ROUNDS, type RoundsConfig, type RoundStages, trainRounds } from "./recipes/rounds.ts";
export { neuralReward } from "./recipes/neural_reward.ts";
export {
  loadReward,
  REWARD,
  type RewardConfig,
  type RewardModel,
  saveReward,
  startRewardNetwork,
  trainReward,
} from "./recipes/reward_model.ts";
export { type LabelledPair, ownTest, rewardPairs, sameTest } from "./recipes/reward_pairs.ts";
export { normalisation, type RewardReport, rewardReport, scorePairs } from "./recipes/reward_report.ts";
export { createRewardScorer } from "./recipes/reward_step.ts";
export { PPO, type PpoConfig, trainPpo } from "./recipes/ppo.ts";
export { GRPO, type GrpoConfig, RLOO, trainGrpo } from "./recipes/grpo.ts";
export type { Monitor, OnPolicyEvent, OnPolicyGiven } from "./recipes/on_policy.ts";
export { type Experience, type Reward, rewardOf, type RewardOptions } from "./recipes/rewards.ts";
export { streamedLogprobs } from "./recipes/streamed_scorer.ts";
export { loadTuned, tunedName, type TuneShapes, tuneUsed, useRecipes } from "./recipes/tuning.ts";
export {
  bytesText,
  formatPrediction,
  predict,
  type Prediction,
  requireMemory,
  type Saving,
  savings,
  type Workload,
} from "./recipes/predict.ts";
export { paddingShares } from "./recipes/packing.ts";
export { positionsOf } from "./recipes/batches.ts";
export { describeRecipe } from "./recipes/describe.ts";
export { loadProblems } from "./data/datasets.ts";
export { description, type Problem, programJob, stdioForm } from "./data/problem.ts";
export { microCorpus, microProblems } from "./data/micro/micro.ts";
export { createPool, type Pool } from "./trace/pool.ts";
export { hash53, shortResult } from "./trace/short_result.ts";
export { groupAgreement } from "./trace/agreement.ts";
export { defaultPairOptions, FAIL_FAIL, makePairs, type Pair, type PairOptions, type Sample } from "./data/pairs.ts";
export { type DatasetStats, pairStats, pairStatsTable } from "./data/pair_stats.ts";
export { type PairRow, pairRow, type TestTrace, tracedPairs, trlRow } from "./recipes/preferences.ts";
export { type Judgement, type Order, type OrderName, orders, parseOrder } from "./trace/heuristics.ts";
export { MIXES, type MutantMix, mutantsSource } from "./data/mutants.ts";
export { benchOrder, type Comparator, mutantCounts, type ProblemRuns } from "./eval/order_bench.ts";
export { orderBenchTable } from "./eval/order_bench_table.ts";
export { openStore, type RunStore, type StoredSample } from "./store/store.ts";
export { dataCard } from "./store/card.ts";
export { type Form, FORMS } from "./store/row_forms.ts";
export { encodeRows, exportRows, type Format, FORMATS, importRows } from "./store/transfer.ts";
export { addAgreement } from "./recipes/rollout.ts";
export { comparatorOf, mutantRuns, studyComparators } from "./recipes/order_bench.ts";
export { formatTrace, type TraceDocument, traceDocument, traceText } from "./trace/serialize.ts";
export { parseTraceText } from "./trace/parse_text.ts";
export { type CompactOptions, compactTrace, estimateTokens } from "./trace/compact.ts";
export { pythonVersion, readTraceRecords, type TraceRecord, traceRecord, writeTraceRecord } from "./trace/record.ts";
export { parseTrace } from "./trace/validate.ts";
export { type Divergence, firstDivergence, valueStream } from "./trace/divergence.ts";
export { type ByteSpan, suspiciousness, type TokenCredit, tokenCredit } from "./trace/credit.ts";
export { type StatementTable, statementTable } from "./trace/statements.ts";
export type {
  ErrorInfo,
  Limits,
  ProgramJob,
  ProgramResult,
  TestResult,
  TraceEvent,
  TraceNote,
  Verdict,
} from "./trace/schema.ts";
export { shuffled, uniformStream } from "./model/philox.ts";
export type { RunReport } from "./eval/report.ts";
export { explainFailure, type Explanation } from "./recipes/explain.ts";
export { loserWeights, type Mask, MASKS } from "./recipes/credit_masks.ts";
export { DENSE, type Dense, type DenseCredit, denseCredit, type TokenCredit as DenseTokens } from "./recipes/dense.ts";
export { type Counterfactual, counterfactualRepairs, repairPairs, repairRows } from "./recipes/counterfactual.ts";
export { backwardSlice, flowTable, type Slice } from "./trace/slice.ts";

export { accumulate, accumulateInto, add } from "./add.ts";
export { adamw, gradNorm, MOMENT_BLOCK, type Moments } from "./adamw.ts";
export { cast, keepHalves } from "./cast.ts";
export { attention } from "./attention.ts";
export { attentionDecode, type Cache, cacheCopy, cacheWrite, PAGE, type Rows } from "./decode.ts";
export { geluErf, tanh } from "./elementwise.ts";
export { embedding } from "./embedding.ts";
export { gelu } from "./gelu.ts";
export { kto, KTO_METRICS } from "./kto.ts";
export { type Adapter, loraBranch, loraMerge } from "./lora.ts";
export { linear, type LinearOptions } from "./matmul.ts";
export { layernorm, rmsnorm } from "./norm.ts";
export {
  KL_LOSSES,
  type KlLoss,
  PPO_POLICY_METRICS,
  PPO_VALUE_METRICS,
  ppoPolicy,
  ppoValue,
  type Surrogate,
  SURROGATES,
} from "./ppo.ts";
export { poolRows } from "./pool_rows.ts";
export {
  type Divergence,
  DIVERGENCES,
  preference,
  PREFERENCE_LOSSES,
  PREFERENCE_METRICS,
  type PreferenceLoss,
  REFERENCE_FREE,
} from "./preference.ts";
export { quantize, type Quantized, quantizedLinear } from "./quantized.ts";
export { pairwiseReward, REWARD_METRICS } from "./reward.ts";
export { rope, ropeTable } from "./rope.ts";
export { sample, type SamplerSettings, samplerSettings, type SamplerState } from "./sample.ts";
export { scale } from "./scale.ts";
export { segmentSum } from "./segment_sum.ts";
export { swiglu } from "./swiglu.ts";
export { type TokenLogprob, tokenLogprob } from "./token_logprob.ts";
export { weightedSum } from "./weighted_sum.ts";

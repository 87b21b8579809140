/** The shape of a Llama-family decoder, read from a Hugging Face config.json. */

export interface LlamaConfig {
  /** Model width. */
  C: number;
  /** MLP width. */
  F: number;
  L: number;
  /** Query heads, key/value heads, head size. */
  H: number;
  G: number;
  D: number;
  V: number;
  normEps: number;
  ropeTheta: number;
  /** The head is the embedding table. */
  tied: boolean;
  maxPositions: number;
  bosId: number | null;
  eosId: number;
  /** Other tokens that end a sequence. */
  stopIds?: readonly number[];
}

/** Parses config.json. Errors name the file, the field and what was expected. */
export function parseConfig(text: string, name: string): LlamaConfig {
  const fail = (what: string) => new Error(`Cannot load ${name}: ${what}`);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw fail(`not JSON (${(error as Error).message})`);
  }
  if (json.model_type !== "llama") throw fail(`model_type is ${JSON.stringify(json.model_type)}, not "llama"`);
  // Newer files keep theta and scaling together in rope_parameters.
  const rope = (json.rope_parameters ?? {}) as { rope_theta?: number; rope_type?: string };
  const scaling = json.rope_scaling ?? (rope.rope_type && rope.rope_type !== "default" ? rope : null);
  if (scaling) throw fail(`RoPE scaling ${JSON.stringify(scaling)} is not supported`);
  if (json.attention_bias || json.mlp_bias) throw fail("attention_bias and mlp_bias are not supported");
  if (json.hidden_act !== undefined && json.hidden_act !== "silu") {
    throw fail(`hidden_act is ${json.hidden_act}, not silu`);
  }
  const int = (field: string, fallback?: number): number => {
    const value = json[field] ?? fallback;
    if (!Number.isInteger(value) || (value as number) <= 0) {
      throw fail(`${field} is ${JSON.stringify(value)}, not a positive integer`);
    }
    return value as number;
  };
  const H = int("num_attention_heads");
  const C = int("hidden_size");
  const [eos, ...stops] = [json.eos_token_id].flat();
  const wrong = [eos, ...stops].find((id) => !Number.isInteger(id));
  if (wrong !== undefined || eos === undefined) throw fail(`eos_token_id is ${JSON.stringify(wrong)}, not an integer`);
  const config: LlamaConfig = {
    C,
    F: int("intermediate_size"),
    L: int("num_hidden_layers"),
    H,
    G: int("num_key_value_heads", H),
    D: int("head_dim", C / H),
    V: int("vocab_size"),
    normEps: Number(json.rms_norm_eps ?? 1e-6),
    ropeTheta: Number(rope.rope_theta ?? json.rope_theta ?? 10000),
    tied: Boolean(json.tie_word_embeddings),
    maxPositions: int("max_position_embeddings", 2048),
    bosId: Number.isInteger(json.bos_token_id) ? json.bos_token_id as number : null,
    eosId: eos as number,
    ...(stops.length > 0 ? { stopIds: stops as number[] } : {}),
  };
  if (config.H % config.G !== 0) {
    throw fail(`num_attention_heads ${H} is no multiple of num_key_value_heads ${config.G}`);
  }
  if (config.D % 4 !== 0) throw fail(`head size ${config.D} is no multiple of 4`);
  return config;
}

/** The config.json that other programs read. */
export function formatConfig(config: LlamaConfig): string {
  return JSON.stringify(
    {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_size: config.C,
      intermediate_size: config.F,
      num_hidden_layers: config.L,
      num_attention_heads: config.H,
      num_key_value_heads: config.G,
      head_dim: config.D,
      vocab_size: config.V,
      max_position_embeddings: config.maxPositions,
      rms_norm_eps: config.normEps,
      rope_theta: config.ropeTheta,
      hidden_act: "silu",
      attention_bias: false,
      mlp_bias: false,
      tie_word_embeddings: config.tied,
      bos_token_id: config.bosId,
      eos_token_id: config.stopIds ? [config.eosId, ...config.stopIds] : config.eosId,
      torch_dtype: "float32",
    },
    null,
    2,
  ) + "\n";
}

/** The shape of a RoBERTa encoder, read from a Hugging Face config.json. */

export interface RobertaConfig {
  /** Model width. */
  C: number;
  /** MLP width. */
  F: number;
  L: number;
  /** Heads and head size. */
  H: number;
  D: number;
  V: number;
  normEps: number;
  /** Rows of the position table: `padId` + 1 more than the longest sequence. */
  positions: number;
  /** Rows of the token type table. */
  types: number;
  /** The padding token; positions of tokens begin behind it. */
  padId: number;
  bosId: number;
  eosId: number;
}

/** Tokens of the longest sequence. */
export const longestOf = ({ positions, padId }: RobertaConfig): number => positions - padId - 1;

/** Parses config.json. Errors name the file, the field and what was expected. */
export function parseRobertaConfig(text: string, name: string): RobertaConfig {
  const fail = (what: string) => new Error(`Cannot load ${name}: ${what}`);
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw fail(`not JSON (${(error as Error).message})`);
  }
  const must = (field: string, wanted: string, fallback?: string) => {
    const value = json[field] ?? fallback;
    if (value !== wanted) throw fail(`${field} is ${JSON.stringify(value)}, not "${wanted}"`);
  };
  must("model_type", "roberta");
  must("hidden_act", "gelu", "gelu");
  must("position_embedding_type", "absolute", "absolute");
  const int = (field: string, fallback?: number, least = 1): number => {
    const value = json[field] ?? fallback;
    if (!Number.isInteger(value) || (value as number) < least) {
      throw fail(`${field} is ${JSON.stringify(value)}, not an integer from ${least} on`);
    }
    return value as number;
  };
  const [C, H] = [int("hidden_size"), int("num_attention_heads")];
  if (C % H !== 0 || C / H % 4 !== 0) {
    throw fail(`hidden_size ${C} over num_attention_heads ${H} gives heads of ${C / H}, no multiple of 4`);
  }
  const config: RobertaConfig = {
    C,
    F: int("intermediate_size"),
    L: int("num_hidden_layers"),
    H,
    D: C / H,
    V: int("vocab_size"),
    normEps: Number(json.layer_norm_eps ?? 1e-5),
    positions: int("max_position_embeddings", 514),
    types: int("type_vocab_size", 1),
    padId: int("pad_token_id", 1, 0),
    bosId: int("bos_token_id", 0, 0),
    eosId: int("eos_token_id", 2, 0),
  };
  if (longestOf(config) < 1) {
    throw fail(`max_position_embeddings ${config.positions} leaves no position behind pad_token_id ${config.padId}`);
  }
  return config;
}

/** The config.json that other programs read, of an encoder with a head of one number. */
export function formatRobertaConfig(config: RobertaConfig): string {
  return JSON.stringify(
    {
      architectures: ["RobertaForSequenceClassification"],
      model_type: "roberta",
      hidden_size: config.C,
      intermediate_size: config.F,
      num_hidden_layers: config.L,
      num_attention_heads: config.H,
      vocab_size: config.V,
      max_position_embeddings: config.positions,
      type_vocab_size: config.types,
      layer_norm_eps: config.normEps,
      hidden_act: "gelu",
      position_embedding_type: "absolute",
      pad_token_id: config.padId,
      bos_token_id: config.bosId,
      eos_token_id: config.eosId,
      num_labels: 1,
      torch_dtype: "float32",
    },
    null,
    2,
  ) + "\n";
}

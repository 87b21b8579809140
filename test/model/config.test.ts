import { describe, expect, test } from "vitest";
import { formatConfig, parseConfig } from "../../src/model/config.ts";

const json = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 512,
  rope_theta: 5000,
  eos_token_id: 2,
};
const parse = (extra: Record<string, unknown>) => parseConfig(JSON.stringify({ ...json, ...extra }), "config.json");

describe("config.json", () => {
  test("is read with Hugging Face's defaults, and written so that it reads the same", () => {
    const config = parse({});
    expect(config).toMatchObject({ C: 64, F: 172, L: 5, H: 8, G: 4, D: 8, V: 512, ropeTheta: 5000, tied: false });
    expect(parseConfig(formatConfig(config), "again")).toEqual(config);
  });

  test("takes RoPE's theta from either place, and refuses scaled RoPE in both", () => {
    expect(parse({ rope_theta: undefined, rope_parameters: { rope_theta: 7e5, rope_type: "default" } }).ropeTheta)
      .toBe(7e5);
    for (const scaled of [{ rope_scaling: { factor: 8 } }, { rope_parameters: { rope_type: "llama3" } }]) {
      expect(() => parse(scaled)).toThrow("Cannot load config.json: RoPE scaling");
    }
  });

  test("names the field that is wrong", () => {
    expect(() => parse({ model_type: "qwen2" })).toThrow('model_type is "qwen2", not "llama"');
    expect(() => parse({ hidden_size: 0 })).toThrow("hidden_size is 0, not a positive integer");
    expect(() => parse({ num_key_value_heads: 3 })).toThrow(
      "num_attention_heads 8 is no multiple of num_key_value_heads 3",
    );
    expect(() => parse({ head_dim: 6 })).toThrow("head size 6 is no multiple of 4");
    expect(() => parse({ eos_token_id: undefined })).toThrow("eos_token_id is undefined, not an integer");
    expect(() => parseConfig("{", "config.json")).toThrow("Cannot load config.json: not JSON");
  });
});

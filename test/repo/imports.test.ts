import { describe, expect, test } from "vitest";
import { forbidden, importEdges } from "../../tools/imports.ts";

const edge = (from: string, to: string, typeOnly = false) => ({ from, to, typeOnly });

describe("who imports whom", () => {
  test("every import of the tree is one the table in README.md allows", async () => {
    const edges = await importEdges();
    expect(edges).toContainEqual({ from: "tools/test.ts", to: "src/cli/setup.ts", typeOnly: false });
    expect(forbidden(edges)).toEqual([]);
  });

  test("an import that the table does not name is reported with both files", () => {
    const wrong = [
      edge("src/plan/plan.ts", "src/model/llama.ts", true),
      edge("kernels/matmul.ts", "src/model/llama.ts"),
      edge("src/trace/pool.ts", "src/data/problem.ts"),
      edge("src/data/problem.ts", "src/host/deno.ts"),
      edge("src/recipes/dpo.ts", "src/host/deno.ts"),
      edge("src/cli/main.ts", "src/recipes/dpo.ts"),
      edge("src/plan/plan.ts", "node:fs"),
      edge("src/data/problem.ts", "npm:commander"),
      edge("src/mod.ts", "tools/test.ts"),
      edge("src/elsewhere/x.ts", "src/plan/plan.ts"),
    ];
    expect(forbidden(wrong)).toHaveLength(wrong.length);
    expect(forbidden(wrong)[2]).toBe("src/trace/pool.ts imports src/data/problem.ts");
  });

  test("imports that the table names pass", () => {
    const right = [
      edge("src/plan/plan.ts", "src/plan/tensor.ts"),
      edge("kernels/matmul.ts", "wgsl/matmul.wgsl"),
      edge("src/loss/preference.ts", "src/model/llama.ts", true),
      edge("src/trace/pool.ts", "src/data/problem.ts", true),
      edge("src/recipes/dpo.ts", "src/loss/preference.ts"),
      edge("src/cli/main.ts", "src/mod.ts"),
      edge("src/data/tokenizer.ts", "npm:@huggingface/tokenizers"),
    ];
    expect(forbidden(right)).toEqual([]);
  });
});

/** The ladders that `deno task play` knows. A new op is a folder here and a name in this list. */
import { attention } from "./attention/mod.ts";
import { matmul } from "./matmul/mod.ts";
import type { Op } from "./op.ts";

export const ops: Record<string, Op> = { attention, matmul };

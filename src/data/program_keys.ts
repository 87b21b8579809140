/**
 * When two texts are the same program: their syntax trees are equal, positions and docstrings apart (Python's ast.dump). So
 * comments, spacing, quotes and redundant brackets do not count, names do. A text that does not parse is named by its tokens.
 */
import { sha256 } from "../files/sha256.ts";
import { normalisedCode } from "../trace/code_tokens.ts";
import type { Pool } from "../trace/pool.ts";
import source from "./program_keys.py" with { type: "text" };

export interface ProgramKeys {
  /** Equal for the same program. */
  program: string;
  /** Equal if the statements stand on the same lines too: then verdicts and errors are equal, line numbers included. */
  lines: string;
  /** Equal if the text is the same too, apart from blanks at the ends of lines: traces quote it. */
  text: string;
}

/** Programs parsed in one call of the interpreter. */
const CHUNK = 256;

/** The keys of full program texts, in order; each a SHA-256 in hexadecimal. */
export async function programKeys(
  pool: Pick<Pool, "script">,
  programs: readonly string[],
): Promise<ProgramKeys[]> {
  const chunks = Array.from(
    { length: Math.ceil(programs.length / CHUNK) },
    (_, i) => programs.slice(i * CHUNK, (i + 1) * CHUNK),
  );
  const found = await Promise.all(chunks.map((chunk) => parsed(pool, chunk)));
  return await Promise.all(
    found.flat().map(async (keys, i): Promise<ProgramKeys> => {
      const program = programs[i];
      if (keys) {
        const text = await sha256(`${keys[0]} ${program.replace(/[ \t]+$/gm, "")}`);
        return { program: keys[0], lines: keys[1], text };
      }
      const text = await sha256(`text ${program}`);
      return { program: await sha256(`tokens ${normalisedCode(program)}`), lines: text, text };
    }),
  );
}

type Parsed = [program: string, lines: string] | null;

async function parsed(pool: Pick<Pool, "script">, programs: readonly string[]): Promise<Parsed[]> {
  try {
    return await pool.script(source, programs) as Parsed[];
  } catch (error) {
    // A text nested so deeply that it ends the interpreter is alone to blame, and goes without a tree.
    if (programs.length > 1) return (await Promise.all(programs.map((one) => parsed(pool, [one])))).flat();
    const alive = await pool.script("def main(_):\n    return True", null).catch(() => false);
    if (!alive) throw error;
    return [null];
  }
}

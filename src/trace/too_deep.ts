/** Program texts that no parser survives: tens of thousands of brackets, signs or dots end Python itself, not just the parse. */

/**
 * Whether a script failed because a text that it parsed is nested so deeply that this ends the interpreter: then the text has no
 * syntax tree, and whoever asked goes on without. False where the interpreters are broken, or the script is.
 */
export async function tooDeep(
  pool: { script(source: string, input: unknown): Promise<unknown> },
  error: unknown,
): Promise<boolean> {
  if (!`${error}`.includes("the script ended the interpreter")) return false;
  return await pool.script("def main(_):\n    return True", null).then(() => true, () => false);
}

/** The order a command line names: one of the project's, a JSON file {name, components}, or a module with compare(a, b). */
import { type Comparator, comparatorOf, type Order, type OrderName, orders, parseOrder } from "../mod.ts";
import { denoHost } from "../host/deno.ts";

/** A name, or a JSON file. Errors list the names. */
export async function readOrder(word: string): Promise<OrderName | Order> {
  if (word in orders) return word as OrderName;
  if (!word.endsWith(".json")) {
    throw new Error(`Cannot use order ${word}: expected ${Object.keys(orders).join(", ")}, or a .json file`);
  }
  const text = await denoHost().readText(word);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot read ${word}: it is not JSON (${(error as Error).message})`);
  }
  return parseOrder(value, word);
}

/** A name, a JSON file, or a JavaScript or TypeScript module. */
export async function readComparator(word: string): Promise<Comparator> {
  if (!/\.[mc]?[jt]s$/.test(word)) return comparatorOf(await readOrder(word));
  if (!await denoHost().exists(word)) throw new Error(`Cannot read ${word}: no such file`);
  let module: { compare?: unknown };
  try {
    module = await import(`file://${await Deno.realPath(word)}`);
  } catch (error) {
    throw new Error(`Cannot use ${word}: ${(error as Error).message}`);
  }
  const { compare } = module;
  if (typeof compare !== "function") {
    throw new Error(
      `Cannot use ${word}: it exports ${Object.keys(module).join(", ") || "nothing"}, expected compare(a, b)`,
    );
  }
  return { name: word.split("/").at(-1)!, compare: (a, b) => compare(a, b) };
}

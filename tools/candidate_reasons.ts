/** Why a program can end otherwise here than where it was measured. Each disagreement must have one of these reasons. */

/** One program: its class as measured natively and as found here, with what is known of its end here. */
export interface Seen {
  key: string;
  count: number;
  measured: string;
  here: string;
  verdict: string;
  message?: string;
  test?: string;
  got?: string;
  expected?: string;
  steps: number;
  ms: number;
}

interface Reason {
  text: string;
  holds(seen: Seen): boolean;
}

/** Programs that were looked at one by one. */
const isOne = (...keys: string[]) => ({ key }: Seen) => keys.includes(key);
const codegen = (problem: number, sample: number) => `humaneval/${problem}#codegen-16B-mono#${sample}`;

/** In order: the first that holds is the reason. */
export const reasons: Record<string, Reason> = {
  "missing module": {
    text:
      "The measuring host had packages installed that are not part of the standard library (numpy, scipy, requests, " +
      "boto3, colorama, setuptools) and tkinter; the sandbox has the standard library alone, without tkinter. The import " +
      "fails here; there the program went on to the end it was measured with.",
    holds: ({ here, message, measured }) =>
      here === "exc:ModuleNotFoundError" && measured !== here &&
      /'(numpy|scipy|requests|boto3|colorama|setuptools|tkinter)'/.test(message ?? ""),
  },
  "Python 3.12: int.is_integer": {
    text: "int has had is_integer() since 3.12; in 3.11 the call is an AttributeError.",
    holds: isOne(codegen(151, 72)),
  },
  "Python 3.12: slices can be hashed": {
    text: "A slice as a dict key is a TypeError in 3.11 and a KeyError since 3.12.",
    holds: isOne(codegen(156, 7)),
  },
  "Python 3.14: annotations are evaluated lazily": {
    text: "An annotation that uses a name nobody imported (List) is a NameError at definition in 3.11; 3.14 never " +
      "evaluates it (PEP 649).",
    holds: isOne("humaneval/7#gpt-3.5-turbo-0613#0"),
  },
  "order of a set of strings": {
    text:
      "The program depends on the iteration order of a set of strings, which the hash seed decides: natively it ends " +
      "now one way, now the other (tried with several seeds). Here the seed is always 0.",
    holds: isOne(codegen(1, 46), "mbpp/480#starcoder-15B#0"),
  },
  "order of a set of numbers": {
    text:
      "The program depends on the iteration order of a set of negative integers. On a collision CPython probes with " +
      "the upper bits of the hash, which has 32 bits here and 64 there.",
    holds: isOne(codegen(120, 53)),
  },
  "memory cap": {
    text: "The program grows without end. Natively its time ran out first; here the heap reaches its cap first.",
    holds: ({ measured, here, verdict }) =>
      measured === "timeout" && here === "exc:MemoryError" && verdict === "memory_limit",
  },
  "step budget": {
    text:
      "The test with input 661915703 builds a table of that size: natively a MemoryError. Here the test before it " +
      "(12321) already takes more than the step budget, and the first failing test decides.",
    holds: ({ key, measured, verdict }) =>
      key.startsWith("apps/train/1645#") && measured === "exc:MemoryError" && verdict === "step_limit",
  },
  "time limit": {
    text:
      "A right answer that needs more seconds than it was given natively. The step budget of the problem, twice the " +
      "steps of its reference solution, lets it come to its end here.",
    holds: ({ measured, here, steps }) => measured === "timeout" && here === "pass" && steps > 10_000_000,
  },
  "recursion limit": {
    text:
      "modp(1101, 101) by recursion makes 1,102 nested calls. CPython's default limit of 1000 ends it, natively too " +
      "(tried with 3.11); the process that measured it had a higher one.",
    holds: isOne(codegen(49, 56), codegen(49, 80)),
  },
  "Python 3.12: sums of floats are compensated": {
    text:
      "sum() of floats carries the rounding errors along since 3.12. The program waits for a polynomial to become " +
      "exactly 0: with 3.11's sum it does, with the better one it recurses without end (3.13 agrees with 3.14).",
    holds: isOne(codegen(32, 52)),
  },
};

export function reasonOf(seen: Seen): string | null {
  return Object.keys(reasons).find((reason) => reasons[reason].holds(seen)) ?? null;
}

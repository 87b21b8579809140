// Random Python from a small grammar: well-formed, mostly meaningless, now and then endless.

import { below, pick, type Uniform } from "./random.ts";

const names = ["a", "b", "c", "x", "xs", "total", "seen"];
const binary = "+ - * / // % ** & | ^ << >> == != < <= > >= and or in is".split(" ");
const calls = [
  "len",
  "sum",
  "sorted",
  "list",
  "set",
  "str",
  "int",
  "abs",
  "max",
  "repr",
  "range",
  "reversed",
  "iter",
  "next",
  "g",
];
const errors = [
  "ValueError",
  "KeyError",
  "Exception",
  "BaseException",
  "(TypeError, ZeroDivisionError)",
  "StopIteration",
];

/** A module that defines `f(x)`, `g` and a class. */
export function randomModule(uniform: Uniform): string {
  const statements = (indent: string, depth: number): string =>
    Array.from({ length: 1 + below(uniform, 4) }, () => statement(uniform, indent, depth)).join("");
  return [
    `import math, collections, itertools, functools\n`,
    `class K:\n    y = ${below(uniform, 9)}\n    def __${
      pick(uniform, ["eq", "lt", "getattr", "len", "repr", "del"])
    }__(self, *o):\n`,
    `        return ${expression(uniform, 2)}\n`,
    `def g(*a):\n${statements("    ", 2)}    return a[0] if a else None\n`,
    uniform() < 0.2 ? `@functools.lru_cache\n` : "",
    `def f(x):\n    a, b, c, xs, total, seen = 1, x, 0.5, [x, 2, 3], 0, {}\n`,
    statements("    ", 3),
    `    return ${expression(uniform, 3)}\n`,
  ].join("");
}

function statement(uniform: Uniform, indent: string, depth: number): string {
  const e = () => expression(uniform, 2);
  const name = pick(uniform, names);
  const block = () =>
    Array.from({ length: 1 + below(uniform, 3) }, () => statement(uniform, indent + "    ", depth - 1)).join("");
  const simple = [
    () => `${name} = ${e()}\n`,
    () => `${name} ${pick(uniform, ["+", "-", "*", "//", "|", "@"])}= ${e()}\n`,
    () => `print(${e()}, ${e()})\n`,
    () => `assert ${e()}, ${e()}\n`,
    () => `raise ${pick(uniform, ["ValueError", "KeyError", "StopIteration", "SystemExit"])}(${e()})\n`,
    () => `${pick(uniform, ["return", "yield", "del xs[0:1] #", "pass #", "lambda: "])} ${e()}\n`,
    () => `xs.append(${e()})\n`,
    () => `seen[${e()}] = ${e()}\n`,
    () => `${name}, *_ = ${e()}, ${e()}\n`,
  ];
  if (depth <= 0 || uniform() < 0.5) return indent + pick(uniform, simple)();
  const compound = [
    () => `if (${name} := ${e()}):\n${block()}${indent}else:\n${block()}`,
    () => `for ${name} in ${pick(uniform, ["xs", "range(9)", "seen", e(), "itertools.count()"])}:\n${block()}`,
    () => `while ${e()}:\n${block()}${indent}    ${pick(uniform, ["break", "continue", "a += 1"])}\n`,
    () =>
      `try:\n${block()}${indent}except ${pick(uniform, errors)} as ${name}:\n${block()}${indent}finally:\n${block()}`,
    () => `with K() as ${name}:\n${block()}`,
    () => `def g(${name}=${e()}, *more):\n${block()}`,
    () =>
      `match ${e()}:\n${indent}    case [${name}, *_]:\n${
        block().replaceAll(/^/gm, "    ").trimEnd()
      }\n${indent}    case _:\n${indent}        pass\n`,
  ];
  return indent + pick(uniform, compound)();
}

function expression(uniform: Uniform, depth: number): string {
  const e = () => expression(uniform, depth - 1);
  const name = () => pick(uniform, names);
  if (depth <= 0 || uniform() < 0.25) {
    return pick(uniform, [
      name,
      name,
      () => String(below(uniform, 100)),
      () => "-1",
      () => "0.1",
      () => "''",
      () => "'ab'",
      () => "None",
      () => "[]",
      () => "{}",
      () => "()",
      () => "10**20",
      () => "float('nan')",
      () => "b'x'",
      () => "K",
    ])();
  }
  return pick(uniform, [
    () => `(${e()} ${pick(uniform, binary)} ${e()})`,
    () => `(${e()} ${pick(uniform, binary)} ${e()})`,
    () => `${pick(uniform, calls)}(${e()})`,
    () => `[${e()}, ${e()}]`,
    () => `{${e()}: ${e()}}`,
    () => `(${e()} if ${e()} else ${e()})`,
    () => `[${e()} for ${name()} in ${e()} if ${e()}]`,
    () => `(lambda ${name()}: ${e()})(${e()})`,
    () => `${e()}[${e()}]`,
    () => `${e()}[${e()}:${e()}]`,
    () => `f"{${name()}!r:>{${below(uniform, 20)}}}"`,
    () => `not ${e()}`,
    () => `K().${name()}`,
    () => `math.sqrt(${e()})`,
    () => `collections.Counter(${e()})`,
  ])();
}

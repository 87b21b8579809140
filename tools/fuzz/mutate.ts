// Small damage to real programs, blind to Python's grammar: by token, by line, by character, and two programs joined.

import { below, pick, type Uniform } from "./random.ts";

const words =
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case print len range self __init__ __eq__ __del__ 0 1 -1 2**63 10**9 1e308 \'\' [] {} () ( ) [ ] { } : , . = == != < > <= >= + - * / // % ** @ & | ^ ~ << >> := -> += \\ # """ ... *args **kwargs'
    .split(" ");
const oddCharacters = [
  "\0",
  "\t",
  "\r",
  "\f",
  "\u00a0",
  "\u200b",
  "\ufeff",
  "\u2028",
  "é",
  "名",
  "😀",
  "\ud800",
  "\u0660",
  "\\",
  "'",
  '"',
];

export function mutateTokens(uniform: Uniform, program: string): string {
  const tokens = program.match(/\s+|\w+|[^\w\s]/g) ?? [""];
  const kind = (token: string) =>
    /^\s/.test(token) ? "space" : /^[a-zA-Z_]/.test(token) ? "word" : /^\d/.test(token) ? "number" : "sign";
  for (let edits = 1 + below(uniform, 3); edits > 0; edits--) {
    const at = below(uniform, tokens.length);
    const same = tokens.filter((token) => kind(token) === kind(tokens[at]));
    const other = below(uniform, tokens.length);
    switch (uniform() < 0.7 ? 0 : 1 + below(uniform, 4)) {
      case 0: // mostly one of its own kind, which is often still a program
        tokens[at] = pick(uniform, same);
        break;
      case 1:
        tokens[at] = "";
        break;
      case 2:
        tokens[at] += tokens[at];
        break;
      case 3:
        [tokens[at], tokens[other]] = [tokens[other], tokens[at]];
        break;
      default:
        tokens[at] = ` ${pick(uniform, words)} `;
    }
  }
  return tokens.join("");
}

/** @param donor another program, whose lines may come in */
export function mutateLines(uniform: Uniform, program: string, donor: string): string {
  const lines = program.split("\n");
  const donated = donor.split("\n");
  for (let edits = 1 + below(uniform, 2); edits > 0; edits--) {
    const at = below(uniform, lines.length);
    const other = below(uniform, lines.length);
    switch (below(uniform, 6)) {
      case 0:
        lines.splice(at, 1);
        if (lines.length === 0) lines.push("");
        break;
      case 1:
        lines.splice(at, 0, lines[other]);
        break;
      case 2:
        [lines[at], lines[other]] = [lines[other], lines[at]];
        break;
      case 3:
        lines[at] = pick(uniform, [" ", "    ", "\t"]) + lines[at];
        break;
      case 4:
        lines[at] = lines[at].replace(/^ {1,4}/, "");
        break;
      default:
        lines.splice(at, 0, pick(uniform, donated));
    }
  }
  return lines.join("\n");
}

export function mutateCharacters(uniform: Uniform, program: string): string {
  const characters = program.split("");
  for (let edits = 1 + below(uniform, 4); edits > 0; edits--) {
    const at = below(uniform, characters.length + 1);
    const fresh = uniform() < 0.3 ? pick(uniform, oddCharacters) : String.fromCharCode(32 + below(uniform, 95));
    if (uniform() < 0.3) characters.splice(at, 1);
    else if (uniform() < 0.5) characters.splice(at, 1, fresh);
    else characters.splice(at, 0, fresh);
  }
  return characters.join("");
}

/** The first lines of one, then the last lines of the other. */
export function splice(uniform: Uniform, program: string, donor: string): string {
  const head = program.split("\n");
  const tail = donor.split("\n");
  return [...head.slice(0, below(uniform, head.length + 1)), ...tail.slice(below(uniform, tail.length))].join("\n");
}

/** Text that is no program. */
export function garbage(uniform: Uniform): string {
  const length = 1 + below(uniform, 400);
  const any = () => String.fromCharCode(below(uniform, uniform() < 0.7 ? 256 : 65536));
  return Array.from({ length }, () => uniform() < 0.1 ? pick(uniform, words) : any()).join("");
}

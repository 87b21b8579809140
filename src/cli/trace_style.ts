/** Coloured text for terminals: spans with a style, measured and wrapped by what they look like, not by their bytes. */

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };
export type Style = keyof typeof codes;
export interface Span {
  text: string;
  styles: Style[];
}

/** A span; what a program wrote can't steer the terminal, control characters are shown as escapes. */
export function span(text: string, ...styles: Style[]): Span {
  return { text: visible(text), styles };
}

/** The standard words of the environment: FORCE_COLOR decides, then NO_COLOR (no-color.org), then the terminal. */
export function wantsColour(env: (name: string) => string | undefined, terminal: boolean): boolean {
  const force = env("FORCE_COLOR");
  if (force) return force !== "0" && force !== "false";
  return terminal && !env("NO_COLOR") && env("TERM") !== "dumb";
}

export function paint(spans: readonly Span[], colour: boolean): string {
  const painted = spans.map(({ text, styles }) =>
    colour && styles.length > 0 && text.trim() !== ""
      ? `\x1b[${styles.map((style) => codes[style]).join(";")}m${text}\x1b[0m`
      : text
  );
  return painted.join("").trimEnd();
}

/** Columns a terminal uses for it. */
export function widthOf(spans: readonly Span[]): number {
  return spans.reduce(
    (sum, { text }) => sum + [...text].reduce((width, character) => width + columns(character), 0),
    0,
  );
}

/** Lines of at most `width` columns: broken between spans, and inside those that are longer than a line. */
export function wrap(spans: readonly Span[], width: number): Span[][] {
  const lines: Span[][] = [[]];
  let left = width;
  const startLine = () => {
    lines.push([]);
    left = width;
  };
  for (const part of spans) {
    const size = widthOf([part]);
    if (size > left && size <= width) startLine();
    if (lines.length > 1 && left === width && part.text.trim() === "") continue; // no gap at the start of a line
    for (const [index, text] of cut(part.text, width, left).entries()) {
      if (index > 0) startLine();
      lines.at(-1)!.push({ ...part, text });
      left -= widthOf([{ ...part, text }]);
    }
  }
  return lines;
}

/** Fills up with blanks to `width` columns; longer text is cut and ends in `…`. */
export function fit(part: Span, width: number): Span {
  const size = widthOf([part]);
  if (size <= width) return { ...part, text: part.text + " ".repeat(width - size) };
  const [head] = cut(part.text, width - 1, width - 1);
  return fit({ ...part, text: head + "…" }, width);
}

/** Pieces of at most `width` columns, the first of at most `first`. */
function cut(text: string, width: number, first: number): string[] {
  const pieces = [""];
  let left = first;
  for (const character of text) {
    const size = columns(character);
    if (size > left) {
      pieces.push("");
      left = width;
    }
    pieces[pieces.length - 1] += character;
    left -= size;
  }
  return pieces;
}

// Combining marks take no column; East Asian wide characters and emoji take two (Unicode TR 11, the common blocks).
const mark = /^[\p{M}\u200b-\u200d\ufe00-\ufe0f]$/u;
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;

function columns(character: string): number {
  if (character < "\u0300") return 1;
  return mark.test(character) ? 0 : wide.test(character) ? 2 : 1;
}

/** Control characters and the marks that reorder text, as escapes; a tab as four blanks. */
function visible(text: string): string {
  return text.replaceAll("\t", "    ").replace(
    // deno-lint-ignore no-control-regex
    /[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (found) => {
      const code = found.charCodeAt(0).toString(16);
      return found === "\n" ? "\\n" : code.length > 2 ? `\\u${code}` : `\\x${code.padStart(2, "0")}`;
    },
  );
}

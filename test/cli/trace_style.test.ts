import { expect, test } from "vitest";
import { fit, paint, span, wantsColour, widthOf, wrap } from "../../src/cli/trace_style.ts";

const text = (lines: ReturnType<typeof wrap>) => lines.map((line) => paint(line, false));

test("columns are counted as a terminal shows them: wide characters two, combining marks none", () => {
  expect(widthOf([span("abc"), span("日本")])).toBe(7);
  expect(widthOf([span("e\u0301🎉")])).toBe(3);
  expect(fit(span("日本語"), 5)).toMatchObject({ text: "日本…" });
  expect(fit(span("ab"), 4)).toMatchObject({ text: "ab  " });
  expect(fit(span("日本語"), 4)).toMatchObject({ text: "日… " });
});

test("lines break between spans, inside a span only where it is longer than a line, and start with no gap", () => {
  const gap = span("  ");
  expect(text(wrap([span("aaaa"), gap, span("bbbb"), gap, span("cc")], 10))).toEqual(["aaaa  bbbb", "cc"]);
  expect(text(wrap([span("aa"), gap, span("bbbbbbbbbbbb"), gap, span("c")], 8))).toEqual(["aa  bbbb", "bbbbbbbb", "c"]);
  expect(text(wrap([], 8))).toEqual([""]);
});

test("what could steer a terminal or reorder its text is shown as escapes", () => {
  expect(paint([span("\x1b[2J\r\n\x9b1m\u202e", "red")], false)).toBe("\\x1b[2J\\x0d\\n\\x9b1m\\u202e");
  expect(paint([span("a\tb", "red"), span(" ", "red")], true)).toBe("\x1b[31ma    b\x1b[0m");
});

test("FORCE_COLOR decides before NO_COLOR, NO_COLOR before the terminal", () => {
  const wants = (env: Record<string, string>, terminal: boolean) => wantsColour((name) => env[name], terminal);
  expect(wants({}, true)).toBe(true);
  expect(wants({}, false)).toBe(false);
  expect(wants({ NO_COLOR: "1" }, true)).toBe(false);
  expect(wants({ NO_COLOR: "" }, true)).toBe(true); // no-color.org: only if not empty
  expect(wants({ FORCE_COLOR: "1", NO_COLOR: "1" }, false)).toBe(true);
  expect(wants({ FORCE_COLOR: "0" }, true)).toBe(false);
  expect(wants({ TERM: "dumb" }, true)).toBe(false);
});

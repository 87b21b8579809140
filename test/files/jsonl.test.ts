import { expect, test } from "vitest";
import { parseJsonl, parseJsonLines, toJsonl } from "../../src/files/jsonl.ts";

test("rows come back as they were written", () => {
  const rows = [{ a: 1, text: "two\nlines \u2028 and a separator" }, [true, null], "x"];
  expect(parseJsonl(toJsonl(rows), "x.jsonl")).toEqual(rows);
  expect(toJsonl([])).toBe("");
});

test("empty lines, Windows line ends, a byte order mark and a missing last newline are allowed", () => {
  expect(parseJsonl('\uFEFF{"a":1}\r\n\r\n  \n{"a":2}', "x.jsonl")).toEqual([{ a: 1 }, { a: 2 }]);
});

test("rows keep their line number past empty lines", () => {
  expect(parseJsonLines("1\n\n\n2\n", "x.jsonl")).toEqual([{ line: 1, value: 1 }, { line: 4, value: 2 }]);
});

test("a broken line is named by file and number", () => {
  expect(() => parseJsonl('{"a":1}\n\n{"a":', "x.jsonl")).toThrow(/^Cannot read x\.jsonl: line 3 is not JSON \(.+\)$/);
});

test("numbers can be read from the text they were written as", () => {
  const sources: string[] = [];
  parseJsonLines('{"a":[3.0,12345678901234567890,{"b":-1e3}],"c":"7"}', "x.jsonl", (value, source) => {
    sources.push(source);
    return value;
  });
  expect(sources).toEqual(["3.0", "12345678901234567890", "-1e3"]);
});

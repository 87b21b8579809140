import { describe, expect, test } from "vitest";
import { lineChart, niceTicks } from "../../src/eval/charts.ts";
import { points, seconds, short } from "../../src/eval/format.ts";
import { markup } from "../../src/eval/html.ts";
import { reportHtml, withoutTiming } from "../../src/eval/report.ts";
import { compareEvaluations } from "../../src/eval/summary.ts";
import { type ComparedReport, sampleReport } from "./sample_report.ts";

describe("the report page", () => {
  const page = reportHtml(sampleReport());

  test("is well-formed: every element that opens closes, in order", () => {
    expect(unbalanced(page)).toBe(null);
    expect(unbalanced("<main><p>x</main>")).toBe("</main> closes <p>");
  });

  test("is one file: no script, no address, nothing to load", () => {
    expect(page).not.toMatch(/<script|<link|<img|<iframe|\bsrc=|\bhref=|url\(|@import|https?:|\bon\w+=/i);
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  });

  test("holds what a reader looks for", () => {
    const report = sampleReport();
    const text = page.replaceAll("\u00a0", " ");
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
    for (const k of ["1", "4"]) {
      expect(text).toContain(percent(report.before.passAt[k].value));
      expect(text).toContain(percent(report.after.passAt[k].value));
    }
    for (const name of ["loss", "rewards/margins", "rewards/accuracies", "rewards/chosen_falling"]) {
      expect(text).toContain(`<b>${name}</b>`);
    }
    expect(page.match(/<path class="curve"/g)?.length).toBe(4);
    for (
      const part of [
        "wrong answer",
        "syntax error",
        "IndexError",
        "llvmpipe",
        "deno task train --seed 7",
        "count_vowels",
        "pass/fail",
        "Condition (x &gt; high) is True",
        "sampling: 1,843 tokens/s",
        "7 min 11 s",
        "how a large model behaves",
      ]
    ) {
      expect(text).toContain(part);
    }
  });

  test("escapes everything that comes from a run", () => {
    const evil = `"><script>alert('x')</script>&amp;\0`;
    const report = sampleReport();
    report.data.name =
      report.model.dir =
      report.adapter =
      report.command =
        evil;
    report.options = { [evil]: evil };
    report.notes = [evil];
    const side = { code: evil, verdict: evil, testsPassed: 0, testsTotal: 1, trace: evil };
    report.example = { problemId: evil, description: evil, reason: evil, test: evil, chosen: side, rejected: side };
    report.before.byFamily = { [evil]: { problems: 1, passAt1: 0 } };
    report.before.crashes = { [evil]: 1 };
    report.recipe = evil;
    report.trainings[0].metrics.at(-1)![evil] = 1;
    report.trainings[0].stage = evil;
    report.tables[0] = { title: evil, columns: [evil], rows: [[evil]], note: evil };
    report.timing.stages[0] = { name: evil, seconds: 1, detail: evil };
    report.timing.tokensPerSecond = { [evil]: 1 };
    const html = reportHtml(report);
    expect(html).not.toContain("<script");
    expect(html).not.toContain("\0");
    expect(html.match(/&lt;script&gt;alert\(&#39;x&#39;\)&lt;\/script&gt;&amp;amp;/g)!.length).toBeGreaterThan(15);
    expect(unbalanced(html)).toBe(null);
  });

  test("says it in words: a rise, a fall, no clear change, and nothing passing at all", () => {
    const words = (change: (report: ComparedReport) => void) => {
      const report = sampleReport();
      change(report);
      return reportHtml(report).replaceAll("\u00a0", " ");
    };
    expect(words(() => {})).toContain("pass@1 rose by 15.6 points (95 % interval +");
    expect(words((report) => {
      [report.before, report.after] = [report.after, report.before];
      report.comparison = compareEvaluations(report.before, report.after, 7);
    })).toContain("pass@1 fell by 15.6 points (95 % interval \u2212");
    expect(words((report) => {
      report.after = report.before;
      report.comparison = compareEvaluations(report.before, report.after, 7);
    })).toContain("No clear change of pass@1: 0.0 points, and the 95 % interval 0.0 to 0.0 includes 0.");
    const none = words((report) => {
      for (const evaluation of [report.before, report.after]) {
        evaluation.outcomes.pass = 0;
        for (const k of ["1", "4"]) evaluation.passAt[k] = { value: 0, low: 0, high: 0 };
      }
    });
    expect(none).toContain("No sample passed, before or after");
    expect(none).not.toContain("NaN");
  });

  test("does without families, example, curves and pairs, where a run has none", () => {
    const report = sampleReport();
    report.before.byFamily = report.after.byFamily = {};
    report.before.steps = null;
    delete report.example;
    delete report.transition;
    report.trainings[0] = { stage: "dpo", steps: 0, metrics: [] };
    delete report.pairs;
    report.notes = [];
    const html = reportHtml(report);
    expect(html).toContain("No step was taken");
    expect(html).not.toContain("preference order");
    expect(html).not.toMatch(/NaN|undefined|\[object/);
    expect(unbalanced(html)).toBe(null);
    expect(reportHtml(sampleReport())).not.toMatch(/NaN|undefined|\[object/);
  });
});

test("the same run gives the same report but for its times", () => {
  const [first, second] = [sampleReport(), sampleReport()];
  second.timing = { startedAt: "2027-01-01T00:00:00Z", totalSeconds: 9, stages: [], tokensPerSecond: {} };
  expect(JSON.stringify(withoutTiming(first))).toBe(JSON.stringify(withoutTiming(second)));
  expect(withoutTiming(first)).not.toHaveProperty("timing");
  expect(reportHtml(JSON.parse(JSON.stringify(first)))).toBe(reportHtml(first)); // the page can be made from report.json
});

describe("charts and numbers", () => {
  test.each<[number, number, number, number[]]>([
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.31, 0.69, 5, [0.3, 0.4, 0.5, 0.6, 0.7]],
    [-3, 12, 5, [-5, 0, 5, 10, 15]],
    [0, 0.0004, 4, [0, 0.0001, 0.0002, 0.0003, 0.0004]],
    [2, 2, 4, [1, 1.5, 2, 2.5, 3]],
  ])("ticks over %d to %d", (low, high, count, ticks) => expect(niceTicks(low, high, count)).toEqual(ticks));

  test("a line skips values that are not finite and says how many", () => {
    const { text } = lineChart({
      title: "loss",
      hint: "",
      points: [{ x: 0, y: 1 }, { x: 1, y: NaN }, { x: 2, y: 3 }, { x: 3, y: 4 }],
    });
    expect(text).toContain("(1 values were not finite)");
    expect(text.match(/ d="([^"]*)"/)![1].replace(/[\d. ]+/g, "")).toBe("MML");
    expect(text).not.toContain("NaN");
  });

  test("a line of one point, and one without any finite value, still draw", () => {
    for (const y of [5, 0, NaN]) {
      const { text } = lineChart({ title: "x", hint: "", points: [{ x: 3, y }] });
      expect(text).not.toMatch(/NaN|Infinity/);
    }
  });

  test("numbers are short, signs are signs", () => {
    expect([0, 0.1234, 12.346, 12345, 1e-5, -0.5].map(short)).toEqual(
      ["0", "0.123", "12.3", "12,345", "1.0e\u22125", "\u22120.5"],
    );
    expect([0.0421, -0.01, 0, -0.0001].map(points)).toEqual(["+4.2", "\u22121.0", "0.0", "0.0"]);
    expect([2.44, 81.2, 431].map((x) => seconds(x).replaceAll("\u00a0", " "))).toEqual(["2.4 s", "81 s", "7 min 11 s"]);
  });

  test("templates escape texts and leave markup, lists and nothing alone", () => {
    const items = ["<", "&"].map((sign) => markup`<i>${sign}</i>`);
    expect(markup`<b title="${'"'}">${items}${false}${null}${0}</b>`.text).toBe(
      '<b title="&quot;"><i>&lt;</i><i>&amp;</i>0</b>',
    );
  });
});

/** The first tag that does not match, or null: a strict reading, where every element closes itself or is closed. */
function unbalanced(page: string): string | null {
  const open: string[] = [];
  const body = page.replace(/<style>[^]*?<\/style>/, "").replace(/<!doctype html>/i, "");
  for (const [tag, closing, name, rest] of body.matchAll(/<(\/?)([a-z][a-z0-9]*)((?:\s+[\w-]+="[^"<]*")*\s*\/?)>/gi)) {
    if (["meta", "br"].includes(name) || rest.endsWith("/")) continue;
    if (!closing) {
      open.push(name);
      continue;
    }
    const expected = open.pop();
    if (expected !== name) return `${tag} closes <${expected}>`;
  }
  const stray = body.replace(/<\/?[a-z][a-z0-9]*(?:\s+[\w-]+="[^"<]*")*\s*\/?>/gi, "").match(/[^]{0,20}[<>][^]{0,20}/);
  return open.length ? `<${open.at(-1)}> stays open` : stray ? `stray bracket: ${stray[0]}` : null;
}

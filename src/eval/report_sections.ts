/** The sections of the report page, in the order they stand. */
import { changePlot, type Curve, lineChart, outcomeBars } from "./charts.ts";
import { count, interval, outcomeNames, percent, points, seconds, short } from "./format.ts";
import { type Markup, markup } from "./html.ts";
import { outcomeKinds } from "./outcomes.ts";
import type { PairSide, ReportTable, RunReport } from "./report.ts";
import type { Evaluation } from "./summary.ts";

export function headline({ before, after, comparison, data }: RunReport): Markup {
  if (!before) return markup``;
  if (!after || !comparison) {
    return markup`<section>
    <div class="headline"><span class="big">${percent(before.passAt["1"].value)}</span>
      <span>pass@1 of the model on ${count(before.problems, "problem")} (${data.evalOn}),
        ${count(before.samplesPerProblem, "sample")} each; 95 % interval ${
      interval(before.passAt["1"], percent)
    }</span></div>
  </section>`;
  }
  const [old, now] = [before.passAt["1"], after.passAt["1"]];
  const ks = Object.keys(before.passAt).filter((k) => k in after.passAt).sort((a, b) => Number(a) - Number(b));
  const change = comparison.passAt["1"];
  const direction = change.low > 0 ? "up" : change.high < 0 ? "down" : "soft";
  return markup`<section>
    <div class="headline"><span class="big from">${percent(old.value)}</span><span class="arrow">→</span>
      <span class="big">${percent(now.value)}</span>
      <span>pass@1 on ${count(before.problems, "problem")} (${data.evalOn}),
        ${count(before.samplesPerProblem, "sample")} each</span></div>
    <p class="${direction}"><b>${verdict(before, after, change)}</b></p>
    ${
    comparison.passAt1OverFamilies && markup`<p class="soft">Drawing whole families instead of single problems, the
      interval of the change is ${interval(comparison.passAt1OverFamilies, points)} points: problems of one family
      resemble each other.</p>`
  }
    <div class="scroll">${
    changePlot(ks.map((k) => ({ label: `pass@${k}`, before: before.passAt[k], after: after.passAt[k] })))
  }</div>
    <div class="scroll"><table><tr><th></th><th class="n">before</th><th class="n">after</th>
      <th class="n">change in points</th><th>95 % interval of the change</th></tr>
    ${
    ks.map((k) =>
      markup`
        <tr>
          <td>pass@${k}</td>
          <td class="n">${percent(before.passAt[k].value)}</td>
          <td class="n">${percent(after.passAt[k].value)}</td>
          <td class="n">${points(comparison.passAt[k].value)}</td>
          <td>${interval(comparison.passAt[k], points)}</td>
        </tr>
      `
    )
  }</table></div>
    <p class="soft">Hollow: before, filled: after, with 95 % bootstrap intervals over problems. pass@k is the unbiased
      estimate; a completion counts only if the model ended it by itself.</p>
  </section>`;
}

function verdict(before: Evaluation, after: Evaluation, change: { value: number; low: number; high: number }): string {
  const range = `95 % interval ${points(change.low)} to ${points(change.high)}`;
  if (before.outcomes.pass === 0 && after.outcomes.pass === 0) {
    return "No sample passed, before or after; what the samples did instead is below.";
  }
  if (change.low > 0) return `pass@1 rose by ${points(change.value).replace("+", "")} points (${range}).`;
  if (change.high < 0) return `pass@1 fell by ${points(-change.value).replace("+", "")} points (${range}).`;
  return `No clear change of pass@1: ${points(change.value)} points, and the ${range} includes 0.`;
}

export function outcomeSection({ before, after, transition }: RunReport): Markup {
  if (!before || !after) return markup``;
  const share = (evaluation: Evaluation, kind: keyof Evaluation["outcomes"]) =>
    evaluation.outcomes[kind] / Math.max(1, Object.values(evaluation.outcomes).reduce((sum, n) => sum + n, 0));
  const kinds = outcomeKinds.filter((kind) => before.outcomes[kind] + after.outcomes[kind] > 0);
  const types = [...new Set([...Object.keys(before.crashes), ...Object.keys(after.crashes)])];
  const steps = (evaluation: Evaluation) =>
    evaluation.steps
      ? `${short(evaluation.steps.median)} (95th percentile ${short(evaluation.steps.p95)})`
      : "none ran";
  return markup`<section><h2>What the samples did</h2>
    <div class="scroll">${
    outcomeBars([{ label: "before", mix: before.outcomes }, { label: "after", mix: after.outcomes }])
  }</div>
    <div class="scroll"><table><tr><th>outcome</th><th class="n">before</th><th class="n"></th><th class="n">after</th>
      <th class="n"></th><th class="n">change in points</th></tr>
    ${
    kinds.map((kind) =>
      markup`
        <tr>
          <td><span class="key" style="background:var(--${kind})"></span>${outcomeNames[kind]}</td>
          <td class="n">${before.outcomes[kind]}</td>
          <td class="n soft">${percent(share(before, kind))}</td>
          <td class="n">${after.outcomes[kind]}</td>
          <td class="n soft">${percent(share(after, kind))}</td>
          <td class="n">${points(share(after, kind) - share(before, kind))}</td>
        </tr>
      `
    )
  }</table></div>
    ${
    types.length > 0 && markup`<p class="soft">Crashes by exception, before and after: ${
      types.map((type) => `${type} ${before.crashes[type] ?? 0} → ${after.crashes[type] ?? 0}`).join(", ")
    }.</p>`
  }
    <p class="soft">Line events per program: median ${steps(before)} before, ${steps(after)} after. Completions that
      ended by themselves: ${percent(before.completions.finished)} before, ${percent(after.completions.finished)} after;
      mean length ${before.completions.meanTokens.toFixed(1)} and ${after.completions.meanTokens.toFixed(1)} tokens;
      distinct texts ${percent(before.completions.distinct)} and ${percent(after.completions.distinct)}.</p>
    ${
    transition && markup`
      <details>
        <summary>How outcomes moved, sample by sample</summary>
        <div class="scroll">
          <table>
            <tr><th>before \\ after</th>${kinds.map((kind) => markup`<th class="n">${outcomeNames[kind]}</th>`)}</tr>
            ${
      kinds.map((from) =>
        markup`<tr><td>${outcomeNames[from]}</td>${
          kinds.map((to) => markup`<td class="n">${transition[from][to]}</td>`)
        }</tr>`
      )
    }</table>
        </div>
      </details>
    `
  }
  </section>`;
}

const share = { range: [0, 1] as [number, number] };
const curves: (Omit<Curve, "points" | "title"> & { metric: string })[] = [
  { metric: "loss", hint: "should fall; a fall alone proves nothing" },
  {
    metric: "rewards/margins",
    hint: "winner minus loser, in units of β log-probability",
    reference: { y: 0, label: "no preference" },
  },
  {
    metric: "rewards/accuracies",
    hint: "share of pairs ranked right; 0 at the first step, where all are ties",
    ...share,
  },
  {
    metric: "rewards/chosen_falling",
    hint: "share of winners that became less likely; near 1 means trouble",
    ...share,
  },
  { metric: "mean_token_accuracy", hint: "share of completion tokens predicted right", ...share },
  { metric: "accuracy", hint: "share of pairs the reward model ranks right", ...share },
  { metric: "objective/scores", hint: "mean reward of the samples" },
  { metric: "env/pass_rate", hint: "share of the samples that pass all tests", ...share },
  { metric: "objective/kl", hint: "nats a sequence, against the model at the start", reference: { y: 0, label: "" } },
  { metric: "policy/entropy_avg", hint: "nats a token; a collapse ends exploration" },
  { metric: "loss/policy_avg", hint: "clipped surrogate" },
  { metric: "val/explained_variance", hint: "of the returns, by the value head" },
  { metric: "frac_reward_zero_std", hint: "groups that say nothing: all samples scored alike", ...share },
  { metric: "monitor/steps_ratio", hint: "line events against the reference's; growth is padding" },
  { metric: "monitor/fuel_share", hint: "samples that ran out of steps", ...share },
];

export function trainingSection({ stage, steps, metrics }: RunReport["trainings"][number]): Markup {
  const drawn = curves.flatMap(({ metric, ...curve }) => {
    const points = metrics.filter((row) => metric in row).map((row) => ({ x: row.step, y: row[metric] }));
    return points.length ? [lineChart({ ...curve, title: metric, points })] : [];
  });
  const last = metrics.at(-1);
  return markup`<section><h2>Training: ${count(steps, "step")} of ${stage}</h2>
    ${
    drawn.length
      ? markup`<div class="charts">${drawn}</div>`
      : markup`<p>No step was taken, so there are no curves.</p>`
  }
    ${
    last && markup`
      <details>
        <summary>All metrics of the last logged step</summary>
        <dl>
            ${
      Object.entries(last).map(([name, value]) =>
        markup`
                <dt><code>${name}</code></dt>
                <dd>${short(value)}</dd>
              `
      )
    }
          </dl>
      </details>
    `
  }</section>`;
}

export function findingSection({ title, columns, rows, note }: ReportTable): Markup {
  const cell = (value: string | number | null) =>
    typeof value === "number" ? markup`<td class="n">${short(value)}</td>` : markup`<td>${value ?? "–"}</td>`;
  return markup`
    <section>
      <h2>${title}</h2>
      <div class="scroll">
        <table>
          <tr>${
    columns.map((name, i) => markup`<th class="${typeof rows[0]?.[i] === "number" ? "n" : ""}">${name}</th>`)
  }</tr>
          ${rows.map((row) => markup`<tr>${row.map(cell)}</tr>`)}
        </table>
      </div>
      ${note && markup`<p class="soft">${note}</p>`}
    </section>
  `;
}

export function pairSection({ pairs }: RunReport): Markup {
  if (!pairs) return markup``;
  const { counts } = pairs;
  const reasons = Object.entries(counts.byReason).filter(([, n]) => n > 0);
  const most = Math.max(1, ...reasons.map(([, n]) => n));
  const { infra, duplicate, flaky, unfinishedPass } = counts.dropped;
  const tieRate = counts.compared ? ` (${percent(counts.ties / counts.compared)})` : "";
  return markup`<section><h2>${count(pairs.total, "preference pair")}, order ${pairs.order}</h2>
    ${
    reasons.length > 0 && markup`
      <div class="scroll">
        <table><tr><th>decided by</th><th class="n">pairs</th><th></th></tr>
            ${
      reasons.map(([reason, n]) =>
        markup`
                <tr>
                  <td>${reason}</td>
                  <td class="n">${n}</td>
                  <td style="width:60%"><span class="bar" style="width:${(100 * n / most).toFixed(1)}%"></span></td>
                </tr>
              `
      )
    }</table>
      </div>
    `
  }
    <p class="soft">From ${count(counts.samples, "sample")} of ${count(counts.prompts, "prompt")},
      ${counts.promptsWithPair} of which gave a pair. ${count(counts.compared, "comparison")}: ${counts.ties}
      ties${tieRate}, ${counts.incomparable} not comparable, ${counts.unfinishedWinner} where the better one never
      stopped. Left out: ${count(duplicate, "copy", "copies")} of another sample, ${unfinishedPass} passing but cut off,
      ${flaky} that did not repeat themselves, ${infra} not measured.</p></section>`;
}

export function exampleSection({ example }: RunReport): Markup {
  if (!example) return markup``;
  const { chosen, rejected } = example;
  const side = (name: string, mood: string, own: PairSide, other: PairSide) =>
    markup`<div>
      <h3>${name} <span class="chip ${mood}">${own.verdict.replaceAll("_", " ")}, ${own.testsPassed} of
        ${own.testsTotal} tests</span></h3>
      <pre>${markedLines(own.code, other.code)}</pre>
      <p class="soft">Trace of <code>${example.test}</code></p>
      <pre class="wrap">${markedLines(own.trace, other.trace)}</pre>
    </div>`;
  return markup`
    <section>
      <h2>One pair: ${example.problemId}</h2>
      <p>Decided by <b>${example.reason}</b>. The task:</p>
      <pre>${example.description.trim()}</pre>
      <div class="sides">${side("Preferred", "good", chosen, rejected)}
        ${side("Rejected", "poor", rejected, chosen)}</div>
      <p class="soft">Marked: lines the other side does not have.</p>
    </section>
  `;
}

/** The text, lines that do not occur in the other text marked. */
function markedLines(text: string, other: string): Markup[] {
  const known = new Set(other.split("\n").map((line) => line.trimEnd()));
  return text.trimEnd().split("\n").map((line) =>
    known.has(line.trimEnd()) ? markup`${line}\n` : markup`<mark>${line}</mark>\n`
  );
}

export function tableSection({ before, after }: RunReport): Markup {
  if (!before || !after) return markup``;
  const families = Object.keys(before.byFamily);
  if (families.length === 0) return markup``;
  const bar = (value: number, kind: string) =>
    markup`<div><span class="bar ${kind}" style="width:${(100 * value).toFixed(1)}%"></span></div>`;
  return markup`
    <section>
      <h2>pass@1 by family of problems</h2>
      <div class="scroll">
        <table>
        <tr><th>family</th><th class="n">problems</th><th class="n">before</th><th class="n">after</th>
          <th class="n">points</th><th></th></tr>
        ${
    families.map((family) => {
      const [old, now] = [before.byFamily[family], after.byFamily[family]];
      return markup`
            <tr>
              <td>${family}</td>
              <td class="n">${old.problems}</td>
              <td class="n">${percent(old.passAt1)}</td>
              <td class="n">${now ? percent(now.passAt1) : "?"}</td>
              <td class="n">${now ? points(now.passAt1 - old.passAt1) : "?"}</td>
              <td style="width:35%;line-height:.8">${bar(old.passAt1, "old")}${now && bar(now.passAt1, "")}</td>
            </tr>
          `;
    })
  }</table>
      </div>
    </section>
  `;
}

export function timingSection({ timing }: RunReport): Markup {
  const longest = Math.max(1e-9, ...timing.stages.map((stage) => stage.seconds));
  return markup`
    <section>
      <h2>Time: ${seconds(timing.totalSeconds)}</h2>
      <div class="scroll">
        <table>
        <tr><th>stage</th><th class="n">time</th><th></th><th></th></tr>
        ${
    timing.stages.map((stage) =>
      markup`
            <tr>
              <td>${stage.name}</td>
              <td class="n">${seconds(stage.seconds)}</td>
              <td style="width:25%"><span class="bar" style="width:${
        (100 * stage.seconds / longest).toFixed(
          1,
        )
      }%"></span></td>
              <td class="soft">${stage.detail}</td>
            </tr>
          `
    )
  }</table>
      </div>
      <p class="soft">${
    Object.entries(timing.tokensPerSecond).map(([name, rate]) =>
      `${name}: ${Math.round(rate).toLocaleString("en")} tokens/s`
    )
      .join(", ")
  }</p>
    </section>
  `;
}

export function runSection(report: RunReport): Markup {
  const { model, data, options, notes, timing } = report;
  const show = (value: unknown) => typeof value === "string" ? value : JSON.stringify(value);
  return markup`<section><h2>The run</h2><dl>
    <dt>command</dt><dd><code>${report.command}</code></dd>
    <dt>started</dt><dd>${timing.startedAt}</dd>
    <dt>adapter</dt><dd>${report.adapter}</dd>
    <dt>model</dt><dd>${model.dir}, ${count(model.parameters, "parameter")}</dd>
    <dt>data</dt><dd>${data.name}: trained on ${count(data.trainProblems, "problem")}, evaluated on
      ${data.evalProblems} (${data.evalOn})</dd>
    <dt>seed</dt><dd>${report.seed}</dd>
  </dl>
  <details><summary>Settings</summary><dl>${
    Object.entries(options).map(([name, value]) => markup`<dt><code>${name}</code></dt><dd>${show(value)}</dd>`)
  }</dl></details>${
    notes.length > 0 && markup`
      <h3 style="margin-top:14px">Notes</h3>
      <ul>${notes.map((note) => markup`<li>${note}</li>`)}</ul>
    `
  }
  </section>`;
}

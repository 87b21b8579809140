/** The report's pictures, as inline SVG without a script. Colours are classes, so that light and dark both work. */
import { type Markup, markup } from "./html.ts";
import { interval, outcomeNames, percent, short } from "./format.ts";
import { outcomeKinds, type OutcomeMix } from "./outcomes.ts";
import type { Interval } from "./statistics.ts";

/** Two stacked bars of outcome shares over one another. */
export function outcomeBars(rows: { label: string; mix: OutcomeMix }[]): Markup {
  const [left, width, height] = [64, 820, 34];
  const bars = rows.map(({ label, mix }, row) => {
    const total = Object.values(mix).reduce((sum, n) => sum + n, 0);
    const y = row * (height + 12) + 2;
    let x = left;
    const segments = outcomeKinds.filter((kind) => mix[kind] > 0).map((kind) => {
      const share = mix[kind] / total;
      const segment = markup`<g><title>${outcomeNames[kind]}: ${mix[kind]} of ${total} (${percent(share)})</title>
        <rect class="${kind}" x="${x.toFixed(1)}" y="${y}" width="${(share * width).toFixed(1)}" height="${height}"/>
        ${
        share > 0.055 && markup`
          <text class="in ${kind}" x="${(x + share * width / 2).toFixed(1)}" y="${y + 22}"
            text-anchor="middle">${Math.round(100 * share)} %</text>
        `
      }</g>`;
      x += share * width;
      return segment;
    });
    return markup`<text class="label" x="${left - 10}" y="${y + 22}" text-anchor="end">${label}</text>${segments}`;
  });
  const total = rows.length * (height + 12);
  return markup`<svg viewBox="0 0 ${
    left + width
  } ${total}" role="img" aria-label="Outcomes of the samples">${bars}</svg>`;
}

/** For each k a line from the value before to the value after, each with its interval. */
export function changePlot(rows: { label: string; before: Interval; after: Interval }[]): Markup {
  const [left, width, line] = [64, 820, 46];
  const height = rows.length * line + 26;
  const top = Math.max(...rows.flatMap(({ before, after }) => [before.high, after.high]));
  const ticks = niceTicks(0, Math.min(1, Math.max(top * 1.08, 0.02)), 6);
  const end = ticks.at(-1)!;
  const x = (share: number) => (left + share / end * (width - 20)).toFixed(1);
  const grid = ticks.map((tick) =>
    markup`
      <line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="0" y2="${height - 22}" />
      <text class="tick" x="${x(tick)}" y="${height - 6}" text-anchor="middle">${short(100 * tick)} %</text>
    `
  );
  const marks = rows.map(({ label, before, after }, row) => {
    const y = row * line + 12;
    const mark = (which: string, at: Interval, y: number) =>
      markup`
        <g class="${which}">
          <title>${label} ${which}: ${percent(at.value)}, 95 % interval ${interval(at)}</title>
          <line x1="${x(at.low)}" x2="${x(at.high)}" y1="${y}" y2="${y}" />
          <circle cx="${x(at.value)}" cy="${y}" r="6" />
        </g>
      `;
    return markup`<text class="label" x="${left - 10}" y="${y + 13}" text-anchor="end">${label}</text>
      ${mark("before", before, y)}${mark("after", after, y + 17)}`;
  });
  return markup`<svg viewBox="0 0 ${left + width} ${height}" role="img" aria-label="pass@k before and after">
    ${grid}${marks}</svg>`;
}

export interface Curve {
  title: string;
  /** One line on what to look for. */
  hint: string;
  points: { x: number; y: number }[];
  /** A value to compare with, and what it is. */
  reference?: { y: number; label: string };
  /** Fixed ends of the y axis, for shares. */
  range?: [number, number];
}

/** One line with axes. Values that are not finite break the line and are counted in the title. */
export function lineChart({ title, hint, points, reference, range }: Curve): Markup {
  const [left, right, top, bottom, width, height] = [46, 12, 12, 34, 440, 220];
  const finite = points.filter(({ y }) => Number.isFinite(y));
  const lost = points.length - finite.length;
  const ys = finite.length ? [...finite.map(({ y }) => y), ...reference ? [reference.y] : []] : [0, 1];
  const yTicks = niceTicks(range?.[0] ?? Math.min(...ys), range?.[1] ?? Math.max(...ys), 5);
  const xTicks = niceTicks(Math.min(...points.map((p) => p.x)), Math.max(...points.map((p) => p.x)), 6)
    .filter((tick) => Number.isInteger(tick));
  const [y0, y1, x0, x1] = [yTicks[0], yTicks.at(-1)!, points[0].x, Math.max(points.at(-1)!.x, points[0].x + 1)];
  const px = (x: number) => left + (x - x0) / (x1 - x0) * (width - left - right);
  const py = (y: number) => top + (y1 - y) / (y1 - y0) * (height - top - bottom);
  const path = points.map(({ x, y }, i) =>
    Number.isFinite(y)
      ? `${i && Number.isFinite(points[i - 1].y) ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`
      : ""
  ).join("");
  const inner = finite.length === 0 ? markup`<text class="tick" x="60" y="100">no finite value</text>` : markup`
    ${
    yTicks.map((y) =>
      markup`
        <line class="grid" x1="${left}" x2="${width - right}" y1="${py(y).toFixed(1)}" y2="${py(y).toFixed(1)}" />
        <text class="tick" x="${left - 6}" y="${(py(y) + 4).toFixed(1)}" text-anchor="end">${short(y)}</text>
      `
    )
  }
    ${
    xTicks.filter((x) => x >= x0 && x <= x1).map((x) =>
      markup`<text class="tick" x="${px(x).toFixed(1)}" y="${height - bottom + 15}" text-anchor="middle">${x}</text>`
    )
  }
    <text class="tick" x="${width - right}" y="${height - 4}" text-anchor="end">step</text>
    ${
    reference && markup`
      <line class="reference" x1="${left}" x2="${width - right}" y1="${py(reference.y).toFixed(1)}"
        y2="${py(reference.y).toFixed(1)}" />
      <text class="tick" x="${width - right}" y="${(py(reference.y) - 5).toFixed(1)}" text-anchor="end">
              ${reference.label}</text>
    `
  }
    <path class="curve" d="${path}" />
    ${
    finite.length <= 40 && finite.map(({ x, y }) =>
      markup`
        <circle class="dot" cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="2.5" />
      `
    )
  }
  `;
  return markup`
    <figure>
      <figcaption><b>${title}</b> ${hint}${lost > 0 && ` (${lost} values were not finite)`}</figcaption>
      <svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">${inner}</svg>
    </figure>
  `;
}

/** Round numbers that cover [low, high], about `count` of them. */
export function niceTicks(low: number, high: number, count: number): number[] {
  if (!(high > low)) {
    const around = Math.abs(low) || 1;
    return niceTicks(low - around / 2, low + around / 2, count);
  }
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999)!;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  // Rounded, because 3 * 0.1 is 0.30000000000000004
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

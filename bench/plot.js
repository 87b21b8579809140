// Draws the growth suites of a bench file: deno run --no-config --no-lock -A bench/plot.js bench/results/lavapipe.json bench/plots
// Vega is fetched at a fixed version for this script alone; nothing else of the project needs it.
import * as vega from "npm:vega@6.4.0";
import * as lite from "npm:vega-lite@6.5.0";

const [file, folder] = Deno.args;
const report = JSON.parse(await Deno.readTextFile(file));
await Deno.mkdir(folder, { recursive: true });

/** One quantity against another on logarithmic axes, with the fitted exponent in the title. */
async function draw(name, suite, x, y) {
  const rows = suite.rows.filter(({ values }) => values[x] !== undefined);
  const all = suite.rows.find(({ name }) => name === "exponent, all").values[y];
  const last = suite.rows.find(({ name }) => name === "exponent, last three").values[y];
  const ticks = rows.map(({ values }) => values[x]);
  const specification = {
    title: {
      text: `${y} against ${x}`,
      subtitle: `exponent ${all.toFixed(2)}, over the last three points ${last.toFixed(2)} · ${report.adapter}`,
    },
    width: 420,
    height: 260,
    background: "white",
    data: { values: rows.map(({ values }) => values) },
    mark: { type: "line", point: true },
    encoding: {
      x: { field: x, type: "quantitative", scale: { type: "log" }, axis: { values: ticks, title: x } },
      y: {
        field: y.replaceAll(".", "\\."),
        type: "quantitative",
        scale: { type: "log", nice: true },
        axis: { title: y },
      },
    },
    config: { font: "sans-serif" },
  };
  const view = new vega.View(vega.parse(lite.compile(specification).spec), { renderer: "none" });
  await Deno.writeTextFile(`${folder}/${name}.svg`, await view.toSVG());
  console.log(`wrote ${folder}/${name}.svg`);
}

const suites = Object.fromEntries(report.suites.map((suite) => [suite.name, suite]));
for (const y of ["ms", "peak MB"]) {
  const slug = y === "ms" ? "time" : "memory";
  await draw(`${slug}_over_tokens`, suites["growth with T"], "T", y);
  await draw(`${slug}_over_parameters`, suites["growth with parameters"], "parameters", y);
}

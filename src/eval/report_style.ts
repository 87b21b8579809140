/** The report's style sheet. Outcome colours stay apart for colour-blind readers; every one also has its name in text. */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #fbfaf8; --card: #ffffff; --ink: #22262b; --soft: #626a73; --line: #dfdcd5; --grid: #ebe8e2;
  --accent: #0b6e8f; --before: #8a8f96; --good: #1a7f52; --bad: #b3372f; --code: #f5f3ef; --mark: #fbe6b2;
  --pass: #1f9d6b; --unfinished: #8fcfb2; --wrong: #e8b23a; --crash: #d2603a; --limit: #8a64b0; --load: #5b86b8;
  --syntax: #4a5058; --infra: #c9c9c9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #16181b; --card: #1e2125; --ink: #e7e6e3; --soft: #a0a6ad; --line: #34383e; --grid: #2b2f34;
    --accent: #5cc1e2; --before: #8d949c; --good: #57c794; --bad: #f08a7e; --code: #17191c; --mark: #54451c;
    --pass: #2ba873; --unfinished: #74b798; --wrong: #d9a637; --crash: #d96c47; --limit: #9c78c2; --load: #6a97c8;
    --syntax: #757d87; --infra: #55595e;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.7rem; margin: 0 0 2px; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 10px; }
h3 { font-size: 1rem; margin: 0 0 6px; }
p { margin: 0 0 10px; }
.soft, figcaption, .tick { color: var(--soft); }
.sub { color: var(--soft); margin-bottom: 22px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px; margin: 0 0 18px; }
.headline { display: flex; flex-wrap: wrap; align-items: baseline; gap: 6px 18px; margin-bottom: 8px; }
.headline .big { font-size: 2.5rem; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.headline .from { color: var(--before); }
.headline .arrow { font-size: 1.8rem; color: var(--soft); }
.up { color: var(--good); } .down { color: var(--bad); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); }
svg text.tick { font-size: 12px; fill: var(--soft); }
svg text.label { font-size: 14px; }
svg text.in { fill: #fff; font-weight: 600; }
svg text.in.wrong, svg text.in.unfinished, svg text.in.infra { fill: #1c1c1c; }
svg .grid { stroke: var(--grid); } svg .reference { stroke: var(--soft); stroke-dasharray: 4 4; }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; } svg .dot { fill: var(--accent); }
svg .before line { stroke: var(--before); stroke-width: 3; } svg .before circle { fill: var(--card); stroke: var(--before); stroke-width: 3; }
svg .after line { stroke: var(--accent); stroke-width: 3; } svg .after circle { fill: var(--accent); }
svg rect { stroke: var(--card); stroke-width: 1.5; }
.pass { fill: var(--pass); } .unfinished { fill: var(--unfinished); } .wrong { fill: var(--wrong); } .crash { fill: var(--crash); }
.limit { fill: var(--limit); } .load { fill: var(--load); } .syntax { fill: var(--syntax); } .infra { fill: var(--infra); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 3px; margin-right: .5em; vertical-align: -.05em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 16px 5px 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: .88rem; }
td:first-child { white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
.bar { display: inline-block; height: .7em; border-radius: 2px; background: var(--accent); vertical-align: 0; }
.bar.old { background: var(--before); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(330px, 1fr)); gap: 18px 26px; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(360px, 1fr)); gap: 18px; }
.sides > div { min-width: 0; }
figure { margin: 0; } figcaption { font-size: .9rem; margin-bottom: 6px; min-height: 3em; } figcaption b { color: var(--ink); }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; margin: 0 0 10px; overflow-x: auto;
  font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; max-height: 30em; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .9em; overflow-wrap: anywhere; }
.chip { display: inline-block; border-radius: 99px; padding: 1px 10px; font-size: .82rem; font-weight: 600; border: 1px solid currentColor; }
.chip.good { color: var(--good); } .chip.poor { color: var(--bad); }
pre.wrap { white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 3px; }
.scroll + p, svg + p, .sides + p, details { margin-top: 10px; } svg + .scroll, .scroll + .scroll { margin-top: 12px; }
ul { margin: 0; padding-left: 1.2em; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; } dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { background: none; } section { break-inside: avoid; } pre { max-height: none; } }
`;

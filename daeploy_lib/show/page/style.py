"""How the page looks: on a phone and a desk, by day and night, and on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1b1d21; --soft: #5d636d; --line: #e2e4e8; --fill: #f5f6f7;
  --shadow: #1f5fbf; --band: #1f5fbf26; --main: #6b7280; --off: 180 60 40;
  --hit: 90 98 110;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --ink: #e7e9ec; --soft: #9aa1ac; --line: #2c3038;
    --fill: #1c1f25; --shadow: #7fb0ff; --band: #7fb0ff33; --main: #a2a9b4;
    --off: 255 130 105; --hit: 165 173 186;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 62rem;
  background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
    Arial, sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere;
}
h1, h2, h3 { font-weight: 600; line-height: 1.25; margin: 0; }
h1 { font-size: 1.75rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; }
h3 { font-size: 1rem; margin: 2.5rem 0 .6rem; }
h4 { font-size: .9375rem; font-weight: 600; margin: 1.5rem 0 .5rem; }
p { margin: .4rem 0; }
code, pre {
  font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono",
    monospace;
  unicode-bidi: isolate;
}
a { color: var(--shadow); }
.soft, .note, header p { color: var(--soft); }
.note { font-size: .8125rem; }
section.version {
  margin-top: 3rem;
  padding-top: 1.5rem;
  border-top: 2px solid var(--ink);
}
.head { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .75rem; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr));
  gap: 1rem 1.5rem; margin: 1.25rem 0 0;
}
.figures > div:first-child { grid-column: 1 / -1; }
.figures dt { color: var(--soft); font-size: .8125rem; }
.figures dd { margin: 0; font-size: 1.125rem; }
.figures dd small { display: block; font-size: .8125rem; color: var(--soft); }
.figures .agreement { font-size: 2.25rem; line-height: 1.2; font-weight: 600; }
.bar-of { width: 100%; height: 10px; display: block; margin: .5rem 0 .15rem; }
.bar-of .track { fill: var(--line); }
.bar-of .interval { fill: var(--shadow); opacity: .35; }
.bar-of .mark { fill: var(--shadow); }
.ends { display: flex; justify-content: space-between; }
.scroll { overflow-x: auto; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--shadow); outline-offset: 2px; }
table {
  border-collapse: collapse; min-width: 100%; font-size: .875rem; overflow-wrap: normal;
}
th, td {
  padding: .4rem 1rem .4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
th:last-child, td:last-child { padding-right: 0; }
th { color: var(--soft); font-weight: 400; font-size: .8125rem; white-space: nowrap; }
tbody th { color: var(--ink); font-size: inherit; }
td.n, th.n { text-align: right; white-space: nowrap; }
td.whole { white-space: nowrap; }
td.path, td.value { overflow-wrap: anywhere; min-width: 9rem; }
td.value { min-width: 7rem; }
td.many { min-width: 9rem; }
td.why { min-width: 11rem; color: var(--soft); }
.noise td, .noise code { color: var(--soft); }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr));
  gap: 1.5rem 2.5rem; margin-top: 2rem;
}
figure { margin: 0; min-width: 0; max-width: 32rem; }
figcaption {
  font-size: .875rem;
  font-weight: 600;
  display: flex;
  flex-wrap: wrap;
  gap: 0 1rem;
}
.key { font-weight: 400; color: var(--soft); }
.key::before {
  content: ""; display: inline-block; width: 1.1em; height: 2px; margin-right: .4em;
  vertical-align: middle; background: var(--main);
}
.key.shadow::before { background: var(--shadow); }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .zero { stroke: var(--soft); stroke-width: 1; }
svg .band { fill: var(--band); }
svg .bar { fill: var(--shadow); }
svg line.shadow { stroke: var(--shadow); stroke-width: 2; }
svg path { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
svg path.main { stroke: var(--main); }
svg path.shadow { stroke: var(--shadow); }
.field {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr));
  gap: .5rem 2.5rem; padding: 1rem 0; border-bottom: 1px solid var(--line);
}
.field > div { min-width: 0; }
.field h4 { margin: 0 0 .5rem; }
.stacked { display: block; }
.matrix { min-width: 0; }
.matrix th, .matrix td { padding: .3rem .6rem; border: 2px solid var(--paper); }
.matrix th {
  white-space: normal; overflow-wrap: anywhere; min-width: 3.75rem; max-width: 7rem;
}
.matrix tbody th { max-width: 10rem; }
.matrix thead th { vertical-align: bottom; text-align: right; }
.matrix .corner { white-space: nowrap; max-width: none; }
.matrix td { text-align: right; min-width: 3rem; }
.matrix td.hit { background: rgb(var(--hit) / calc(var(--a) * .45)); }
.matrix td.off { background: rgb(var(--off) / calc(var(--a) * .6)); }
details { border-bottom: 1px solid var(--line); }
summary { cursor: pointer; padding: .55rem 0; }
summary:focus-visible { outline: 2px solid var(--shadow); outline-offset: 2px; }
summary .soft { font-size: .8125rem; }
details details {
  margin-left: 1rem;
  border-bottom: 0;
  border-top: 1px solid var(--line);
}
.inside { padding: .25rem 0 1.25rem; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr));
  gap: 0 1.5rem;
}
.pair > div { min-width: 0; }
.label { color: var(--soft); font-size: .8125rem; margin: .9rem 0 .25rem; }
pre {
  margin: 0; padding: .6rem .75rem; background: var(--fill); white-space: pre-wrap;
  max-height: 24rem; overflow: auto;
}
footer { margin-top: 4rem; color: var(--soft); font-size: .8125rem; }
@media (max-width: 30rem) {
  body { padding: 1.5rem 1rem 3rem; }
  th, td { padding-right: .8rem; }
  svg text { font-size: 12.5px; }
  .inside td.path { min-width: 5.5rem; }
  .inside td.value { min-width: 4rem; }
  details details { margin-left: .5rem; }
}
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #444; --line: #ccc; --fill: #f5f6f7;
    --shadow: #1f5fbf; --band: #1f5fbf26; --main: #6b7280; --off: 180 60 40;
    --hit: 90 98 110;
  }
  body { padding: 0; max-width: none; font-size: 10pt; print-color-adjust: exact; }
  .scroll { overflow: visible; }
  pre { max-height: none; }
  figure, tr, .figures > div { break-inside: avoid; }
  h3, h4, summary { break-after: avoid; }
}
"""

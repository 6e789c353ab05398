"""The style sheet of report.html. It names no outside resource; the page's policy admits exactly this text."""

from __future__ import annotations

CSS = r"""
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --line: #dfe3e8; --text: #161b22; --muted: #57606a; --sunken: #f0f2f5;
  --good: #1a7f37; --bad: #c9252d; --warn: #8a5d00; --calm: #6e7781; --link: #0860ca;
  --good-soft: #dcf5e3; --bad-soft: #fde7e7; --warn-soft: #fbf0d3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --card: #161b22; --line: #2b323b; --text: #e6edf3; --muted: #9aa4af; --sunken: #0f141a;
    --good: #4cc265; --bad: #ff7069; --warn: #deab3a; --calm: #848d97; --link: #6cb0ff;
    --good-soft: #12301c; --bad-soft: #3d1a1b; --warn-soft: #362a10;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: anywhere;
}
main, header, footer { max-width: 60rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 2.5rem; color: var(--muted); font-size: .8125rem; }
h1 { margin: .5rem 0; font-size: clamp(1.5rem, 5vw, 2.125rem); line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 0 0 .75rem; font-size: 1.0625rem; }
a { color: var(--link); }
code, pre, .mono {
  font-family: ui-monospace, "SFMono-Regular", "Cascadia Mono", Menlo, Consolas, monospace; font-size: .8125rem;
}
pre {
  margin: 0; padding: .75rem 1rem; overflow-x: auto; background: var(--sunken); border-radius: .5rem;
  line-height: 1.45; overflow-wrap: normal;
}
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: .25rem; }
.pill {
  display: inline-flex; align-items: center; gap: .5rem; padding: .25rem .75rem; border-radius: 99rem;
  font-size: .8125rem; font-weight: 650; background: var(--warn-soft); color: var(--warn);
}
.pill::before { content: ""; width: .625rem; height: .625rem; border-radius: 50%; background: currentColor; }
.pill.good { background: var(--good-soft); color: var(--good); }
.pill.bad { background: var(--bad-soft); color: var(--bad); }
.why { margin: 0 0 .75rem; font-size: 1.0625rem; }
.about {
  display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: 0; padding: 0; list-style: none;
  color: var(--muted); font-size: .875rem;
}
section, .tile {
  background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; margin: 1rem 0; padding: 1.125rem 1.25rem;
}
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .75rem; margin: 1.5rem 0 0; }
.tile { margin: 0; padding: .75rem 1rem; }
.tile dt { color: var(--muted); font-size: .8125rem; }
.tile dd { margin: 0; font-size: 1.375rem; font-weight: 650; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile.bad dd { color: var(--bad); }
.share {
  display: block; width: 100%; height: .75rem; border-radius: .375rem; overflow: hidden;
  background: var(--sunken);
}
.legend {
  display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .75rem 0 0; padding: 0; list-style: none;
  font-size: .875rem;
}
.legend li::before {
  content: ""; display: inline-block; width: .625rem; height: .625rem; margin-right: .4375rem;
  border-radius: .1875rem; background: var(--calm);
}
.legend .passed::before { background: var(--good); }
.legend .failed::before, .legend .error::before { background: var(--bad); }
.legend .xpassed::before, .legend .xfailed::before { background: var(--warn); }
rect { fill: var(--calm); }
rect.passed, rect.good { fill: var(--good); }
rect.failed, rect.error, rect.bad { fill: var(--bad); }
rect.xpassed, rect.xfailed, rect.warn { fill: var(--warn); }
details { border-top: 1px solid var(--line); }
details:last-of-type { border-bottom: 1px solid var(--line); }
summary { display: flex; gap: .5rem; padding: .5625rem .25rem; cursor: pointer; }
summary::-webkit-details-marker { display: none; }
summary::before { content: "\25B8"; color: var(--muted); }
details[open] > summary::before { content: "\25BE"; }
summary:hover { background: var(--sunken); }
details > pre { margin: 0 0 .75rem; }
.bare { padding: .5625rem .25rem; border-top: 1px solid var(--line); }
.tag { margin-left: .5rem; color: var(--muted); font-size: .8125rem; white-space: nowrap; }
.tag.bad { color: var(--bad); font-weight: 600; }
.steps { margin: 0; padding: 0; list-style: none; }
.steps li {
  display: grid; grid-template-columns: minmax(10rem, 1fr) 2fr 5.5rem; gap: 0 1rem; align-items: center;
  padding: .375rem 0;
}
.steps svg { width: 100%; height: .625rem; background: var(--sunken); border-radius: .3125rem; }
.steps .took { text-align: right; font-variant-numeric: tabular-nums; font-size: .875rem; }
.steps .note { grid-column: 1 / -1; color: var(--muted); font-size: .8125rem; }
.facts {
  display: grid; grid-template-columns: max-content 1fr; gap: .3125rem 1.25rem; margin: 0; font-size: .9375rem;
}
.facts dt { color: var(--muted); }
.facts dd { margin: 0; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; }
th { color: var(--muted); font-weight: 500; text-align: left; }
th, td { padding: .4375rem .75rem .4375rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; }
td.size { white-space: nowrap; font-variant-numeric: tabular-nums; }
.state { font-weight: 600; }
.state.good { color: var(--good); }
.state.bad { color: var(--bad); }
.state.warn { color: var(--warn); }
.more { margin: .75rem 0 0; color: var(--muted); font-size: .875rem; }
ul.plain { margin: .75rem 0 0; padding-left: 1.25rem; font-size: .9375rem; }
@media (max-width: 40rem) {
  main, header, footer { padding-left: .875rem; padding-right: .875rem; }
  header { padding-top: 1.25rem; }
  section { padding: .9375rem 1rem; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: .5rem; }
  .steps li { grid-template-columns: 1fr max-content; }
  .steps svg { grid-column: 1 / -1; grid-row: 2; }
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .5rem; }
  thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; }
  tr { display: flex; flex-wrap: wrap; gap: 0 .75rem; padding: .5rem 0; border-top: 1px solid var(--line); }
  td { padding: 0; border: 0; }
  td:first-child, td.hash { flex-basis: 100%; }
}
@media print { body { background: none; } section, .tile { break-inside: avoid; } }
"""

// Colours and sizes, of the page and of pictures that stand alone. Both schemes keep text at 4.5 : 1 and more, and
// what is drawn at 3 : 1, from their ground.

const LIGHT = {
  ground: '#ffffff',
  panel: '#f6f8fa',
  ink: '#1b2128',
  quiet: '#57606a',
  rule: '#d5dae0',
  ours: '#0969da',
  floor: '#7a828c',
  peer: '#b26b1c',
  met: '#116329',
  missed: '#b3261e',
  unsaid: '#7a5200',
};

const DARK = {
  ground: '#12161c',
  panel: '#1a2028',
  ink: '#e6eaef',
  quiet: '#9aa5b1',
  rule: '#343c46',
  ours: '#4f9cf7',
  floor: '#8b949e',
  peer: '#d08b3e',
  met: '#4fc06a',
  missed: '#ff8178',
  unsaid: '#dfae4a',
};

/** Of curves; what doesn't fit in is dashed, and begins again. */
const SERIES = {
  light: ['#0969da', '#b3261e', '#1a7f37', '#8250df', '#9a6700', '#0e7c86', '#bf3989', '#57606a'],
  dark: ['#58a6ff', '#ff7b72', '#4fc06a', '#bc8cff', '#e3b341', '#39c5cf', '#f778ba', '#9aa5b1'],
};
export const SERIES_COLOURS = SERIES.light.length;

function variables(colours, series) {
  const all = { ...colours, ...Object.fromEntries(series.map((colour, i) => [`s${i}`, colour])) };
  return Object.entries(all)
    .map(([name, colour]) => `--${name}:${colour}`)
    .join(';');
}

const SCHEMES = `:root{color-scheme:light dark;${variables(LIGHT, SERIES.light)}}
@media (prefers-color-scheme:dark){:root{${variables(DARK, SERIES.dark)}}}`;

const FAMILY = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif';

const PICTURES = `svg text{font:13px ${FAMILY};fill:var(--ink)}
svg .small{font-size:11.5px;fill:var(--quiet)}
svg .head{font-weight:600}
svg .grid{stroke:var(--rule);stroke-width:1;fill:none}
svg .whisker{stroke:var(--ink);stroke-width:1.5;fill:none}
svg .ours{fill:var(--ours)}
svg .floor{fill:var(--floor)}
svg .peer{fill:var(--peer)}
svg .leader{stroke:var(--quiet);stroke-width:.8;fill:none}
${SERIES.light
  .map((_, i) => `svg .c${i}{stroke:var(--s${i});stroke-width:2;fill:none}svg .d${i}{fill:var(--s${i})}`)
  .join('')}
svg .dashed{stroke-dasharray:6 3}
svg .beyond{stroke-width:1;stroke-dasharray:1.5 3}`;

export const PICTURE_STYLE = `${SCHEMES}
svg .ground{fill:var(--ground);stroke:var(--rule)}
${PICTURES}`;

export const PAGE_STYLE = `${SCHEMES}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 ${FAMILY}}
main,header{max-width:1200px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:28px;margin:0 0 4px}
h2{font-size:21px;margin:0 0 6px}
h3{font-size:16px;margin:26px 0 8px}
p{max-width:80ch}
a{color:var(--ours)}
code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:.9em;background:var(--panel);padding:1px 4px;border-radius:4px}
section{border-top:1px solid var(--rule);margin-top:38px;padding-top:26px}
.quiet{color:var(--quiet);font-size:13.5px}
nav ol{columns:2 20em;padding-left:1.4em;margin:8px 0}
.table{overflow-x:auto;margin:10px 0}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums}
th,td{padding:4px 9px;border-bottom:1px solid var(--rule);text-align:right;vertical-align:top;white-space:nowrap}
th{font-weight:600;vertical-align:bottom;white-space:normal;min-width:6em}
th:first-child,td:first-child,.text{text-align:left}
td.text{white-space:normal;min-width:12em;color:var(--quiet)}
td.bar{white-space:normal;min-width:9em;text-align:left}
tbody th{font-weight:400;min-width:16em;max-width:26em;vertical-align:top}
th small,td small{display:block;color:var(--quiet);font-weight:400;font-size:12px}
td small{white-space:normal;max-width:14em;margin-left:auto}
tr.ours th{font-weight:600;color:var(--ours)}
.spread{color:var(--quiet)}
.met{color:var(--met);font-weight:600}
.missed{color:var(--missed);font-weight:600}
.unsaid{color:var(--unsaid);font-weight:600}
.picture{display:block;width:100%;max-width:880px;height:auto;margin:12px 0 4px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:12px 0;font-size:14px}
dt{color:var(--quiet)}
dd{margin:0}
footer{max-width:1200px;margin:40px auto 0;padding:16px 20px 40px;border-top:1px solid var(--rule)}
@media print{section{break-inside:avoid-page}}
${PICTURES}`;

"""Results as one HTML file that opens from disk: no script, no request, readable on a phone and in the dark."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from cit_core.evaluate.figures import draw
from cit_core.evaluate.results import Cell, Column, Figure, Result, Table
from cit_core.evaluate.tables import HOW_TO_READ, provenance, written
from cit_core.records import require_unique

__all__ = ["html_page", "html_report"]

STYLE = """
:root { color-scheme: light dark; --ink: #222; --soft: #666; --ground: #fff; --raised: #f4f4f2; --rule: #ddd;
  --ours: #fdeee6; --link: #0060a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a0a0a0; --ground: #161616; --raised: #222; --rule: #3a3a3a; --ours: #3a2418;
    --link: #7ab8f0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; -webkit-text-size-adjust: 100%; }
h1, h2, h3 { line-height: 1.25; margin: 2rem 0 .5rem; }
h1 { margin-top: .5rem; }
h3 { font-size: 1rem; }
section { border-top: 1px solid var(--rule); margin-top: 2.5rem; }
a { color: var(--link); }
code { font-size: .9em; background: var(--raised); padding: .1em .3em; border-radius: .2em; }
.soft { color: var(--soft); font-size: .875rem; }
.wide { overflow-x: auto; }
pre { padding: .75rem; background: var(--raised); border-radius: .3rem; }
pre code { padding: 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
thead th { vertical-align: bottom; white-space: normal; color: var(--soft); }
.words { text-align: left; white-space: normal; min-width: 8rem; }
tr > :first-child { position: sticky; left: 0; max-width: 45vw; background: var(--ground); }
tbody th { font-weight: normal; }
tr.ours > * { font-weight: bold; background: var(--ours); }
figure { margin: 1.5rem 0; }
figure svg { display: block; min-width: 20rem; max-width: 100%; height: auto; border-radius: .3rem; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content security policy of the page: a browser may load nothing for it."""


def html_page(results: Sequence[Result], summary: Table | None = None) -> str:
    """Format all benchmarks as one HTML file.

    Args:
        results: Results in the order of the page.
        summary: Table before everything else.

    Raises:
        InvalidInput: If two figures have one name.
        MissingExtra: If matplotlib is not installed.
    """
    require_unique((figure.name for result in results for figure in result.figures), "figure names")
    contents = (f'<li><a href="#{result.experiment}">{_text(result.title)}</a></li>' for result in results)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>cit-router: benchmarks</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>Benchmarks</h1>
<p>{_text(HOW_TO_READ)}</p>
<nav><ul>
{_lines(contents)}
</ul></nav>{"" if summary is None else _table(summary)}
</header>
<main>
{_lines(_section(result) for result in results)}
</main>
</body>
</html>
"""


def html_report(title: str, tables: Sequence[Table], figures: Sequence[Figure], advice: Sequence[str]) -> str:
    """Format a report as one HTML file.

    Args:
        title: Heading.
        tables: Tables, in order.
        figures: Pictures below them.
        advice: What to do next, before everything else.

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>cit-router: {_text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<ul>
{_lines(f"<li>{_text(line)}</li>" for line in advice)}
</ul>
</header>
<main>
{_lines(map(_table, tables))}
{_lines(map(_figure, figures))}
</main>
</body>
</html>
"""


def _section(result: Result) -> str:
    return f"""<section id="{result.experiment}">
<h2>{_text(result.title)}</h2>
<p>{_text(result.question)}</p>
<p><strong>Held out.</strong> {_text(result.held_out)}</p>
<pre class="wide"><code>{escape(result.facts.command)}</code></pre>
<p class="soft">{_text(provenance(result.facts))}</p>
{_lines(map(_table, result.tables))}
{_lines(map(_figure, result.figures))}
</section>"""


def _table(table: Table) -> str:
    heads = "".join(f'<th scope="col"{_class(column)}>{_text(column.name)}</th>' for column in table.columns)
    rows = (_row(row, table.columns, number in table.emphasis) for number, row in enumerate(table.rows))
    return f"""<h3>{_text(table.title)}</h3>
<div class="wide" tabindex="0"><table>
<thead><tr>{heads}</tr></thead>
<tbody>
{_lines(rows)}
</tbody>
</table></div>{_note("p", table.note)}"""


def _row(row: Sequence[Cell], columns: Sequence[Column], ours: bool) -> str:
    cells = [(_class(column), _text(written(cell, column.kind))) for cell, column in zip(row, columns, strict=True)]
    head = "".join(f'<th scope="row"{shown}>{text}</th>' for shown, text in cells[:1])
    rest = "".join(f"<td{shown}>{text}</td>" for shown, text in cells[1:])
    return f'<tr class="ours">{head}{rest}</tr>' if ours else f"<tr>{head}{rest}</tr>"


def _class(column: Column) -> str:
    return ' class="words"' if column.kind == "text" else ""


def _figure(figure: Figure) -> str:
    svg = draw(figure)
    svg = svg[svg.index("<svg") :].strip()
    # Every figure numbers its parts alike; on one page an id may occur once.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{figure.name}-", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(figure.description)}"', 1)
    return f'<figure><div class="wide" tabindex="0">\n{svg}\n</div>{_note("figcaption", figure.note)}</figure>'


def _note(element: str, note: str) -> str:
    return f'\n<{element} class="soft">{_text(note)}</{element}>' if note else ""


def _text(text: str) -> str:
    """Format a text as HTML, code in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts)

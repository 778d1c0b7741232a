"""A report as one HTML file that needs nothing else: no script, no font, no image from anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence

from waycairn.upkeep.report_chart import Line, chart
from waycairn.upkeep.report_text import (
    ERROR_COLUMNS,
    PATTERN_COLUMNS,
    PERIOD_COLUMNS,
    RULE_COLUMNS,
    counted,
    error_rows,
    figure,
    overview,
    pattern_rows,
    period_rows,
    printable,
    rule_rows,
    seconds_text,
    share_text,
)
from waycairn.upkeep.sessions import Curve, Difference, SessionReport
from waycairn.upkeep.sizes import moment_text

_ROWS = 200
"""Values in the table beside a chart; of more, every so many-th is shown."""

_STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1b2430; --soft: #56616f; --edge: #d7dce3;
  --grid: #e6e9ee; --first: #1a5fb4; --second: #b3430a; --good: #1a6b33; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a; --ink: #e8ecf1; --soft: #a6b0bd;
  --edge: #343d49; --grid: #2a323d; --first: #78aef5; --second: #f5a35c; --good: #79cf92; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .7rem; }
h3 { font-size: 1rem; margin: 0 0 .1rem; } p { margin: .2rem 0 .6rem; } .soft, figcaption { color: var(--soft); }
.tiles, .charts { display: grid; gap: .8rem; margin: 0; padding: 0; }
.tiles { grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); }
.charts { grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); }
.tile, figure { background: var(--card); border: 1px solid var(--edge); border-radius: .5rem; padding: .8rem 1rem; margin: 0; }
.tile dt { color: var(--soft); font-size: .85rem; } .tile dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; margin: .4rem 0; } .grid { stroke: var(--grid); }
.tick, .axis { fill: var(--soft); font-size: 16px; } .line { fill: none; stroke-width: 2; stroke-linejoin: round;
  stroke-linecap: round; } .line.s0 { stroke: var(--first); } .line.s1 { stroke: var(--second); stroke-dasharray: 7 4; }
.best { fill: var(--card); stroke-width: 2.5; } .best.s0 { stroke: var(--first); } .best.s1 { stroke: var(--second); }
.wide { overflow-x: auto; } .resumed { stroke: var(--soft); stroke-dasharray: 2 4; } .scroll { overflow: auto; max-height: 26rem; }
.scroll:focus-visible, .wide:focus-visible, summary:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; background: var(--card); font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding: .3rem 0; } th, td { text-align: left; padding: .35rem .7rem;
  border-bottom: 1px solid var(--edge); overflow-wrap: anywhere; } td.n, th.n { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; } .key { display: inline-block; width: 1.6rem; height: 0; border-top: 3px solid
  var(--first); vertical-align: middle; margin-right: .3rem; } .key.s1 { border-top: 3px dashed var(--second); }
.better { color: var(--good); font-weight: 600; } @media print { body { background: none; } figure { break-inside: avoid; } }
"""


def page(report: SessionReport, other: SessionReport | None = None, differences: Sequence[Difference] = ()) -> str:
    """The whole file. With another report both are drawn into the same charts."""
    reports = [report] if other is None else [report, other]
    names = _names(reports)
    title = "Session " + names[0] if other is None else f"Sessions {names[0]} and {names[1]}"
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="soft">{escape(_subtitle(one))}</p>' for one in reports),
        *([_legend(names)] if other is not None else []),
        *([_comparison(names, differences)] if differences else []),
        *([_overview(report, "")] if other is None else []),
        _charts(reports, names),
        *(_details_of(one, name if other is not None else "") for one, name in zip(reports, names, strict=True)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _names(reports: Sequence[SessionReport]) -> list[str]:
    names = [one.run.name + ("" if one.run.key is None else f" [{one.run.key}]") for one in reports]
    return (
        names
        if len(set(names)) == len(names)
        else [f"{name} ({one.run.id})" for name, one in zip(names, reports, strict=True)]
    )


def _subtitle(report: SessionReport) -> str:
    run = report.run
    return f"{run.id}, {run.status.value}, {moment_text(run.created)} to {moment_text(run.updated)}"


def _legend(names: Sequence[str]) -> str:
    keys = "".join(
        f'<span class="key s{place}" aria-hidden="true"></span>{escape(name)} &nbsp; '
        for place, name in enumerate(names)
    )
    return f"<p>{keys}</p>"


def _overview(report: SessionReport, name: str) -> str:
    tiles = "".join(
        f'<div class="tile"><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>' for what, value in overview(report)
    )
    heading = f"Overview of {name}" if name else "Overview"
    return f'<h2>{escape(heading)}</h2>\n<dl class="tiles">{tiles}</dl>'


def _comparison(names: Sequence[str], differences: Sequence[Difference]) -> str:
    rows = []
    for one in differences:
        cells = [
            f'<td class="n{" better" if one.better == which else ""}">{escape(figure(value)) or "&ndash;"}'
            f"{' (better)' if one.better == which else ''}</td>"
            for which, value in (("first", one.first), ("second", one.second))
        ]
        rows.append(
            f'<tr><th scope="row">{escape(one.what)}</th>{"".join(cells)}<td class="n">{share_text(one.share)}</td></tr>'
        )
    head = "".join(f'<th scope="col" class="n">{escape(name)}</th>' for name in (*names, "change"))
    return (
        f'<h2>Side by side</h2>\n<div class="wide" tabindex="0" role="region" aria-label="Side by side"><table><thead><tr><th scope="col">figure</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


# -- charts --------------------------------------------------------------------------------------------------------


def _charts(reports: Sequence[SessionReport], names: Sequence[str]) -> str:
    wanted = list(dict.fromkeys((curve.name, curve.source) for report in reports for curve in report.curves))
    figures = [
        _metric_figure(f"c{place}", metric, source, reports, names) for place, (metric, source) in enumerate(wanted)
    ]
    if any(report.took for report in reports):
        figures.append(_took_figure(reports, names))
    return f'<h2>Progress</h2>\n<div class="charts">{"".join(figures)}</div>' if figures else ""


def _metric_figure(id_: str, metric: str, source: str, reports: Sequence[SessionReport], names: Sequence[str]) -> str:
    curves = [
        (name, report, curve)
        for name, report in zip(names, reports, strict=True)
        for curve in report.curves
        if (curve.name, curve.source) == (metric, source)
    ]
    words = "; ".join(_described(curve, report, name if len(names) > 1 else "") for name, report, curve in curves)
    # A session that lacks the metric keeps its colour: an empty line stands for it.
    lines = []
    for name in names:
        own = next((curve for which, _, curve in curves if which == name), None)
        lines.append(
            Line(name=name, xs=[], ys=[])
            if own is None
            else Line(name=name, xs=own.places, ys=own.values, mark=own.best)
        )
    breaks = _breaks(curves[0][1], curves[0][2]) if len(names) == 1 else []
    drawn = chart(f"{metric} by {source}", words, lines, id_=id_, x_name=source, breaks=breaks)
    dashed = " Dotted: the run was resumed." if breaks else ""
    rows = _both(curves)
    columns = [source, *([metric] if len(curves) == 1 else [name for name, _, _ in curves])]
    return (
        f"<figure><h3>{escape(metric)}</h3><figcaption>{escape(words)}.{dashed}</figcaption>{drawn}"
        f"{_details(f'{metric} as a table', columns, rows)}</figure>"
    )


def _described(curve: Curve, report: SessionReport, name: str) -> str:
    best = curve.best
    if best is None:
        return f"{name} no numbers".strip()
    since = curve.plateau(report.tolerance)
    flat = f", no better for {counted(since, curve.source)}" if since else ""
    lowest = "lowest" if curve.lower else "highest"
    return f"{name} {lowest} {figure(curve.values[best])} at {curve.source} {curve.places[best]:,}{flat}".strip()


def _breaks(report: SessionReport, curve: Curve) -> list[float]:
    """The first place of each later entry."""
    found = []
    for period in report.periods[1:]:
        later = [place for place, at in zip(curve.places, curve.at, strict=True) if at >= period.entered]
        if later:
            found.append(float(min(later)))
    return found


def _took_figure(reports: Sequence[SessionReport], names: Sequence[str]) -> str:
    curves = [(name, report, _took_curve(report)) for name, report in zip(names, reports, strict=True)]
    words = "; ".join(
        f"{name if len(names) > 1 else ''} median {seconds_text(report.median_took)}, slowest {seconds_text(report.slowest_took)}".strip()
        for name, report, _ in curves
        if report.median_took is not None and report.slowest_took is not None
    )
    lines = [Line(name=name, xs=curve.places, ys=curve.values) for name, _, curve in curves]
    title = "seconds an iteration"
    drawn = chart(title, words, lines, id_="took", x_name="iteration")
    columns = ["iteration", *(["seconds"] if len(names) == 1 else names)]
    table = _details(f"{title} as a table", columns, _both(curves))
    return f"<figure><h3>{title}</h3><figcaption>{escape(words)}.</figcaption>{drawn}{table}</figure>"


def _took_curve(report: SessionReport) -> Curve:
    numbers = [one.number for one in report.iterations]
    ended = [one.ended for one in report.iterations]
    return Curve(name="took", source="iteration", lower=True, places=numbers, at=ended, values=report.took)


def escape(text: str) -> str:
    """Text as HTML shows it: no markup, no control characters."""
    return html.escape(printable(text))


def _thin(curve: Curve) -> list[tuple[int, float]]:
    stride = max(1, -(-len(curve.values) // _ROWS))
    return list(zip(curve.places, curve.values, strict=True))[::stride]


def _both(curves: Sequence[tuple[str, SessionReport, Curve]]) -> list[list[str]]:
    columns = [dict(_thin(curve)) for _, _, curve in curves]
    places = sorted({place for column in columns for place in column})
    return [[str(place), *(repr(column[place]) if place in column else "" for column in columns)] for place in places]


# -- lists ---------------------------------------------------------------------------------------------------------


def _details_of(report: SessionReport, name: str) -> str:
    """Beside another session its overview stands here: what differs comes first."""
    return (_overview(report, name) if name else "") + _lists(report, name)


def _lists(report: SessionReport, name: str) -> str:
    of = f" of {name}" if name else ""
    listed = (
        (f"Rules{of}", RULE_COLUMNS, rule_rows(report)),
        (f"Patterns{of}", PATTERN_COLUMNS, pattern_rows(report)),
        (f"Entries{of}", PERIOD_COLUMNS, period_rows(report)),
        (f"Errors{of}", ERROR_COLUMNS, error_rows(report)),
    )
    return "\n".join(
        f"<h2>{escape(title)}</h2>{_table(title, columns, rows)}" for title, columns, rows in listed if rows
    )


def _details(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"<details><summary>{escape(title)}</summary>{_table(title, columns, rows)}</details>"


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )

"""Line charts as SVG, written by us: axes with round numbers, a line a session, what is best marked."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 680, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 82, 18, 14, 46
_MOST = 600
"""Points of a line; of more, the lowest and the highest of each part are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    mark: int | None = None
    """Position of the point to mark."""


def chart(
    title: str, described: str, lines: Sequence[Line], *, id_: str, x_name: str, breaks: Sequence[float] = ()
) -> str:
    """One figure. `breaks` are places on the x axis where the run was resumed."""
    shown = [_thinned(line) for line in lines]
    xs = [x for line in shown for x in line.xs]
    ys = [y for line in shown for y in line.ys if math.isfinite(y)]
    if not xs or not ys:
        return '<p class="empty">No numbers to draw.</p>'
    x_ticks, y_ticks = ticks(min(xs), max(xs), whole=True), ticks(min(ys), max(ys))
    to_x = _scale(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    to_y = _scale(min(y_ticks[0], *ys), max(y_ticks[-1], *ys), HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{id_}-t {id_}-d">',
        f'<title id="{id_}-t">{escape(title)}</title><desc id="{id_}-d">{escape(described)}</desc>',
        *(_y_tick(to_y(tick), tick) for tick in y_ticks),
        *(_x_tick(to_x(tick), tick) for tick in x_ticks),
        *(_break(to_x(place)) for place in breaks if min(xs) <= place <= max(xs)),
        f'<text class="axis" x="{(WIDTH + _LEFT) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_name)}</text>',
    ]
    for place, (line, whole) in enumerate(zip(shown, lines, strict=True)):
        parts.append(f'<path class="line s{place}" d="{_path(line, to_x, to_y)}"/>')
        if whole.mark is not None and math.isfinite(whole.ys[whole.mark]):
            x, y = to_x(whole.xs[whole.mark]), to_y(whole.ys[whole.mark])
            parts.append(f'<circle class="best s{place}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    return "\n".join([*parts, "</svg>"])


def escape(text: str) -> str:
    return html.escape("".join(char if char.isprintable() else " " for char in text))


def ticks(low: float, high: float, count: int = 5, *, whole: bool = False) -> list[float]:
    """Round numbers from about low to about high."""
    if not high > low:
        spread = abs(low) * 0.1 or 1.0
        low, high = (low - spread, high + spread) if not whole else (low - 1, high + 1)
    rough = (high - low) / count
    if not math.isfinite(rough) or rough <= 0:
        return [low, high]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * factor for factor in (1, 2, 2.5, 5) if power * factor >= rough), power * 10)
    if whole:
        step = max(1.0, math.ceil(step) if step > 1 else 1.0)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)] or [low, high]


def _thinned(line: Line) -> Line:
    if len(line.xs) <= _MOST:
        return line
    parts = _MOST // 2
    edges = [round(part * len(line.xs) / parts) for part in range(parts + 1)]
    kept: list[int] = []
    for begin, end in pairwise(edges):
        numbers = [place for place in range(begin, end) if not math.isnan(line.ys[place])] or [begin]
        low = min(numbers, key=line.ys.__getitem__)
        high = max(numbers, key=line.ys.__getitem__)
        kept += sorted({low, high})
    return Line(name=line.name, xs=[line.xs[place] for place in kept], ys=[line.ys[place] for place in kept])


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return lambda _: (begin + end) / 2
    return lambda value: begin + (value - low) / span * (end - begin)


def _path(line: Line, to_x: Callable[[float], float], to_y: Callable[[float], float]) -> str:
    """Broken where there is no number."""
    words: list[str] = []
    pen = "M"
    for x, y in zip(line.xs, line.ys, strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        words.append(f"{pen}{to_x(x):.1f} {to_y(y):.1f}")
        pen = "L"
    # A single point would not be seen.
    return "".join([*words, "h0.01" if len(words) == 1 else ""])


def _y_tick(y: float, value: float) -> str:
    return (
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 7}" y="{y + 5:.1f}" text-anchor="end">{value:.6g}</text>'
    )


def _x_tick(x: float, value: float) -> str:
    if not _LEFT - 1 <= x <= WIDTH - _RIGHT + 1:
        return ""
    return f'<text class="tick" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 19}" text-anchor="middle">{value:,.6g}</text>'


def _break(x: float) -> str:
    return f'<line class="resumed" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'

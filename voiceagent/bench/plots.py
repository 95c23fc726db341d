"""PURE. Small SVG charts for the benchmark report: lines over a number, and bars beside each other.

Plain shapes and text, one white ground, so that they look the same in every reader and in a diff.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 24, 44, 58
COLOURS = ("#1f5fa8", "#c2521f", "#2f7d4f", "#7a4fa0")
INK, PALE = "#222222", "#d9d9d9"


@dataclass(frozen=True, slots=True)
class Point:
    """A median, with the least and most that were measured; hollow where no run of it was valid."""

    x: float
    y: float
    least: float | None = None
    most: float | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """One curve. ``dots`` False draws the line alone."""

    name: str
    points: Sequence[Point]
    dots: bool = True


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, with the least and most that were measured."""

    name: str
    value: float
    least: float
    most: float
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """What stands around the curves. ``limit`` is drawn across, with ``limit_name``."""

    title: str
    x_label: str
    y_label: str
    limit: float | None = None
    limit_name: str = ""
    from_zero: bool = True
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple[tuple[float, str], ...])
    """Vertical lines: where, and what begins there."""


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers that cover ``low`` to ``high``, about so many."""
    span = high - low
    if span <= 0:
        return [low, low + 1]
    raw = span / about
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= raw)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def number(value: float) -> str:
    """Return ``value`` as people write it."""
    text = f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class _Plane:
    """Turns values into places on the paper."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], *, from_zero: bool) -> None:
        self.x_ticks = ticks(min(xs), max(xs), 6)
        self.y_ticks = ticks(0.0 if from_zero else min(ys), max(ys))

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def line_chart(chart: Chart, lines: Sequence[Line]) -> str:
    """Return the SVG of ``lines``. Raises ValueError where there is nothing to draw."""
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("a chart takes a point")
    ys = [value for point in points for value in (point.y, point.least, point.most) if value is not None]
    if chart.limit is not None:
        ys.append(chart.limit)
    xs = [point.x for point in points]
    plane = _Plane([0.0, *xs] if chart.from_zero else xs, ys, from_zero=chart.from_zero)
    body = [*_frame(chart, plane), *_x_axis(plane)]
    for at, name in chart.marks:
        body.append(_stroke(plane.x(at), TOP, plane.x(at), HEIGHT - BOTTOM, "#777777", dashed=True))
        body.append(_text(plane.x(at) + 4, HEIGHT - BOTTOM - 6, name, size=11, colour="#777777"))
    body += _limit(chart, plane)
    for index, line in enumerate(lines):
        body += _curve(line, plane, COLOURS[index % len(COLOURS)])
    if len(lines) > 1 or lines[0].name:
        body += _legend([line.name for line in lines])
    return _page(chart.title, [*body, *_hollow(all(point.valid for point in points))])


def bar_chart(chart: Chart, bars: Sequence[Bar]) -> str:
    """Return the SVG of ``bars``, each with its value. Raises ValueError where there is nothing to draw."""
    if not bars:
        raise ValueError("a chart takes a bar")
    tops = [bar.most * 1.1 for bar in bars] + ([chart.limit] if chart.limit is not None else [])
    plane = _Plane([0.0, 1.0], tops, from_zero=True)
    body = [*_frame(chart, plane), *_limit(chart, plane)]
    room = (WIDTH - LEFT - RIGHT) / len(bars)
    for index, bar in enumerate(bars):
        colour = COLOURS[index % len(COLOURS)]
        left, wide = LEFT + index * room + room * 0.22, room * 0.56
        top, middle = plane.y(bar.value), left + wide / 2
        fill = colour if bar.valid else "none"
        body.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
            f'height="{HEIGHT - BOTTOM - top:.1f}" fill="{fill}" stroke="{colour}"/>'
        )
        if bar.least != bar.most:
            body.append(_stroke(middle, plane.y(bar.least), middle, plane.y(bar.most), INK))
        body.append(_text(middle, plane.y(bar.most) - 6, number(bar.value), middle=True))
        body.append(_text(middle, HEIGHT - BOTTOM + 18, bar.name, middle=True))
    return _page(chart.title, [*body, *_hollow(all(bar.valid for bar in bars))])


def _frame(chart: Chart, plane: _Plane) -> list[str]:
    body: list[str] = []
    for value in plane.y_ticks:
        at = plane.y(value)
        body.append(_stroke(LEFT, at, WIDTH - RIGHT, at, PALE))
        body.append(_text(LEFT - 8, at + 4, number(value), end=True))
    body.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, chart.x_label, middle=True))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    body.append(
        f'<text x="18" y="{middle:.1f}" font-size="12" fill="{INK}" text-anchor="middle" '
        f'transform="rotate(-90 18 {middle:.1f})">{escape(chart.y_label)}</text>'
    )
    return body


def _x_axis(plane: _Plane) -> list[str]:
    return [
        _text(plane.x(value), HEIGHT - BOTTOM + 18, number(value), middle=True) for value in plane.x_ticks
    ]


def _limit(chart: Chart, plane: _Plane) -> list[str]:
    if chart.limit is None:
        return []
    at = plane.y(chart.limit)
    return [
        _stroke(LEFT, at, WIDTH - RIGHT, at, "#b00020", dashed=True),
        _text(WIDTH - RIGHT, at - 5, chart.limit_name, end=True, size=11, colour="#b00020"),
    ]


def _curve(line: Line, plane: _Plane, colour: str) -> list[str]:
    path = " ".join(f"{plane.x(point.x):.1f},{plane.y(point.y):.1f}" for point in line.points)
    body = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>']
    if not line.dots:
        return body
    for point in line.points:
        x, y = plane.x(point.x), plane.y(point.y)
        if point.least is not None and point.most is not None and point.least != point.most:
            body.append(_stroke(x, plane.y(point.least), x, plane.y(point.most), colour))
        fill = colour if point.valid else "#ffffff"
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>')
    return body


def _hollow(all_valid: bool) -> list[str]:
    return [] if all_valid else [_text(WIDTH - RIGHT, 40, "hollow: no valid run", end=True, size=11)]


def _legend(names: Sequence[str]) -> list[str]:
    body: list[str] = []
    for index, name in enumerate(names):
        x, y = WIDTH - RIGHT - 210, HEIGHT - BOTTOM - 12 - 17 * (len(names) - 1 - index)
        body.append(_stroke(x, y - 4, x + 20, y - 4, COLOURS[index % len(COLOURS)]))
        body.append(_text(x + 26, y, name))
    return body


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashes}/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    middle: bool = False,
    end: bool = False,
    size: int = 12,
    colour: str = INK,
) -> str:
    anchor = "middle" if middle else "end" if end else "start"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def _page(title: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif">\n<title>{escape(title)}</title>\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>\n'
        + _text(WIDTH / 2, 24, title, middle=True, size=15)
    )
    return "\n".join([head, *body, "</svg>"]) + "\n"

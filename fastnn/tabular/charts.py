"""Charts as SVG, in the page's own colors, and tables as HTML."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 16, 12, 46
BLUE, ORANGE = "#0072B2", "#D55E00"
"""Of Okabe and Ito's colors, which color-blind readers can tell apart."""
_MOST_POINTS = 2000


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a table of HTML cells, of which the first `left` of each row are texts."""

    def line(cells: Sequence[str], tag: str) -> str:
        kinds = ["", ' class="number"']
        return "".join(
            f"<{tag}{kinds[place >= left]}>{cell}</{tag}>" for place, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(cells, 'td')}</tr>\n" for cells in rows)
    return f"<table><thead><tr>{line(head, 'th')}</tr></thead>\n<tbody>{body}</tbody></table>\n"


def scatter(x: np.ndarray, y: np.ndarray, labels: tuple[str, str]) -> str:
    """Return a chart of points, with the diagonal on which y is x."""
    few = slice(None, None, -(-len(x) // _MOST_POINTS))
    both = np.concatenate([x, y])
    chart = _Chart(_Axis(both), _Axis(both), labels)
    low, high = chart.x.low, chart.x.high
    chart.line([low, high], [low, high], "currentColor", 1, dashed=True)
    chart.points(x[few], y[few])
    return chart.svg("Predictions against true values")


def curves(groups: Sequence[tuple[str, Sequence[Sequence[float]]]], labels: tuple[str, str]) -> str:
    """Return a chart of two groups of curves over 1, 2, ..., named in the legend."""
    every = [value for _, group in groups for values in group for value in values]
    longest = max(len(values) for _, group in groups for values in group)
    chart = _Chart(_Axis(np.array([1, longest])), _Axis(np.array(every), logarithmic=True), labels)
    for (_, group), color in zip(groups, (BLUE, ORANGE), strict=True):
        for values in group:
            step = -(-len(values) // _WIDTH)
            chart.line(np.arange(1, len(values) + 1)[::step], values[::step], color, 1.3)
    legend = " ".join(
        f'<span style="color: {color}">&#9473;</span> {escape(name)}'
        for (name, _), color in zip(groups, (BLUE, ORANGE), strict=True)
    )
    return f"{chart.svg('Learning curves')}<p>{legend}</p>\n"


def bar(share: float) -> str:
    """Return a bar that fills a share of its cell."""
    width = 100 * min(max(share, 0.0), 1.0)
    return f'<span class="bar"><span style="width: {width:.1f}%"></span></span>'


class _Axis:
    """From which numbers to which an axis goes, and where they lie on it."""

    def __init__(self, values: np.ndarray, logarithmic: bool = False):
        values = values[np.isfinite(values)]
        self.logarithmic = logarithmic and bool((values > 0).all())
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if low == high:
            low, high = (low / 2, 2 * high) if self.logarithmic else (low - 0.5, high + 0.5)
        self.low, self.high = low, high

    def place(self, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return shares of the axis."""
        scale: Callable[[np.ndarray], np.ndarray] = np.log if self.logarithmic else np.asarray
        with np.errstate(all="ignore"):
            low, high = scale(np.array([self.low, self.high]))
            return np.asarray((scale(np.asarray(values, np.float64)) - low) / (high - low))

    def ticks(self) -> list[float]:
        """Return round numbers on the axis."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            factors = (1, 2, 5) if last - first <= 3 else (1,)
            powers = range(first, last + 1, max(1, (last - first) // 6))
            found = [f * 10.0**power for power in powers for f in factors]
        else:
            rough = (self.high - self.low) / 5
            unit = 10.0 ** math.floor(math.log10(rough))
            step = next(f * unit for f in (1, 2, 5, 10) if f * unit >= rough)
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            found = [step * number for number in range(first, last + 1)]
        return [each for each in found if self.low <= each <= self.high]


class _Chart:
    def __init__(self, x: _Axis, y: _Axis, labels: tuple[str, str]):
        self.x, self.y, self.labels = x, y, labels
        self.parts: list[str] = []

    def _places(
        self, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray
    ) -> list[tuple[float, float]]:
        across = _LEFT + self.x.place(x) * (_WIDTH - _LEFT - _RIGHT)
        down = _HEIGHT - _BOTTOM - self.y.place(y) * (_HEIGHT - _TOP - _BOTTOM)
        there = np.isfinite(across) & np.isfinite(down)
        return list(zip(across[there].tolist(), down[there].tolist(), strict=True))

    def line(
        self,
        x: Sequence[float] | np.ndarray,
        y: Sequence[float] | np.ndarray,
        color: str,
        width: float,
        dashed: bool = False,
    ) -> None:
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in self._places(x, y))
        dash = ' stroke-dasharray="4"' if dashed else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"{dash}/>'
        )

    def points(self, x: np.ndarray, y: np.ndarray) -> None:
        dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2"/>' for a, b in self._places(x, y))
        self.parts.append(f'<g fill="{BLUE}" fill-opacity="0.5">{dots}</g>')

    def svg(self, title: str) -> str:
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        grid = []
        for tick in self.x.ticks():
            ((across, _),) = self._places([tick], [self.y.low])
            grid.append(_line(across, _TOP, across, bottom))
            grid.append(_text(across, bottom + 16, f"{tick:g}", "middle"))
        for tick in self.y.ticks():
            ((_, down),) = self._places([self.x.low], [tick])
            grid.append(_line(_LEFT, down, right, down))
            grid.append(_text(_LEFT - 6, down + 4, f"{tick:g}", "end"))
        grid.append(_text((_LEFT + right) / 2, _HEIGHT - 8, self.labels[0], "middle"))
        middle = (_TOP + bottom) / 2
        turned = f' transform="rotate(-90 14 {middle})"'
        grid.append(_text(14, middle, self.labels[1], "middle", turned))
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" role="img" '
            f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
            f"{''.join(grid)}{''.join(self.parts)}</svg>\n"
        )


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {places} stroke="currentColor" stroke-opacity="0.15"/>'


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12"'
    return f'<text {place} fill="currentColor"{more}>{escape(text)}</text>'

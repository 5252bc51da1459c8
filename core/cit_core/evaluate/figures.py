"""Figures as SVG: equal bytes for equal numbers, text as text, on a light ground of their own.

Colours are those of Okabe and Ito, which most people tell apart; dashes and markers repeat what colour says. The
legend is below the axes, so that it covers nothing.
"""

from __future__ import annotations

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cit_core.errors import MissingExtra
from cit_core.evaluate.results import Figure, Result, Series
from cit_core.records import require_unique

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

__all__ = ["draw", "write_figures"]

Array = NDArray[np.float64]

OURS = "#D55E00"
OTHERS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, PALE = "#222222", "#888888"
TITLE_PT = 7
"""Room for each letter of the title [points]."""
ENTRY_PT, LETTER_PT = 50, 5.4
"""Room for an entry of the legend, and for each letter of it [points]."""
MARKED = 24
"""A line of more points than this is drawn without markers."""
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": PALE,
    "axes.formatter.limits": (-6, 7),
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.dpi": 72,  # of SVG: what is measured is what is drawn
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],  # the first comes with matplotlib, the next is as wide
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a $ is a dollar
    "xtick.color": INK,
    "ytick.color": INK,
}


class Look(NamedTuple):
    """The style of a series."""

    color: str
    dash: str | tuple[float, tuple[float, ...]]
    marker: str
    width: float
    band: float
    """Opacity of its intervals."""
    order: int
    """Higher is drawn above lower."""


def draw(figure: Figure) -> str:
    """Draw a figure as SVG.

    Raises:
        MissingExtra: If matplotlib is not installed.
    """
    target = io.StringIO()
    with _style(salt=figure.name):
        _canvas(figure).savefig(target, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return target.getvalue()


def write_figures(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write every figure of the results to `<name>.svg`; nothing is written if one cannot be drawn.

    Raises:
        InvalidInput: If two figures have one name.
        MissingExtra: If matplotlib is not installed.
    """
    figures = [figure for result in results for figure in result.figures]
    require_unique((figure.name for figure in figures), "figure names")
    drawn = {folder / f"{figure.name}.svg": draw(figure) for figure in figures}
    folder.mkdir(parents=True, exist_ok=True)
    for path, svg in drawn.items():
        path.write_text(svg, encoding="utf-8")
    return list(drawn)


@contextmanager
def _style(salt: str) -> Iterator[None]:
    """Use our style over matplotlib's own defaults, whatever the user's are; warnings about fonts are muted."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)  # the font cache is made, perhaps in a temporary folder, on the first import
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise MissingExtra("matplotlib, which draws figures,", "bench") from error
    else:
        with mpl.rc_context(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader of the SVG may have it
            mpl.rcdefaults()
            mpl.rcParams.update({**STYLE, "svg.hashsalt": salt})
            yield
    finally:
        logger.setLevel(level)


def _canvas(figure: Figure) -> Canvas:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    # Inches, without the legend; a diagonal is a square below its title.
    width, height = (4.6, 5.2) if figure.kind == "diagonal" else (5.8, 3.9)
    longest = max(len(series.name) for series in figure.series)
    columns = min(3, max(1, int(72 * width / (ENTRY_PT + LETTER_PT * longest))))
    rows = math.ceil((len(figure.series) + (figure.kind == "diagonal")) / columns)
    canvas = Canvas(figsize=(width, height + 0.2 * rows))
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    title = textwrap.fill(figure.title, int(72 * width / TITLE_PT))
    canvas.suptitle(title, x=0.02, horizontalalignment="left", fontsize=11, fontweight="bold")
    axes.set(xlabel=figure.x_label, ylabel=figure.y_label)
    if figure.x_log:
        _log_scale(axes, [x for series in figure.series for x in series.x])
    looks = _looks(figure.series)
    handles = [_line(axes, figure, series, look) for series, look in zip(figure.series, looks, strict=True)]
    if figure.kind == "diagonal":
        handles.append(_diagonal(axes, figure.series))
    legend = canvas.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=9, handlelength=2.6
    )
    for text, series in zip(legend.get_texts(), figure.series, strict=False):
        text.set_fontweight("bold" if series.ours else "normal")
    if any(series.labels for series in figure.series):
        _write_labels(canvas, figure, looks)
    return canvas


def _looks(all_series: Sequence[Series]) -> list[Look]:
    """Choose styles: ours share a colour that no other has and are so wide that lines over them hide nothing."""
    looks, ours, others = [], 0, 0
    for series in all_series:
        if series.ours:
            looks.append(Look(OURS, DASHES[ours % len(DASHES)], MARKERS[ours % len(MARKERS)], 2.8, 0.18, 3))
            ours += 1
        else:
            dash = DASHES[others // len(OTHERS) % len(DASHES)]
            looks.append(Look(OTHERS[others % len(OTHERS)], dash, MARKERS[others % len(MARKERS)], 1.4, 0.08, 4))
            others += 1
    return looks


def _line(axes: Axes, figure: Figure, series: Series, look: Look) -> Line2D:
    x, y, low, high = _coordinates(figure, series)
    of_points, steps = figure.kind in {"points", "diagonal"} or not series.joined, figure.kind == "step"
    marked = of_points or (len(x) <= MARKED and not steps)
    (line,) = axes.plot(
        x,
        y,
        label=series.name,
        color=look.color,
        linestyle="none" if figure.kind == "points" or not series.joined else look.dash,
        linewidth=look.width,
        marker=look.marker if marked else "",
        markersize=7 if series.ours else 5,
        drawstyle="steps-post" if steps else "default",
        zorder=look.order,
    )
    step: Literal["post"] | None = "post" if steps else None
    if series.low is not None and of_points:
        axes.vlines(x, low, high, color=look.color, linewidth=1.0, alpha=0.7, zorder=look.order)
    elif series.low is not None:
        axes.fill_between(x, low, high, step=step, color=look.color, alpha=look.band, linewidth=0, zorder=2)
    return line


def _coordinates(figure: Figure, series: Series) -> Array:
    """Return x, y, low and high; the last step of a staircase goes on for half the one before it, to be visible."""
    unknown = (None,) * len(series.x)
    columns = (series.x, series.y, series.low or unknown, series.high or unknown)
    rows = np.array([[math.nan if value is None else value for value in column] for column in columns], np.float64)
    if figure.kind != "step" or len(series.x) < 2:
        return rows
    last = rows[:, -1:].copy()
    last[0] += (rows[0, -1] - rows[0, -2]) / 2
    return np.hstack([rows, last])


def _diagonal(axes: Axes, all_series: Sequence[Series]) -> Line2D:
    """Draw the line y = x over a square that begins at 0 and holds everything."""
    ends = [
        value for one in all_series for part in (one.x, one.y, one.high or ()) for value in part if value is not None
    ]
    top = max([1.0, *ends])
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
    (line,) = axes.plot([0, top], [0, top], color=PALE, linestyle=(0, (2, 2)), linewidth=1.2, zorder=2, label="y = x")
    return line


def _log_scale(axes: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import AutoLocator, FuncFormatter, LogLocator, NullFormatter

    decades = math.log10(max(values) / min(values))
    axes.set_xscale("log")
    if decades > 1:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > 3 else (1.0, 2.0, 5.0)))
    else:
        axes.xaxis.set_major_locator(AutoLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: np.format_float_positional(value, 6, trim="-")))
    axes.xaxis.set_minor_formatter(NullFormatter())


# ---- labels of points

AROUND = (
    (6, 0, "left", "center"),
    (0, 6, "center", "bottom"),
    (0, -6, "center", "top"),
    (-6, 0, "right", "center"),
    (5, 5, "left", "bottom"),
    (5, -5, "left", "top"),
    (-5, 5, "right", "bottom"),
    (-5, -5, "right", "top"),
)
"""Places of a label, best first: points right and up of its point, and the side of the label at that place."""


def _write_labels(canvas: Canvas, figure: Figure, looks: Sequence[Look]) -> None:
    """Write every label where it covers least of what is drawn already, ours first."""
    axes = canvas.axes[0]
    axes.margins(0.16, 0.1)
    canvas.draw_without_rendering()  # from here on positions are known
    frame = axes.get_window_extent()
    taken = [box for series in figure.series for box in _marks(axes, figure, series)]
    for series, look in sorted(zip(figure.series, looks, strict=True), key=lambda pair: not pair[0].ours):
        for x, y, label in zip(series.x, series.y, series.labels or (), strict=False):
            if y is not None and label:
                text = axes.annotate(label, (x, y), (0, 0), textcoords="offset points")
                text.set(fontsize=8, color=look.color, zorder=5, in_layout=False)
                taken.append(_place(text, taken, frame))


def _marks(axes: Axes, figure: Figure, series: Series) -> Iterator[Bbox]:
    """Yield the areas of a series' points and intervals."""
    from matplotlib.transforms import Bbox

    for x, y, low, high in _coordinates(figure, series).T:
        if math.isfinite(y):
            yield Bbox(axes.transData.transform([(x, y), (x, y)])).padded(3)
        if math.isfinite(low + high):
            yield Bbox(axes.transData.transform([(x, low), (x, high)])).padded(1)


def _place(text: Annotation, taken: Sequence[Bbox], frame: Bbox) -> Bbox:
    """Move a label to its best place; returns what it covers there."""

    def put(place: tuple[float, float, str, str]) -> Bbox:
        right, up, horizontal, vertical = place
        text.set(position=(right, up), horizontalalignment=horizontal, verticalalignment=vertical)
        return text.get_window_extent()

    covered = [_covered(put(place), taken, frame) for place in AROUND]
    return put(AROUND[covered.index(min(covered))])


def _covered(box: Bbox, taken: Sequence[Bbox], frame: Bbox) -> float:
    """Return the area of a label over other things plus four times that beyond the frame [square points]."""

    def shared(other: Bbox) -> float:
        both = box.intersection(box, other)
        return 0.0 if both is None else float(both.width * both.height)

    return sum(map(shared, taken)) + 4 * (float(box.width * box.height) - shared(frame))

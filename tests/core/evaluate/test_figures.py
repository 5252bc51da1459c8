"""Figures are well-formed SVG, the same each time; they hide no point and no label, and leave matplotlib as it was."""

from __future__ import annotations

import itertools
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from example_results import COST_QUALITY, FIGURES, MODELS, NEW_MODELS, RELEASES, RELIABILITY, RESULTS
from matplotlib.text import Annotation

from cit_core.errors import InvalidInput, MissingExtra
from cit_core.evaluate import figures
from cit_core.evaluate.figures import OURS, draw, write_figures
from cit_core.evaluate.results import Figure, Series

each_figure = pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)


def figure_of(*series: Series, **changes: object) -> Figure:
    plain = Figure("plain", "title", "x", "y", series)
    return replace(plain, **changes)  # type: ignore[arg-type]


def texts_of(svg: str) -> list[str]:
    """What is written in the picture; spaces that only lay it out are left out."""
    return [
        " ".join("".join(element.itertext()).split())
        for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


@each_figure
def test_everything_that_has_a_name_is_written_as_text(figure: Figure) -> None:
    texts = texts_of(draw(figure))
    names = {figure.x_label, figure.y_label, *(series.name for series in figure.series)}
    assert names <= set(texts)
    assert figure.title in " ".join(texts), "on one line or more"
    labels = [
        label
        for series in figure.series
        for y, label in zip(series.y, series.labels or (), strict=False)
        if y is not None
    ]
    assert set(labels) <= set(texts)
    assert "not measured" not in texts, "a label without its point"


@each_figure
def test_equal_figures_are_equal_bytes_without_date_or_version(figure: Figure) -> None:
    svg = draw(figure)
    assert svg == draw(replace(figure))
    assert "<metadata" not in svg
    assert mpl.__version__ not in svg
    assert set(re.findall(r"https?://([^/\"]+)", svg)) == {"www.w3.org"}
    assert "nan" not in svg.replace("nance", "")


def test_figures_of_other_names_share_no_clip_path() -> None:
    paths = [set(re.findall(r'clipPath id="(\w+)"', draw(replace(RELEASES, name=name)))) for name in ("a", "b")]
    assert paths[0]
    assert not paths[0] & paths[1]


def test_a_dollar_is_a_dollar_and_a_bracket_is_escaped() -> None:
    figure = figure_of(Series("a $x$ <b> & c", (1,), (1,), labels=("$1 or $2",)), title="from $1_0$ to $^2$")
    assert {"a $x$ <b> & c", "$1 or $2", "from $1_0$ to $^2$"} <= set(texts_of(draw(figure)))


def test_letters_that_the_font_does_not_have_are_written_all_the_same() -> None:
    assert "通义千问" in texts_of(draw(figure_of(Series("通义千问", (1,), (1,)))))


@each_figure
def test_a_title_is_wrapped_to_the_width_of_the_picture(figure: Figure) -> None:
    canvas = canvas_of(replace(figure, title="What is asked here takes more words than there is room for, " * 2))
    assert canvas.get_suptitle().count("\n") >= 1
    assert 0 <= canvas.get_tightbbox().x0 < canvas.get_tightbbox().x1 <= canvas.get_figwidth()


# ---- what is drawn


def paths_of(figure: Figure, color: str) -> list[str]:
    """The data of the lines in a colour."""
    found = []
    for path in ElementTree.fromstring(draw(figure)).iter("{http://www.w3.org/2000/svg}path"):
        style = path.get("style", "")
        if "fill: none" in style and f"stroke: {color.lower()}" in style:
            found.append(path.get("d", ""))
    return found


def test_our_colour_is_ours_alone_and_two_of_ours_differ_in_their_dashes() -> None:
    assert OURS not in figures.OTHERS
    many = [Series(f"s{number}", (1, 2), (1, number)) for number in range(24)]
    assert OURS.lower() not in draw(figure_of(*many))
    ours = [replace(series, ours=True) for series in many[:3]]
    svg = draw(figure_of(*ours))
    lines = set(re.findall(r'style="fill: none; (stroke-dasharray[^"]*|stroke: [^"]*)"', svg))
    assert len([line for line in lines if OURS.lower() in line and "stroke-width: 2.8" in line]) == 3


def test_24_others_look_different() -> None:
    looks = figures._looks([Series(f"s{number}", (1,), (1,)) for number in range(24)])
    assert len({(look.color, look.dash) for look in looks}) == 24
    assert all(
        a.marker != b.marker for a, b in itertools.combinations(looks, 2) if a.color == b.color and a.dash == b.dash
    )


def test_a_point_that_is_not_known_leaves_a_gap() -> None:
    whole = paths_of(figure_of(Series("s", (1, 2, 3, 4), (1, 2, 2, 1))), figures.OTHERS[0])
    gap = paths_of(figure_of(Series("s", (1, 2, 3, 4, 5), (1, 2, None, 2, 1))), figures.OTHERS[0])
    assert [path.count("M") for path in whole] == [1, 1], "the line, and the line of the legend"
    assert sorted(path.count("M") for path in gap) == [1, 2]


def test_the_last_step_can_be_seen() -> None:
    (path, _) = paths_of(figure_of(Series("s", (1, 2, 3), (1, 2, 3)), kind="step"), figures.OTHERS[0])
    xs = sorted({float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)})
    assert len(xs) == 4
    assert xs[3] - xs[2] == pytest.approx((xs[1] - xs[0]) / 2)


def test_bands_are_drawn_under_lines_and_bars_at_points() -> None:
    x, y, low, high = (1, 2, 3), (2, 3, 4), (1, 2, 3), (3, 4, 5)
    for kind, tag in {"line": "FillBetween", "step": "FillBetween", "points": "Line", "diagonal": "Line"}.items():
        bare, banded = (draw(figure_of(Series("s", x, y, *ends), kind=kind)) for ends in ((None, None), (low, high)))
        groups = [re.findall(rf'id="({tag}\w*Collection\w*)"', svg) for svg in (bare, banded)]
        assert groups[0] == []
        assert len(groups[1]) == 1


def test_a_mean_outside_its_interval_is_drawn_too() -> None:
    draw(figure_of(Series("s", (1, 2), (5, 1), (1, 2), (2, 3)), kind="points"))


def canvas_of(figure: Figure) -> mpl.figure.Figure:
    with figures._style(salt="test"):
        canvas = figures._canvas(figure)
        canvas.draw_without_rendering()
    return canvas


def test_a_reliability_diagram_is_a_square_that_holds_everything() -> None:
    (axes,) = canvas_of(RELIABILITY).axes
    assert axes.get_xlim() == axes.get_ylim() == (0.0, 1.0)
    frame = axes.get_window_extent()
    assert frame.width == pytest.approx(frame.height)
    (axes,) = canvas_of(figure_of(Series("s", (10, 90), (20, 80), (10, 70), (30, 95)), kind="diagonal")).axes
    assert axes.get_ylim() == (0.0, 95.0), "percent, too"
    assert "y = x" in texts_of(draw(RELIABILITY))


@pytest.mark.parametrize(
    ("x", "least"),
    [((1e-6, 1.0), 4), ((0.00005, 0.01), 5), ((0.003, 0.004), 3), ((0.0021, 0.0021), 1), ((8.0, 12.0), 3)],
)
def test_a_logarithmic_axis_has_numbers_on_it_whatever_its_range(x: tuple[float, ...], least: int) -> None:
    (axes,) = canvas_of(figure_of(Series("s", x, (1, 2)), x_log=True)).axes
    low, high = axes.get_xlim()
    inside = [
        text.get_text()
        for value, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= value <= high
    ]
    assert least <= len(inside) <= 9
    assert all(re.fullmatch(r"\d+(\.\d+)?", text) for text in inside), "no powers of ten to decode"


# ---- nothing covers anything


def overlap(one: mpl.transforms.Bbox, other: mpl.transforms.Bbox) -> float:
    both = mpl.transforms.Bbox.intersection(one, other)
    return 0.0 if both is None else float(both.width * both.height)


def test_labels_cover_neither_each_other_nor_points_nor_the_frame() -> None:
    canvas = canvas_of(MODELS)
    (axes,) = canvas.axes
    labels = {text.get_text(): text.get_window_extent() for text in axes.get_children() if isinstance(text, Annotation)}
    assert len(labels) == 9
    for one, other in itertools.combinations(labels, 2):
        assert overlap(labels[one], labels[other]) == 0, (one, other)
    points = [axes.transData.transform(point) for line in axes.lines for point in line.get_xydata()]
    frame = axes.get_window_extent()
    for label, box in labels.items():
        assert not any(box.contains(*point) for point in points), label
        assert overlap(box, frame) == pytest.approx(box.width * box.height), label


@pytest.mark.parametrize("kind", ["line", "diagonal"])
@pytest.mark.parametrize(("count", "length"), [(1, 4), (10, 13), (12, 22), (5, 34), (7, 60)])
def test_the_legend_stands_below_the_axes_and_within_the_picture(kind: str, count: int, length: int) -> None:
    names = [f"{'a quite common router'[number:]:-<{length}}" for number in range(count)]
    canvas = canvas_of(figure_of(*(Series(name, (1, 2), (1, 2)) for name in names), kind=kind))
    (legend,), (axes,) = canvas.legends, canvas.axes
    box = legend.get_window_extent().padded(-3)  # of its frame, which is not drawn
    assert [text.get_text() for text in legend.get_texts()][:count] == names
    assert overlap(box, axes.get_tightbbox()) == 0
    assert overlap(box, canvas.bbox) == pytest.approx(box.width * box.height)
    assert axes.get_window_extent().height > 100


# ---- files and surroundings


def test_figures_are_written_under_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "figures"
    paths = write_figures(RESULTS, folder)
    assert paths == [folder / f"{figure.name}.svg" for figure in FIGURES]
    assert [path.read_text("utf-8") for path in paths] == [draw(figure) for figure in FIGURES]


def test_two_figures_of_one_name_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="duplicate figure names: 'cost-quality'"):
        write_figures([NEW_MODELS, replace(NEW_MODELS, experiment="other", figures=(COST_QUALITY,))], tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_without_matplotlib_the_message_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cit-router\[bench\]'"):
        write_figures(RESULTS, tmp_path / "f")
    assert not (tmp_path / "f").exists()
    assert logging.getLogger("matplotlib").level == logging.NOTSET


def test_the_settings_of_others_neither_change_nor_count() -> None:
    before = draw(RELEASES)
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert draw(RELEASES) == before
        assert mpl.rcParams["font.size"] == 30


def test_a_first_use_without_a_home_says_nothing_and_draws_the_same(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: red\n")
    script = "from example_results import RELEASES; from cit_core.evaluate.figures import draw; print(draw(RELEASES))"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONHASHSEED": "7",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "MPLCONFIGDIR": "/proc/self/no-such-folder",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == draw(RELEASES) + "\n"


def test_importing_the_module_does_not_import_matplotlib() -> None:
    script = "import sys, cit_core.evaluate.page; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)

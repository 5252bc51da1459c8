"""The page is one well-formed HTML file that asks for nothing and holds every number; a parser reads it back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from html.parser import HTMLParser

import pytest
from example_results import NEW_MODELS, RESULTS, ROUTERS

from cit_core.errors import InvalidInput
from cit_core.evaluate.figures import draw
from cit_core.evaluate.page import html_page
from cit_core.evaluate.results import Column, Figure, Result, Series, Table
from cit_core.evaluate.tables import HOW_TO_READ, provenance, written

VOID = {"meta", "link", "br", "hr", "img", "input"}


@dataclass
class Element:
    """What a parser sees of an element."""

    tag: str
    attributes: dict[str, str]
    inside: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.inside)

    def all(self, tag: str = "") -> list[Element]:
        """This element and those within it, in order."""
        found = [self] if tag in {"", self.tag} else []
        return found + [one for part in self.inside if isinstance(part, Element) for one in part.all(tag)]


class Strict(HTMLParser):
    """Reads HTML in which every element is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}> at {self.getpos()}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)

    def close(self) -> None:
        super().close()
        assert self._open == [self.root], f"<{self._open[-1].tag}> is not closed"


def parsed(page: str) -> Element:
    parser = Strict()
    parser.feed(page)
    parser.close()
    return parser.root


@cache
def page() -> str:
    return html_page(RESULTS)


HOSTILE = "</style><script src='https://x.example/y.js'>\"&amp;' onload=1 <!--"


def hostile() -> Result:
    """A result whose every text would like to be more than text."""
    return replace(
        NEW_MODELS,
        title=HOSTILE,
        question=HOSTILE,
        held_out=HOSTILE,
        facts=replace(NEW_MODELS.facts, command=HOSTILE, commit=HOSTILE, data={HOSTILE: HOSTILE}, machine=HOSTILE),
        tables=(Table(HOSTILE, (Column(HOSTILE), Column(HOSTILE)), ((HOSTILE, HOSTILE),), HOSTILE, (0,)),),
        figures=(
            Figure(
                "hostile", HOSTILE, HOSTILE, HOSTILE, (Series(HOSTILE, (1,), (1,), labels=(HOSTILE,)),), note=HOSTILE
            ),
        ),
    )


@pytest.mark.parametrize("text", [page, lambda: html_page([hostile()])], ids=["as it is", "hostile"])
def test_the_page_is_well_formed_and_asks_for_nothing(text: object) -> None:
    content = text()  # type: ignore[operator]
    root = parsed(content)
    assert content.startswith("<!DOCTYPE html>")
    assert not {element.tag for element in root.all()} & {"script", "link", "iframe", "img", "object", "base", "image"}
    for element in root.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.tag} {name}>"
            if name in {"href", "xlink:href", "src", "srcset", "action", "data"}:
                assert value.startswith("#"), f"<{element.tag} {name}={value!r}>"
    styles = [element.text for element in root.all("style")]
    styles += [element.attributes.get("style", "") for element in root.all()]
    for style in styles:
        assert "@import" not in style
        assert re.findall(r"url\((?!#)", style) == []
    (policy,) = (one for one in root.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"] == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_text_is_shown_as_it_is() -> None:
    (section,) = parsed(html_page([hostile()])).all("section")
    assert [element.text for tag in ("h2", "h3", "th", "td") for element in section.all(tag)] == [HOSTILE] * 6
    assert [element.text for element in section.all("p")][:2] == [HOSTILE, f"Held out. {HOSTILE}"]
    assert section.all("pre")[0].text == HOSTILE
    assert section.all("figcaption")[0].text == HOSTILE
    (svg,) = section.all("svg")
    assert HOSTILE in svg.attributes["aria-label"]
    assert sum(element.text.strip() == HOSTILE for element in svg.all("text")) == 4, "both axes, legend, label"


def test_ids_stand_once_and_every_reference_leads_to_one() -> None:
    root = parsed(page())
    ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    inside = [value for one in root.all() for name, value in one.attributes.items() if name in {"href", "xlink:href"}]
    drawn = re.findall(r"url\((#[^)]*)\)", page())
    assert len(drawn) > 10
    assert {target[1:] for target in inside + drawn} <= set(ids)


def test_the_contents_lead_to_every_experiment() -> None:
    root = parsed(page())
    (contents,) = root.all("nav")
    assert [(link.attributes["href"], link.text) for link in contents.all("a")] == [
        (f"#{result.experiment}", result.title) for result in RESULTS
    ]
    assert [section.attributes["id"] for section in root.all("section")] == [result.experiment for result in RESULTS]


def test_an_experiment_says_what_was_asked_held_out_and_done() -> None:
    for section, result in zip(parsed(page()).all("section"), RESULTS, strict=True):
        said = [element.text for element in section.all("p")]
        assert said[:3] == [
            result.question,
            f"Held out. {result.held_out}",
            provenance(result.facts).replace("`", ""),
        ]
        assert section.all("pre")[0].text == result.facts.command
    assert HOW_TO_READ in parsed(page()).text


def test_a_table_holds_every_cell_and_marks_what_is_ours() -> None:
    heading, *rows = parsed(page()).all("table")[0].all("tr")
    assert [cell.text for cell in heading.all("th")] == [column.name for column in ROUTERS.columns]
    for number, (row, cells) in enumerate(zip(rows, ROUTERS.rows, strict=True)):
        shown = row.all("th") + row.all("td")
        assert [one.text for one in shown] == [
            written(cell, column.kind) for cell, column in zip(cells, ROUTERS.columns, strict=True)
        ]
        assert [one.attributes.get("class") for one in shown] == ["words"] + [None] * (len(cells) - 1)
        assert (row.attributes.get("class") == "ours") == (number in ROUTERS.emphasis)


def test_code_in_backticks_is_code() -> None:
    assert "same <code>1,000</code> core answers" in page()


def test_every_figure_is_drawn_in_place_and_described() -> None:
    drawn = parsed(page()).all("svg")
    described = [figure for result in RESULTS for figure in result.figures]
    assert [svg.attributes["aria-label"] for svg in drawn] == [figure.description for figure in described]
    assert {svg.attributes["role"] for svg in drawn} == {"img"}
    for svg, figure in zip(drawn, described, strict=True):
        (alone,) = parsed(draw(figure).partition("<svg")[2].join(["<svg", ""])).all("svg")
        assert [text.text for text in svg.all("text")] == [text.text for text in alone.all("text")]
        assert [path.attributes.get("d") for path in svg.all("path")] == [
            path.attributes.get("d") for path in alone.all("path")
        ]


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="duplicate figure names: 'cost-quality'"):
        html_page([NEW_MODELS, replace(NEW_MODELS, experiment="other")])


def test_what_is_wide_scrolls_in_its_own_place_and_the_page_fits_a_phone() -> None:
    root = parsed(page())
    (viewport,) = (one for one in root.all("meta") if one.attributes.get("name") == "viewport")
    assert viewport.attributes["content"] == "width=device-width, initial-scale=1"
    scrolling = [element for element in root.all() if element.attributes.get("class") == "wide"]
    within = [one for element in scrolling for one in element.all() if one.tag in {"table", "svg", "pre"}]
    assert len(within) == len([one for one in root.all() if one.tag in {"table", "svg", "pre"}]) == 7
    (style,) = root.all("style")[:1]
    assert ".wide { overflow-x: auto; }" in style.text
    assert "@media (prefers-color-scheme: dark)" in style.text

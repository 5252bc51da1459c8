"""The dashboard in a real browser: what a person sees, at two widths, in the dark, with a key, by keyboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_process import gateway
from scripted_provider import ScriptedProvider

from cit_core.server.access import new_key

sync_api = pytest.importorskip("playwright.sync_api", reason="uv pip install --group test")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")
SCREENSHOTS = os.environ.get("CIT_SCREENSHOTS")
"""Folder for pictures of the pages; the documentation's are made so."""


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A gateway with a key and some traffic."""
    key, digest = new_key()
    tables = f'[[server.keys]]\nname = "me"\nsha256 = "{digest}"'
    models = {"large-model": "ok", "small-model": "ok", "<img src=x onerror=alert(1)>": "down"}
    with ScriptedProvider() as provider, gateway(tmp_path, provider.url, models, tables) as url:
        for model in ("cit", "cit:cost-0.00001", "<img src=x onerror=alert(1)>", "small-model", "cit"):
            body = {"model": model, "messages": [{"role": "user", "content": "A secret question?"}]}
            httpx.post(f"{url}/v1/chat/completions", json=body, headers={"x-api-key": key})
        yield url, key


CONTRASTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((x) => x / 255)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    const colour = numbers(getComputedStyle(one).backgroundColor);
    return colour.length < 4 || colour[3] > 0 ? colour : behind(one.parentElement);
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((one) => {
      const style = getComputedStyle(one);
      const [a, b] = [light(numbers(one instanceof SVGElement ? style.fill : style.color)), light(behind(one))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), one.textContent.slice(0, 40)];
    }).filter(([ratio]) => ratio < 4.5);
}"""
"""Visible texts whose contrast is below the 4.5 to 1 that WCAG asks for."""


def walk(page: sync_api.Page) -> list[str]:
    """Return what Tab comes to, from the top of the page: ids, or the text where there is none."""
    page.locator(".skip").focus()
    found: list[str] = []
    while not page.evaluate("document.activeElement === document.body"):
        found.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        page.keyboard.press("Tab")
        assert len(found) < 20
    return found


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_what_a_person_sees(browser: sync_api.Browser, served: tuple[str, str], width: int, scheme: str) -> None:
    url, key = served
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    outside, wrong = [], []
    page.on("request", lambda request: outside.append(request.url) if not request.url.startswith(url) else None)
    page.on("console", lambda message: wrong.append(message.text) if "Content Security" in message.text else None)
    page.on("dialog", lambda dialog: wrong.append("a script ran"))
    page.goto(url)
    page.get_by_label("Key of the gateway").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("This key is not one of the gateway's.").wait_for()
    page.get_by_label("Key of the gateway").fill(key)
    page.keyboard.press("Enter")
    page.locator("#answers", has_text="4").wait_for()
    assert page.locator("#spend").inner_text() == "$0.000036"
    assert "always large-model" in page.locator("#saved").inner_text()
    assert "A secret question" not in page.content()
    page.get_by_label("A query; no model is called").fill("What is 7 times 8?")
    page.get_by_role("button", name="Decide").press("Enter")
    page.locator("#decision", has_text="large-model: policy best").wait_for()
    page.get_by_label("What a correct answer is worth").press("ArrowLeft")
    assert "a query" in page.locator("#curve-text").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # nothing is cut off
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    unnamed = "[...document.querySelectorAll('input,textarea')].filter((x) => !x.labels.length).length"
    assert page.evaluate(unnamed) == 0
    names = ["Skip to the numbers", "query", "Decide", "worth"]
    assert [at for at in walk(page) if at in names] == names
    for scheme_now in ("dark", "light"):
        page.emulate_media(color_scheme=scheme_now)
        assert page.evaluate(CONTRASTS) == [], scheme_now
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS) / f"dashboard-{width}-{scheme_now}.png", full_page=True)
    page.close()
    assert (outside, wrong) == ([], [])

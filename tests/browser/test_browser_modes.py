"""The page on paper, without scripts, and with everything in it: what must then be seen, and what not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import Browser
from made_pages import MADE, Pages, build_page, many_cells
from test_browser_access import faint

FIGURES = """
const figures = [...document.querySelectorAll("figure")];
return figures.filter((figure) => !figure.closest(".charted .still")).map((figure) => {
  const svg = figure.querySelector(".plot svg");
  const box = svg.getBoundingClientRect();
  const words = [...svg.querySelectorAll("text")].filter((text) => text.getBoundingClientRect().width > 0);
  return [svg.id || figure.textContent.slice(0, 40), box.width, box.height, words.length,
    svg.querySelectorAll("path,use,rect").length];
});
"""
CONTROLS = """
return [...document.querySelectorAll("button,input,select,.live,.tools,[role=slider]")]
  .filter((control) => control.checkVisibility({ visibilityProperty: true }) && !control.closest("thead"))
  .map((control) => control.outerHTML.slice(0, 100));
"""
FOLDED = """
return [...document.querySelectorAll("details")].filter((details) => details.checkVisibility()
    && !details.querySelector(":scope > .scroll > table.every"))
  .filter((details) => [...details.children].some((child) => child.localName !== "summary"
    && !child.checkVisibility({ contentVisibilityAuto: true })))
  .map((details) => details.outerHTML.slice(0, 100));
"""


def undrawn(browser: Browser) -> list[str]:
    """Figures of the open page that have no extent, no words or no marks."""
    return [
        f"{name}: {width:.0f} x {height:.0f}, {words} words, {marks} marks"
        for name, width, height, words, marks in browser.run(FIGURES)
        if width < 150 or height < 40 or words < 2 or marks < 2
    ]


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("scripts", [True, False], ids=["with_scripts", "without"])
def test_figures_are_drawn(browser: Browser, pages: Pages, name: str, scripts: bool) -> None:
    browser.open(pages[name], scripts=scripts)
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert undrawn(browser) == []
    assert len(browser.run(FIGURES)) >= (1 if name == "one" else 4)


def test_an_undrawn_figure_is_found(browser: Browser, pages: Pages) -> None:
    browser.open(pages["one"], scripts=False)
    browser.run("document.querySelector('figure svg').replaceChildren()")
    assert undrawn(browser)


@pytest.mark.parametrize("name", MADE)
def test_without_scripts_there_is_all_but_controls(browser: Browser, pages: Pages, name: str) -> None:
    browser.open(pages[name], scripts=False)
    assert browser.run(CONTROLS) == []
    seen = browser.run(
        "return [...document.querySelectorAll('.scripted')].filter(e => e.checkVisibility()).length"
    )
    assert seen == 0
    assert browser.run("return document.querySelector('.unscripted').checkVisibility()")
    still = browser.run("return document.querySelector('.explore .still').getBoundingClientRect().height")
    assert still > (100 if name != "one" else 20)
    tables = browser.run(
        "return [...document.querySelectorAll('table.results')].filter(t => !t.closest('details:not([open])'))"
        ".map((t) => t.getBoundingClientRect().height)"
    )
    assert tables
    assert min(tables) > 60


@pytest.mark.parametrize("name", MADE)
def test_on_paper_what_is_folded_is_open_and_no_control_is_left(
    browser: Browser, pages: Pages, name: str
) -> None:
    browser.open(pages[name], media="print", dark=True, width=760)
    assert browser.run(CONTROLS) == []
    assert browser.run(FOLDED) == []
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert browser.run("return document.querySelector('.explore .still').checkVisibility()")


def test_paper_is_white_with_dark_words_whatever_theme_was_chosen(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    browser.driver.find_element("id", "theme").click()
    dark = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.emulate("print", dark=True)
    assert (
        browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)" != dark
    )
    assert faint(browser) == []


def test_on_screen_folds_are_found_closed(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    assert len(browser.run(FOLDED)) > 5
    assert browser.run(CONTROLS)


def test_tables_fit_on_paper(browser: Browser, pages: Pages) -> None:
    # A4 without the margins of the page's own print style, at 96 pixels per inch.
    browser.open(pages["full"], media="print", width=int((210 - 28) / 25.4 * 96))
    cut = browser.run(
        "return [...document.querySelectorAll('table.data')].filter((table) => table.checkVisibility()"
        " && table.getBoundingClientRect().right > innerWidth + 1)"
        ".map((table) => [table.id, table.getBoundingClientRect().right])"
    )
    assert cut == []


def test_the_pdf_has_many_pages_and_more_of_them_than_without_its_folds(
    browser: Browser, pages: Pages
) -> None:
    browser.open(pages["full"])
    opened = browser.run("return document.querySelectorAll('details[open]').length")
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    count = len(re.findall(rb"/Type /Page\b", pdf))
    assert 4 < count < 60
    # What was closed before is closed after.
    assert browser.run("return document.querySelectorAll('details[open]').length") == opened
    browser.run("document.querySelectorAll('details').forEach((details) => details.remove())")
    assert len(re.findall(rb"/Type /Page\b", browser.pdf())) < count


@pytest.mark.slow
def test_two_hundred_cells_weigh_under_five_megabytes_and_stay_usable(
    browser: Browser, tmp_path: Path
) -> None:
    view = many_cells(tmp_path / "run")
    assert len(view.table) == 200
    page = build_page([view], tmp_path / "report")
    assert page.stat().st_size < 5e6
    browser.open(page)
    assert browser.complaints() == []
    assert browser.run("return document.querySelectorAll('#canvas .mark').length") == 100
    # Sorting the dearest table answers within what a hand takes for at once, on a slow machine too.
    took = browser.run(
        "const head = document.querySelector('table.results thead button'); const start = performance.now();"
        "head.click(); document.body.offsetHeight; return performance.now() - start"
    )
    assert took < 2000

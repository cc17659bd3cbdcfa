"""What the page does at once: its width, what the chart is asked for, its theme, and links into what is folded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from browser import Browser
from made_pages import MADE, Pages

pytestmark = pytest.mark.slow

RESULTS = "1-pascal-context-cpu-1t-b1-table"


@pytest.fixture
def full(browser: Browser, pages: Pages) -> Iterator[Browser]:
    """The page of one run of one setting."""
    browser.open(pages["full"])
    yield browser
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_no_page_scrolls_sideways(browser: Browser, pages: Pages, name: str, width: int) -> None:
    browser.open(pages[name], width=width)
    sizes = browser.run(
        """for (const details of document.querySelectorAll("details")) details.open = true;
        return new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame)).then(() =>
          [document.documentElement.scrollWidth, document.documentElement.clientWidth])"""
    )
    assert sizes[0] <= sizes[1]


def test_the_chart_shows_what_is_chosen(browser: Browser, pages: Pages) -> None:
    browser.open(pages["holes"])
    count = "return document.querySelectorAll('#canvas g.mark').length"
    choose = """const select = document.getElementById(arguments[0]);
        const found = [...select.options].find((option) => option.textContent === arguments[1]);
        select.value = found.value; select.dispatchEvent(new Event("input"));"""
    says = browser.driver.find_element("css selector", "#chart-says")
    assert browser.run(count) == 6
    assert says.text.startswith("6 cells shown.")
    browser.run(choose, "setting", "all settings")
    assert browser.run(count) == 12
    assert "compare within one" in says.text
    browser.run(choose, "axis-y", "realised share of the saving")
    assert browser.run(count) == 4
    assert "8 more have no latency or no realised share of the saving." in says.text
    titles = [element.text for element in browser.driver.find_elements("css selector", "#canvas text.title")]
    assert titles == [
        "latency, ms per call, less is better",
        "realised share of the saving, %, more is better",
    ]
    browser.run("document.getElementById('log-x').click()")
    ticks = browser.run(
        "return [...document.querySelectorAll('#canvas .ticks text')].map((t) => t.textContent)"
    )
    assert {"100", "200"} <= set(ticks)
    hide = next(
        b for b in browser.driver.find_elements("css selector", "#legend button") if b.text == "adamtl"
    )
    hide.click()
    assert hide.get_attribute("aria-pressed") == "false"
    assert browser.run(count) == 2


def test_the_numbers_of_the_chart_are_rounded_like_the_table(full: Browser) -> None:
    browser = full
    labels = browser.run(
        "return [...document.querySelectorAll('#canvas g.mark')].map((mark) => mark.getAttribute('aria-label'))"
    )
    read = sorted(re.search(r"latency (.*) ms per call", label)[1] for label in labels)  # type: ignore[index]  # it must match
    script = """return [...document.getElementById(arguments[0]).tBodies[0].rows].map((row) => row.cells[5])
        .filter((cell) => cell.firstChild.nodeValue !== "-")
        .map((cell) => cell.firstChild.nodeValue + " " + cell.querySelector(".interval").textContent)"""
    assert browser.run(
        "return document.getElementById(arguments[0]).tHead.rows[0].cells[5].textContent", RESULTS
    ).startswith("latency")
    assert read == sorted(browser.run(script, RESULTS))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(browser: Browser, pages: Pages, scheme: str) -> None:
    browser.open(pages["full"], dark=scheme == "dark")

    def brightness() -> int:
        colour = browser.run("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    button = browser.driver.find_element("css selector", "#theme")
    assert (brightness() > 600) == (scheme == "light")
    assert button.get_attribute("aria-pressed") == str(scheme == "dark").lower()
    button.click()
    assert (brightness() > 600) == (scheme == "dark")
    assert button.get_attribute("aria-pressed") == str(scheme == "light").lower()


def test_links_lead_into_folded_settings(browser: Browser, pages: Pages) -> None:
    browser.open(pages["holes"])
    folded = browser.driver.find_elements("css selector", "details.group")
    assert [details.get_attribute("open") is not None for details in folded] == [True, False]
    last = browser.driver.find_elements("css selector", "#run1-overview tbody a")[-1]
    last.click()
    assert folded[-1].get_attribute("open") is not None
    target = last.get_attribute("href").partition("#")[2]
    assert (
        browser.run("return document.getElementById(arguments[0]).getBoundingClientRect().height", target)
        > 200
    )

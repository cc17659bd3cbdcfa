"""The chart, the layout, the theme, print and a page without scripts."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator

import pytest
from browser import Browser
from made_pages import MADE, Pages
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

RESULTS = "1-pascal-context-cpu-1t-b1-table"


@pytest.fixture
def full(browser: Browser, pages: Pages) -> Iterator[Browser]:
    """The page of one run of one setting."""
    browser.open(pages["full"])
    yield browser
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)


def press(browser: Browser, *keys: str) -> None:
    actions = ActionChains(browser.driver)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


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


def test_figures_and_pictures_are_drawn(full: Browser) -> None:
    browser = full
    script = """for (const details of document.querySelectorAll("details")) details.open = true;
        const seen = (element) => { const box = element.getBoundingClientRect(); return [box.width, box.height]; };
        const figures = [...document.querySelectorAll("figure svg[role=img]")].filter((svg) => !svg.closest(".still"));
        return [figures.map(seen), [...document.images].map((image) => [image.naturalWidth, image.offsetHeight]),
          figures.map((svg) => svg.querySelectorAll("path, use").length)]"""
    figures, images, marks = browser.run(script)
    assert len(figures) > 8
    assert all(width > 200 and height > 40 for width, height in figures)
    assert all(count > 5 for count in marks)
    assert images
    assert all(width > 40 and height > 40 for width, height in images)


def test_the_chart_can_be_reached_and_read_with_keys_alone(full: Browser) -> None:
    browser = full
    browser.driver.find_element("css selector", "#legend button:last-child").click()
    press(browser, Keys.TAB)
    first = browser.driver.switch_to.active_element
    assert first.get_attribute("class") == "mark read"
    box = browser.driver.find_element("css selector", ".readout")
    assert box.is_displayed()
    order = [first.get_attribute("aria-label")]
    for _ in range(3):
        press(browser, Keys.ARROW_RIGHT)
        order.append(browser.driver.switch_to.active_element.get_attribute("aria-label"))
    assert len(set(order)) == 4
    latency = [float(re.search(r"latency (\d+\.?\d*)", label)[1]) for label in order]  # type: ignore[index]  # it must match
    assert latency == sorted(latency)
    assert re.search(r"delta-m -?[\d.]+ \[-?[\d.]+, -?[\d.]+\] %", order[0])
    press(browser, Keys.HOME)
    assert browser.driver.switch_to.active_element.get_attribute("aria-label") == order[0]
    press(browser, Keys.ESCAPE)
    assert not box.is_displayed()


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


def test_marks_stand_where_their_values_are(full: Browser) -> None:
    browser = full
    script = """const data = JSON.parse(document.getElementById("cells").textContent);
        const [x, y] = data.axes.map((axis) => data.quantities[axis]);
        const at = (element) => element.getAttribute("transform").match(/-?[\\d.]+/g).map(Number);
        const ticks = [...document.querySelectorAll("#canvas .ticks text:not(.title)")];
        return [x.value, y.value, [...document.querySelectorAll("#canvas g.mark")].map(at),
          ticks.map((tick) => [tick.getAttribute("text-anchor"), Number(tick.textContent),
            Number(tick.getAttribute("x")), Number(tick.getAttribute("y")) - 4])]"""
    across, up, marks, ticks = browser.run(script)
    for values, place, anchor in ((across, 0, "middle"), (up, 1, "end")):
        (value_a, at_a), *_, (value_b, at_b) = [(t[1], t[2 + place]) for t in ticks if t[0] == anchor]
        slope = (at_b - at_a) / (value_b - value_a)
        expected = sorted(at_a + slope * (value - value_a) for value in values)
        assert sorted(mark[place] for mark in marks) == pytest.approx(expected, abs=0.02)


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(browser: Browser, pages: Pages, scheme: str) -> None:
    # Contrast of at least 4.5 to 1: WCAG 2.2, success criterion 1.4.3.
    browser.open(pages["full"], dark=scheme == "dark")
    script = """const shown = (words) => words.match(/[\\d.]+/g).map(Number);
        const ground = (element) => { for (; element; element = element.parentElement) {
          const found = shown(getComputedStyle(element).backgroundColor); if (found[3] !== 0) return found; } };
        const all = document.querySelectorAll("p, li, td, th, dt, dd, h1, h2, h3, h4, h5, a, summary, output, label");
        return [...all].filter((e) => e.offsetParent && e.textContent.trim())
          .map((e) => [shown(getComputedStyle(e).color), ground(e), e.localName])"""
    seen = {(tuple(ink[:3]), tuple(ground[:3]), name) for ink, ground, name in browser.run(script)}

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [
            c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    assert len(seen) > 8
    for ink, ground, name in seen:
        bright, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground, name)


def test_without_scripts_everything_is_there_and_no_dead_control(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"], scripts=False)
    shown = browser.driver.find_element("css selector", "main").text
    for words in ("Answer", "single_task", "Claims against reality", "mtlbench run", "RAPL cannot be read"):
        assert words in shown
    assert browser.driver.find_element("css selector", ".still svg").is_displayed()
    assert all(figure.is_displayed() for figure in browser.driver.find_elements("css selector", "figure"))
    assert not any(
        control.is_displayed()
        for control in browser.driver.find_elements("css selector", "button, input, select")
    )
    table = browser.driver.find_element("css selector", f"[id='{RESULTS}']")
    assert table.is_displayed()
    assert table.size["height"] > 300


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


def test_it_prints_to_pages_with_text_and_without_controls(full: Browser) -> None:
    browser = full
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 4 < pages < 60
    streams = (part for part in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.DOTALL))
    operators = b"".join(_inflated(stream) for stream in streams)
    assert len(re.findall(rb"T[jJ]", operators)) > 1000
    browser.emulate("print", dark=True)
    assert browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    controls = browser.driver.find_elements("css selector", ".tools, #theme, nav, .live")
    assert not any(control.is_displayed() for control in controls)
    assert browser.driver.find_element("css selector", ".still svg").is_displayed()


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return b""


def test_what_is_folded_is_printed(full: Browser) -> None:
    browser = full
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert not browser.driver.find_elements("css selector", "details:not([open])")
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.driver.find_elements("css selector", "details:not([open])")


def test_screenshots_are_not_blank(full: Browser) -> None:
    from PIL import Image

    browser = full
    for scheme in ("light", "dark"):
        for width in (390, 1280):
            browser.resize(width)
            browser.emulate(dark=scheme == "dark")
            with Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())) as image:
                colours = image.convert("RGB").getcolors(maxcolors=image.width * image.height)
            assert colours is not None
            assert len(colours) > 50

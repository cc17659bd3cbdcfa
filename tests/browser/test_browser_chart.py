"""The chart that scripts draw: as many marks as the run has cells, where they belong, saying what the run says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from made_pages import Pages
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from test_browser_tables import agrees

MARKS = """
return [...document.querySelectorAll("#canvas .mark")].map((mark) => ({
  label: mark.getAttribute("aria-label"), fill: mark.querySelector("path").getAttribute("fill"),
  at: mark.getAttribute("transform").match(/-?[\\d.]+/g).map(Number),
}));
"""
READOUT = """
const box = document.querySelector(".readout");
if (!box || box.hidden) return null;
const terms = [...box.querySelectorAll("dt")].map((term) => [term.textContent, term.nextElementSibling.textContent]);
return [box.querySelector("strong").textContent, Object.fromEntries(terms)];
"""
CHOOSE = """
const select = document.getElementById(arguments[0]);
const found = [...select.options].find((option) => option.textContent === arguments[1]);
found.selected = true;
select.dispatchEvent(new Event("input", { bubbles: true }));
"""
COLUMNS = {
    "latency": ("latency_ms", 1.0),
    "delta-m": ("delta_m", 1.0),
    "executed MACs": ("macs_executed", 1e-9),
    "peak memory": ("memory_peak_mib", 1.0),
    "realised share of the saving": ("realisation", 100.0),
    "semseg miou": ("metric.semseg.miou", 1.0),
}


def both(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """The cells that have both quantities."""
    return table[(table["status"] == "ok") & table[[COLUMNS[x][0], COLUMNS[y][0]]].notna().all(axis=1)]


def named(cell: Any) -> str:
    ratio = "" if pd.isna(cell["axis.keep_ratio"]) else f" at keep_ratio {cell['axis.keep_ratio']:g}"
    return f"{cell['variant']}{ratio}, seed {cell['seed']}"


def choose(browser: Browser, x: str, y: str) -> list[dict[str, Any]]:
    browser.run(CHOOSE, "axis-x", x)
    browser.run(CHOOSE, "axis-y", y)
    return list(browser.run(MARKS))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("latency", "delta-m"),
        ("executed MACs", "semseg miou"),
        ("peak memory", "latency"),
        ("latency", "realised share of the saving"),
    ],
)
def test_a_mark_for_each_cell_with_both_quantities_at_its_place(
    browser: Browser, pages: Pages, x: str, y: str
) -> None:
    browser.open(pages["full"])
    expected = both(pages.table("full"), x, y)
    marks = choose(browser, x, y)
    by_name = {mark["label"].partition(":")[0]: mark for mark in marks}
    assert len(marks) == len(expected) > 3
    assert set(by_name) == {named(cell) for _, cell in expected.iterrows()}
    for axis, title in enumerate((x, y)):
        # Pixels rise in a straight line with the run's own numbers, to the right and upwards.
        values = expected[COLUMNS[title][0]].to_numpy(float)
        places = np.array([by_name[named(cell)]["at"][axis] for _, cell in expected.iterrows()])
        slope, start = np.polyfit(values, places, 1)
        assert np.abs(slope * values + start - places).max() < 0.05
        assert (slope > 0) == (axis == 0)
    says = browser.run("return document.getElementById('chart-says').textContent")
    assert says.startswith(f"{len(expected)} cells shown.")
    lacking = len(both(pages.table("full"), "latency", "latency")) - len(expected)
    assert (f"{lacking} more have no" in says) == (lacking > 0)


def test_a_variant_has_its_one_colour_and_can_be_hidden(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    before = browser.run(MARKS)
    colours: dict[str, set[str]] = {}
    for mark in before:
        colours.setdefault(re.split(r"[ ,]", mark["label"])[0], set()).add(mark["fill"])
    assert all(len(fills) == 1 for fills in colours.values())
    assert len({fill for fills in colours.values() for fill in fills}) == len(colours) == 4
    buttons = browser.driver.find_elements("css selector", "#legend button")
    assert [button.text for button in buttons] == list(colours) or {b.text for b in buttons} == set(colours)
    first = next(button for button in buttons if button.text == "static_mtl")
    first.send_keys(Keys.SPACE)
    assert first.get_attribute("aria-pressed") == "false"
    assert len(browser.run(MARKS)) == len(before) - 2
    first.send_keys(Keys.SPACE)
    assert browser.run(MARKS) == before


def wrong_readout(browser: Browser, table: pd.DataFrame) -> list[str]:
    """Where the readout that is open says other than the run."""
    name, said = browser.run(READOUT)
    cell = next(cell for _, cell in table.iterrows() if named(cell) == name)
    wrong = []
    for title, words in said.items():
        column, factor = COLUMNS[title]
        value, *limits = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", words)
        pairs = [(value, column)]
        if "[" in words:
            pairs += [(limits[0], f"{column}.ci_low"), (limits[1], f"{column}.ci_high")]
        wrong += [f"{name}, {at}: {shown}" for shown, at in pairs if not agrees(shown, cell[at] * factor)]
    return wrong


def test_hovering_reads_the_values_of_the_run(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    table = pages.table("full")
    assert browser.run(READOUT) is None
    names = set()
    for element in browser.driver.find_elements("css selector", "#canvas .mark"):
        ActionChains(browser.driver, duration=0).move_to_element(element).perform()
        name, said = browser.run(READOUT)
        names.add(name)
        assert {"latency", "delta-m", "executed MACs", "peak memory"} == set(said)
        assert wrong_readout(browser, table) == []
    assert len(names) >= 10, "marks that lie on one another may hide one"
    ActionChains(browser.driver, duration=0).move_to_element(
        browser.driver.find_element("id", "explore")
    ).perform()
    assert browser.run(READOUT) is None


def test_keys_read_every_mark_from_left_to_right(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    table = both(pages.table("full"), "latency", "delta-m").sort_values("latency_ms")
    browser.run("document.querySelector('#canvas .mark').focus()")
    read = []
    for _ in range(len(table)):
        read.append(browser.run(READOUT)[0])
        assert wrong_readout(browser, table) == []
        browser.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert read == [named(cell) for _, cell in table.iterrows()]
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.run(READOUT) is None


def test_wrong_embedded_data_is_found(browser: Browser, pages: Pages) -> None:
    source = pages["full"].read_text(encoding="utf-8")
    changed = re.sub(
        r'("title":"latency","unit":"ms per call","better":-1,"value":\[)[\d.]+', r"\g<1>300", source
    )
    assert changed != source
    copy = pages["full"].with_name("wrong_data.html")
    copy.write_text(changed, encoding="utf-8")
    browser.open(copy)
    browser.run("document.querySelector('#canvas .mark[aria-label*=\": latency 300\"]').focus()")
    assert wrong_readout(browser, pages.table("full"))


def test_a_logarithmic_axis_keeps_the_order_and_bends_the_scale(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    table = both(pages.table("full"), "latency", "delta-m")
    browser.driver.find_element("id", "log-x").click()
    by_name = {mark["label"].partition(":")[0]: mark["at"][0] for mark in browser.run(MARKS)}
    places = np.array([by_name[named(cell)] for _, cell in table.iterrows()])
    logs = np.log(table["latency_ms"].to_numpy(float))
    slope, start = np.polyfit(logs, places, 1)
    assert np.abs(slope * logs + start - places).max() < 0.05
    # Delta-m has negative values, so a logarithm of it is not offered.
    assert not browser.driver.find_element("id", "log-y").is_enabled()


def test_one_cell_is_one_mark(browser: Browser, pages: Pages) -> None:
    browser.open(pages["one"])
    assert len(browser.run(MARKS)) == 1
    assert browser.complaints() == []


def test_settings_are_shown_apart(browser: Browser, pages: Pages) -> None:
    browser.open(pages["holes"])
    table = pages.table("holes")
    done = table[table["status"] == "ok"]
    assert len(browser.run(MARKS)) == len(done) // 2
    browser.run(CHOOSE, "setting", "all settings")
    assert len(browser.run(MARKS)) == len(done)

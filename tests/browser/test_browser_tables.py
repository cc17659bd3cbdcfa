"""Tables in the browser: sorted, filtered, and with the numbers of the run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Browser
from fake_run import PRIMARY
from made_pages import Pages
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

READ_TABLE = """
const table = document.querySelector(arguments[0]);
const own = (node) => [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE);
const words = (node) => own(node).map((child) => child.nodeValue).join("").trim();
return {
  heads: [...table.tHead.rows[0].cells].map((cell) => {
    const unit = cell.querySelector(".unit");
    return [words(cell.querySelector("button") || cell), unit ? unit.textContent : "", cell.getAttribute("aria-sort")];
  }),
  rows: [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => {
    const interval = cell.querySelector(".interval");
    return [words(cell), interval ? interval.textContent : ""];
  })),
  shown: [...table.tBodies[0].rows].map((row) => row.checkVisibility()),
};
"""
RESULTS = "table.results"
UNITS = {"GMACs": 1e-9, "MMACs": 1e-6, "kMACs": 1e-3, "% of saving": 100.0, "% time ↓": 100.0}
COLUMNS = {
    "delta-m": "delta_m",
    "latency": "latency_ms",
    "executed": "macs_executed",
    "nominal": "macs_nominal",
    "realised": "realisation",
    "memory": "memory_peak_mib",
    **{task: f"metric.{task}.{primary['metric']}" for task, primary in PRIMARY.items()},
}


def read(browser: Browser, table: str = RESULTS) -> dict[str, Any]:
    return dict(browser.run(READ_TABLE, table))


def column(shown: dict[str, Any], title: str) -> list[str]:
    place = [head[0] for head in shown["heads"]].index(title)
    return [row[place][0] for row in shown["rows"]]


def sort_of(shown: dict[str, Any], title: str) -> str | None:
    return next(sort for name, _, sort in shown["heads"] if name == title)


def head(browser: Browser, title: str) -> WebElement:
    buttons = browser.driver.find_elements(By.CSS_SELECTOR, f"{RESULTS} thead button")
    return next(button for button in buttons if button.text.split("\n")[0].strip(" ↑↓") == title)


def numbers(words: list[str]) -> tuple[list[float], int]:
    """The known numbers, and how many dashes follow them; a dash between numbers fails."""
    known = [word for word in words if word not in ("", "-")]
    assert all(word in ("", "-") for word in words[len(known) :]), words
    return [float(word) for word in known], len(words) - len(known)


def test_numbers_are_sorted_as_numbers_and_the_unknown_stay_last(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    table = pages.table("full")
    before = read(browser)
    latencies = sorted(table["latency_ms"].dropna())
    head(browser, "latency").click()
    up = read(browser)
    assert sort_of(up, "latency") == "ascending"
    rising, missing = numbers(column(up, "latency"))
    assert rising == pytest.approx(latencies, abs=0.51)
    # As words, "213" would come before "61.1".
    assert column(up, "latency") != sorted(column(before, "latency"))
    assert missing == int(table["latency_ms"].isna().sum()) > 0
    head(browser, "latency").click()
    down = read(browser)
    assert sort_of(down, "latency") == "descending"
    assert numbers(column(down, "latency")) == (rising[::-1], missing)
    head(browser, "latency").click()
    again = read(browser)
    assert again["rows"] == before["rows"]
    assert [sort for _, _, sort in again["heads"]] == [None] * len(again["heads"])


def test_keys_sort_as_clicks_do_and_one_column_at_a_time(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    head(browser, "delta-m").send_keys(Keys.ENTER)
    by_key = read(browser)
    falling, _ = numbers(column(by_key, "delta-m"))
    assert falling == sorted(falling)
    assert min(falling) < 0, "negative numbers are sorted as numbers too"
    head(browser, "delta-m").send_keys(Keys.SPACE)
    assert sort_of(read(browser), "delta-m") == "descending"
    head(browser, "variant").send_keys(Keys.SPACE)
    by_name = read(browser)
    assert [sort for _, _, sort in by_name["heads"] if sort] == ["ascending"]
    assert column(by_name, "variant") == sorted(column(by_name, "variant"))
    assert browser.run("return document.activeElement.closest('th').cellIndex") == 0


def test_filters_hide_rows_and_say_how_many_are_left(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    table = pages.table("full")
    tools = browser.driver.find_element(By.CSS_SELECTOR, ".tools[data-table]")
    search = tools.find_element(By.CSS_SELECTOR, "input[type=search]")
    says = tools.find_element(By.TAG_NAME, "output")
    # An output element is a live region by itself (role status, polite).
    assert says.aria_role == "status"

    def shown() -> list[str]:
        now = read(browser)
        return [name for name, seen in zip(column(now, "variant"), now["shown"], strict=True) if seen]

    assert says.text == f"{len(table)} rows"
    search.send_keys("AdaMTL ok")
    finished = int(((table["variant"] == "adamtl") & (table["status"] == "ok")).sum())
    assert shown() == ["adamtl"] * finished
    assert says.text == f"{finished} of {len(table)} rows"
    search.clear()
    search.send_keys("seed 1 keep_ratio: 0.50")  # options and values in any order, a number by its value
    assert shown() == ["adamtl", "computation_sharing"]
    search.clear()
    search.send_keys("no such words")
    assert shown() == []
    assert says.text == f"0 of {len(table)} rows"
    for _ in range(len("no such words")):
        search.send_keys(Keys.BACK_SPACE)
    assert len(shown()) == len(table)

    # Typing picks an option as a hand does; the driver's own way sends no input event.
    variant, status = (tools.find_element(By.CSS_SELECTOR, f".by-{kind}") for kind in ("variant", "status"))
    variant.send_keys("static")
    assert shown() == ["static_mtl"] * int((table["variant"] == "static_mtl").sum())
    variant.send_keys(Keys.HOME)
    status.send_keys("not finished")
    assert len(shown()) == int((table["status"] != "ok").sum()) == 2
    variant.send_keys("single")
    assert shown() == []


def wrong_numbers(shown: dict[str, Any], table: pd.DataFrame) -> list[str]:
    """Where the shown table and the run's differ by more than the rounding of the last shown digit."""
    titles = [title for title, _, _ in shown["heads"]]
    place = {title: titles.index(title) for title in COLUMNS}
    ratio = table["axis.keep_ratio"].map(lambda value: "" if pd.isna(value) else f"{value:g}")
    left = table.assign(name=table["variant"] + " " + ratio + " " + table["seed"].map(str)).to_dict("records")
    wrong = []
    for row in shown["rows"]:
        variant = re.sub(r" #\d+$", "", row[0][0])
        name = f"{variant} {row[titles.index('keep_ratio')][0]} {row[titles.index('seed')][0]}"
        match = next((cell for cell in left if cell["name"] == name), None)
        if match is None:
            wrong.append(f"{name}: no such cell")
            continue
        left.remove(match)
        for title, source in COLUMNS.items():
            words, interval = row[place[title]]
            factor = UNITS.get(shown["heads"][place[title]][1], 1.0)
            limits = [match.get(source + end, np.nan) for end in (".ci_low", ".ci_high")]
            said = [words, *interval.strip("[]").split(", ")] if interval else [words]
            real = [match.get(source, np.nan), *(limits if interval else [])]
            known = np.isfinite(match.get(source, np.nan))
            if known and np.isfinite(limits).all() and limits[0] != limits[1] and not interval:
                wrong.append(f"{name}, {title}: the interval is not shown")
            wrong += [
                f"{name}, {title}: {word} for {value * factor:g}"
                for word, value in zip(said, real, strict=True)
                if not agrees(word, value * factor)
            ]
    return wrong + [f"{cell['name']}: not shown" for cell in left]


def agrees(words: str, value: float) -> bool:
    """Whether a number is the value, rounded where the number ends; a dash stands for no value."""
    if words == "-":
        return not np.isfinite(value)
    last = 10.0 ** -len(words.partition(".")[2])
    return bool(abs(float(words) - value) <= 0.5 * last * (1 + 1e-9))


def test_numbers_in_the_page_are_those_of_the_run(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    shown = read(browser)
    assert wrong_numbers(shown, pages.table("full")) == []
    assert len(shown["rows"]) == len(pages.table("full"))


def test_digits_are_as_many_as_the_interval_supports(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    shown = read(browser)
    for row in shown["rows"]:
        for words, interval in row:
            if interval:
                low, high = map(float, interval.strip("[]").split(", "))
                last = 10.0 ** -len(words.partition(".")[2])
                assert low < high, "an interval is never rounded away"
                assert last <= (high - low) / 2 <= 100 * last or last == 1, (words, interval)


@pytest.mark.parametrize("change", ["value", "limit", "dash", "row"])
def test_a_wrong_number_in_the_page_is_found(browser: Browser, pages: Pages, change: str) -> None:
    source = pages["full"].read_text(encoding="utf-8")
    start, row, rest = re.split(
        r'(<tr data-variant="1">.*?</tr>)',
        source.partition('class="data results"')[2],
        maxsplit=1,
        flags=re.S,
    )
    head_part = source.partition('class="data results"')[0] + 'class="data results"'
    changed = {
        "value": lambda: re.sub(
            r"(<td>)(\d+\.)(\d)(<span)", lambda m: f"{m[1]}{m[2]}{(int(m[3]) + 1) % 10}{m[4]}", row, count=1
        ),
        "limit": lambda: re.sub(
            r"(interval\">\[-?\d+\.)(\d)", lambda m: f"{m[1]}{(int(m[2]) + 5) % 10}", row, count=1
        ),
        "dash": lambda: re.sub(r"<td>\d+\.\d+</td>", "<td>-</td>", row, count=1),
        "row": lambda: "",
    }[change]()
    assert changed != row
    copy = pages["full"].with_name("wrong.html")
    copy.write_text(head_part + start + changed + rest, encoding="utf-8")
    browser.open(copy)
    assert len(wrong_numbers(read(browser), pages.table("full"))) == 1


def test_the_table_of_all_columns_is_the_run_at_full_precision(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    shown = read(browser, "#run1-every")
    table = pages.table("full")
    names = [title for title, _, _ in shown["heads"]]
    filled = [name for name in table.columns if table[name].replace("", np.nan).notna().any()]
    assert names == filled
    for position, name in enumerate(names):
        for row, value in zip(shown["rows"], table[name], strict=True):
            words = row[position][0]
            if pd.isna(value) or value == "":
                assert words == ""
            elif isinstance(value, float | int):
                assert float(words) == pytest.approx(value, rel=1e-9)
            else:
                assert words == str(value)


def test_cells_that_did_not_finish_say_why(browser: Browser, pages: Pages, tmp_path: Path) -> None:
    browser.open(pages["holes"])
    main = browser.run("return document.querySelector('main').textContent")
    table = pages.table("holes")
    assert {"failed", "unsupported", "skipped", "missing"} <= set(table["status"])
    for status, reason in table.loc[table["status"] != "ok", ["status", "reason"]].itertuples(index=False):
        assert reason in main
        assert re.search(rf"\b\d+ {status}\b", main), f"the page counts {status} cells"
    rows = browser.run(
        "return [...document.querySelectorAll('tr.left')]"
        ".map(row => [row.cells[3].textContent, row.querySelector('sup a').hash])"
    )
    assert len(rows) == int((table["status"] != "ok").sum())
    for words, link in rows:
        note = browser.run("return document.getElementById(arguments[0].slice(1)).textContent", link)
        status = re.match(r"[a-z]+", words)
        assert status
        assert note.rstrip(".") in set(table.loc[table["status"] == status[0], "reason"])

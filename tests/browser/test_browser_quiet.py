"""Nothing goes wrong unseen: the console is empty, nothing is fetched, names execute nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser
from fake_run import HOSTILE
from made_pages import MADE, Pages
from selenium.common.exceptions import NoAlertPresentException, UnexpectedAlertPresentException

FAULTS = {
    "script error": "<script>undefinedName.call();</script>",
    "outside image": '<img alt="" src="https://example.invalid/a.png">',
    "outside style": '<link rel="stylesheet" href="https://example.invalid/a.css">',
    "request by script": '<script>fetch("https://example.invalid/").catch(() => 0);</script>',
    "neighbouring file": '<img alt="" src="figures/explore.png">',
}


def planted(page: Path, fault: str, *, policy: bool) -> Path:
    """A copy of a page with a fault before its end; without the policy nothing stops it."""
    source = page.read_text(encoding="utf-8")
    changed = source.replace("</body>", f"{fault}\n</body>")
    assert changed != source
    if not policy:
        before, after = changed.split('<meta http-equiv="Content-Security-Policy"')
        changed = before + after.partition(">")[2]
    copy = page.with_name("planted.html")
    copy.write_text(changed, encoding="utf-8")
    return copy


@pytest.mark.parametrize("name", MADE)
def test_the_console_is_empty_and_nothing_is_fetched(browser: Browser, pages: Pages, name: str) -> None:
    browser.open(pages[name])
    browser.use_everything()
    assert browser.complaints() == []
    assert browser.outside_requests() == []


@pytest.mark.parametrize("fault", FAULTS)
def test_the_policy_stops_what_is_planted_and_the_console_names_it(
    browser: Browser, pages: Pages, fault: str
) -> None:
    browser.open(planted(pages["one"], FAULTS[fault], policy=True))
    assert any("Content Security Policy" in line for line in browser.complaints())


@pytest.mark.parametrize("fault", FAULTS)
def test_without_the_policy_each_fault_is_seen(browser: Browser, pages: Pages, fault: str) -> None:
    browser.open(planted(pages["one"], FAULTS[fault], policy=False))
    if fault == "script error":
        assert any("undefinedName" in line for line in browser.complaints())
    else:
        assert len(browser.outside_requests()) == 1


def test_the_policy_is_there_and_forbids_by_default(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    policy = browser.run(
        "return document.head.querySelector('meta[http-equiv=\"Content-Security-Policy\"]').content"
    )
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";") if rule.strip()}
    assert rules["default-src"] == ["'none'"]
    assert all(source.startswith("'sha256-") for source in rules["script-src"])
    assert rules["img-src"] == ["data:"]


def test_hostile_names_are_text_and_run_nothing(browser: Browser, pages: Pages) -> None:
    browser.open(pages["hostile"])
    browser.use_everything()
    with pytest.raises(NoAlertPresentException):
        browser.driver.switch_to.alert  # noqa: B018  # asking for it is what raises
    heads = browser.run(
        "return [...document.querySelectorAll('table.results tbody th')].map(th => th.textContent)"
    )
    assert sum(HOSTILE in head for head in heads) >= 2
    assert browser.run("return document.querySelector('h1').textContent") == HOSTILE
    legend = browser.run(
        "return [...document.querySelectorAll('#legend button')].map(button => button.textContent)"
    )
    assert HOSTILE in legend
    assert r"$\frac{a}{$ _b|`c`*" in legend
    # Two scripts are the page's own; nothing of a name became an element or a handler.
    assert browser.run("return document.scripts.length") == 2
    assert browser.run("return document.querySelectorAll('body b, body i, textarea, iframe').length") == 0
    attributes = browser.run(
        "return [...document.querySelectorAll('*')].flatMap(element => element.getAttributeNames())"
    )
    assert not {name for name in attributes if name.startswith("on")}
    assert browser.complaints() == []


def test_an_alert_would_be_seen(browser: Browser, pages: Pages) -> None:
    page = planted(pages["one"], "<script>alert(1)</script>", policy=False)
    with pytest.raises(UnexpectedAlertPresentException):
        browser.open(page)

"""The page for keyboards, screen readers and weak eyes, as the browser itself computes it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from browser import Browser
from made_pages import MADE, Pages
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

LEAST_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3, for text of any size
LEAST_CONTRAST_OF_MARKS = 3.0  # 1.4.11, for what shows the focus

STRUCTURE = """
const all = (selector) => [...document.querySelectorAll(selector)];
const named = (element) => (element.getAttribute("aria-labelledby") || "").split(" ").filter(Boolean)
  .map((id) => document.getElementById(id)?.textContent ?? "").join(" ") || element.getAttribute("aria-label") || "";
const short = (element) => element.outerHTML.slice(0, 120);
const ids = all("[id]").map((element) => element.id);
const wanted = [
  ...all("a[href^='#']").map((link) => decodeURIComponent(link.hash.slice(1))),
  ...all("use").map((use) => use.getAttribute("href").slice(1)),
  ...["aria-labelledby", "aria-describedby", "aria-controls", "for"].flatMap((name) =>
    all(`[${name}]`).flatMap((element) => element.getAttribute(name).split(" "))),
];
return {
  levels: all("h1,h2,h3,h4,h5,h6").map((heading) => Number(heading.localName[1])),
  silent_headings: all("h1,h2,h3,h4,h5,h6").filter((heading) => !heading.textContent.trim()).map(short),
  landmarks: Object.fromEntries(["header", "nav", "main", "footer"].map((name) => [name, all(name).length])),
  unnamed_navs: all("nav").filter((nav) => !named(nav)).map(short),
  pictures_without_words: all("img").filter((image) => !image.alt.trim()).map(short),
  svgs_without_words: all("svg").filter((svg) => svg.getAttribute("aria-hidden") !== "true" &&
    !(["img", "group"].includes(svg.getAttribute("role")) && named(svg))).map(short),
  drawn: all("figure svg").filter((svg) => svg.getAttribute("role") === "img").length,
  figures: all("figure .plot").length,
  unlabelled: all("input,select,textarea").filter((control) => control.labels.length !== 1 ||
    !control.labels[0].textContent.trim()).map(short),
  silent_buttons: all("button").filter((button) => !button.textContent.trim() && !named(button)).map(short),
  heads_without_scope: all("th:not([scope])").map(short),
  tables_without_caption: all("table.data").filter((table) => !table.caption?.textContent.trim()).map(short),
  regions_without_name: all("[tabindex='0']:not(.mark):not(pre)").filter((element) => !named(element)).map(short),
  twice: ids.filter((id, place) => ids.indexOf(id) !== place),
  nowhere: wanted.filter((id) => !ids.includes(id)),
};
"""
LISTED = (
    "silent_headings",
    "unnamed_navs",
    "pictures_without_words",
    "svgs_without_words",
    "unlabelled",
    "silent_buttons",
    "heads_without_scope",
    "tables_without_caption",
    "regions_without_name",
    "twice",
    "nowhere",
)


def defects(browser: Browser) -> list[str]:
    """What is wrong with the structure of the open page."""
    seen: dict[str, Any] = browser.run(STRUCTURE)
    levels = seen["levels"]
    found = [f"{name}: {entry}" for name in LISTED for entry in seen[name]]
    found += [f"heading {after} after {before}" for before, after in pairwise(levels) if after > before + 1]
    if levels.count(1) != 1 or levels[0] != 1:
        found.append(f"{levels.count(1)} headings of level 1")
    found += [f"no {name}" for name, count in seen["landmarks"].items() if not count]
    if seen["landmarks"]["main"] != 1:
        found.append("more than one main")
    if seen["drawn"] != seen["figures"]:
        found.append("a figure without a drawing")
    return found


@pytest.mark.parametrize("name", MADE)
def test_headings_landmarks_names_and_ids(browser: Browser, pages: Pages, name: str) -> None:
    browser.open(pages[name])
    assert defects(browser) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<h4", "<h6"),
        ('<main id="main"', '<div id="main"'),
        ('aria-label="Parts of this page"', ""),
        ('<label>Across <select id="axis-x"></select></label>', 'Across <select id="axis-x"></select>'),
        ('id="run1-trust"', 'id="explore"'),
        ('href="#run1-trust"', 'href="#elsewhere"'),
        ('role="img"', ""),
        ('scope="col"', ""),
    ],
)
def test_a_planted_defect_is_found(browser: Browser, pages: Pages, old: str, new: str) -> None:
    source = pages["one"].read_text(encoding="utf-8")
    assert old in source
    copy = pages["one"].with_name("defect.html")
    copy.write_text(source.replace(old, new, 1), encoding="utf-8")
    browser.open(copy)
    assert defects(browser)


CONTROLS = """
window.stops = [];
const all = [...document.querySelectorAll("*")];
document.addEventListener("focusin", ({ target }) => {
  const style = getComputedStyle(target);
  const box = target.getBoundingClientRect();
  stops.push({
    place: all.indexOf(target), what: target.outerHTML.slice(0, 100), mark: target.matches(".canvas .mark"),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth), colour: style.outlineColor,
    readout: !document.querySelector(".readout")?.hidden,
    inside: box.bottom > 0 && box.top < innerHeight,
  });
});
const reachable = "a[href],button,input,select,textarea,summary,[tabindex]";
return all.flatMap((element, place) => element.matches(reachable) && element.tabIndex >= 0 && !element.disabled
  && element.checkVisibility({ visibilityProperty: true }) ? [place] : []);
"""


@pytest.mark.parametrize("name", ["full", "two"])
def test_tab_reaches_every_control_in_order_and_shows_where_it_is(
    browser: Browser, pages: Pages, name: str
) -> None:
    browser.open(pages[name])
    # The filters and the chart are scripts; their controls are already in their places.
    expected = browser.run(CONTROLS)
    assert len(expected) > 40
    press(browser, Keys.TAB, len(expected))
    stops = browser.run("return window.stops")
    assert [stop["place"] for stop in stops] == expected
    page = browser.run("return getComputedStyle(document.body).backgroundColor")
    for stop in stops:
        assert stop["inside"], f"focus is out of sight: {stop['what']}"
        if stop["mark"]:  # a mark of the chart grows and opens its values
            assert stop["readout"]
            continue
        assert stop["outline"] >= 2, stop["what"]
        assert contrast(stop["colour"], [page]) >= LEAST_CONTRAST_OF_MARKS


def test_the_skip_link_is_first_and_leads_past_the_navigation(browser: Browser, pages: Pages) -> None:
    browser.open(pages["full"])
    press(browser, Keys.TAB, 1)
    link = browser.driver.switch_to.active_element
    assert link.is_displayed()
    assert link.location["x"] >= 0
    link.send_keys(Keys.ENTER)
    press(browser, Keys.TAB, 1)
    assert browser.run("return document.querySelector('main').contains(document.activeElement)")


def press(browser: Browser, key: str, times: int) -> None:
    actions = ActionChains(browser.driver)
    for _ in range(times):
        actions.send_keys(key)
    actions.perform()


WORDS = """
for (const details of document.querySelectorAll("details")) details.open = true;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const seen = {};
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.nodeValue.trim() || element.closest("script,style,.plot svg,option,[disabled]")) continue;
  if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
  const style = getComputedStyle(element);
  const grounds = [];
  for (let over = element; over; over = over.parentElement) grounds.push(getComputedStyle(over).backgroundColor);
  const ink = element.closest("svg") ? style.fill : style.color;
  const key = [ink, ...new Set(grounds)].join("|");
  const what = `${element.localName}.${element.className.baseVal ?? element.className}`;
  seen[key] ??= { ink, grounds, what, words: walker.currentNode.nodeValue.trim().slice(0, 40) };
}
return Object.values(seen);
"""
FIGURE_WORDS = """
return [...new Set([...document.querySelectorAll(".plot svg text")].filter((text) => text.textContent.trim())
  .map((text) => getComputedStyle(text).fill))];
"""


def channels(colour: str) -> tuple[float, ...]:
    """Red, green, blue and opacity of `rgb(...)` or `rgba(...)`."""
    numbers = [float(number) for number in colour.partition("(")[2].rstrip(")").split(",")]
    return (*numbers[:3], numbers[3] if len(numbers) == 4 else 1.0)


def contrast(ink: str, grounds: list[str]) -> float:
    """WCAG's contrast ratio of a colour on its grounds, the nearest first, each laid over those behind it."""
    ground: tuple[float, ...] = (255.0, 255.0, 255.0)
    for layer in reversed(grounds):
        ground = _over(channels(layer), ground)
    light, dark = sorted((_luminance(_over(channels(ink), ground)), _luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _over(top: tuple[float, ...], ground: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(top[3] * ours + (1 - top[3]) * theirs for ours, theirs in zip(top[:3], ground, strict=True))


def _luminance(colour: tuple[float, ...]) -> float:
    shares = (value / 255 for value in colour)
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("ink", "grounds", "expected"),
    [
        ("rgb(0, 0, 0)", ["rgb(255, 255, 255)"], 21.0),
        ("rgb(119, 119, 119)", ["rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"], 4.48),  # the known near miss
        ("rgb(255, 255, 255)", ["rgba(0, 0, 0, 0.5)", "rgb(255, 255, 255)"], 3.98),
        ("rgba(0, 0, 0, 0.5)", ["rgb(255, 255, 255)"], 3.98),
    ],
)
def test_contrast_is_that_of_the_standard(ink: str, grounds: list[str], expected: float) -> None:
    assert contrast(ink, grounds) == pytest.approx(expected, abs=0.01)


def faint(browser: Browser) -> list[str]:
    """Words of the open page that stand out too little, all unfolded."""
    seen = browser.run(WORDS)
    assert len(seen) > 4
    return [
        f"{entry['what']} {entry['words']!r}: {ratio:.2f}"
        for entry in seen
        if (ratio := contrast(entry["ink"], entry["grounds"])) < LEAST_CONTRAST
    ]


@pytest.mark.parametrize("name", ["full", "holes", "two"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_words_stand_out_from_their_ground(browser: Browser, pages: Pages, name: str, dark: bool) -> None:
    browser.open(pages[name], dark=dark)
    assert faint(browser) == []
    page = browser.run("return getComputedStyle(document.body).backgroundColor")
    inks = browser.run(FIGURE_WORDS)
    assert inks
    assert [ink for ink in inks if contrast(ink, [page]) < LEAST_CONTRAST] == []


def test_faint_words_are_found(browser: Browser, pages: Pages) -> None:
    source = pages["one"].read_text(encoding="utf-8")
    copy = pages["one"].with_name("faint.html")
    copy.write_text(
        source.replace("</head>", "<style>:root { --muted: #8b949d; }</style></head>"), encoding="utf-8"
    )
    browser.open(copy)
    assert faint(browser)

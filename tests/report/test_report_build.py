from __future__ import annotations

import base64
import hashlib
import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_inputs import keep, made_inputs
from fake_run import HOSTILE, PRIMARY, fake_view, full_table, hostile, random_weights
from PIL import Image

from mtlbench.errors import UsageError
from mtlbench.report import ReportFiles, RunView, build

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would see: elements, their attributes, text, and whether tags are balanced."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(files: ReportFiles) -> Page:
    page = Page(files.index.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def page_of(view: RunView, out: Path) -> Page:
    return read(build([view], out, formats=()))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    folder = tmp_path_factory.mktemp("run")
    table = full_table()
    keep(folder, table)
    return fake_view(folder, table, inputs=made_inputs(table[table["status"] == "ok"]))


@pytest.fixture(scope="module")
def built(full: RunView, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return build([full], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(built: ReportFiles) -> Page:
    return read(built)


def test_the_page_is_self_contained(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "image", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert "://" not in (value or ""), (tag, name, value)
            if name in {"src", "href", "xlink:href"}:
                assert (value or "").startswith(("#", "data:image/webp;base64,"))
    assert "@import" not in "".join(page.text)


def test_only_the_pages_own_script_may_run(built: ReportFiles, page: Page) -> None:
    assert [script.get("type") for script in page.of("script")] == ["application/json", None]
    source = built.index.read_text(encoding="utf-8")
    code = source.rpartition("<script>")[2].partition("</script>")[0]
    policy = next(str(meta["content"]) for meta in page.of("meta") if "http-equiv" in meta)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    for word in ("eval(", "Function(", "innerHTML", "insertAdjacentHTML", "document.write", "fetch("):
        assert word not in code


def test_the_page_is_navigable(page: Page) -> None:
    names = [tag for tag, _ in page.elements]
    assert {"header", "main", "nav", "footer", "article"} <= set(names)
    assert names.count("h1") == names.count("main") == 1
    text = "".join(page.text)
    for heading in (
        "Answer",
        "Explore",
        "Results",
        "Claims against reality",
        "Trade-offs",
        "Tasks",
        "Inputs",
    ):
        assert heading in text
    for heading in ("Where it goes", "All columns", "Trust", "Warnings", "Noise", "Seeds", "Hashes", "Rerun"):
        assert heading in text
    levels = [int(name[1]) for name in names if name in {"h1", "h2", "h3", "h4", "h5", "h6"}]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = [value[1:] for link in page.of("a") if (value := link["href"]) is not None]
    wanted += [part for _, a in page.elements for part in str(a.get("aria-labelledby") or "").split()]
    wanted += [str(a["aria-controls"]) for _, a in page.elements if "aria-controls" in a]
    assert set(wanted) <= set(ids)
    assert all("scope" in head for head in page.of("th"))


def test_every_figure_has_a_text_alternative(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    drawn = [svg for svg in page.of("svg") if svg.get("role") == "img"]
    assert len(drawn) == len(page.of("figure")) > 8
    for svg in drawn:
        assert set(str(svg["aria-labelledby"]).split()) <= ids
    assert all(svg.get("aria-hidden") == "true" for svg in page.of("svg") if svg not in drawn)
    assert page.of("img")
    assert all(image["alt"] for image in page.of("img"))
    assert "".join(page.text).count("The figure in words") == len(drawn)


def test_ids_inside_figures_point_into_the_same_figure(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    used = [str(use["href"])[1:] for use in page.of("use")]
    assert {name.startswith("mark-") for name in used} == {True, False}
    clips = [
        value[5:-1]
        for _, attributes in page.elements
        if (value := attributes.get("clip-path") or "").startswith("url(")
    ]
    assert used
    assert clips
    assert set(used) | set(clips) <= ids


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    table = hostile(full_table(seeds=1))
    table["encoder"] = "{{7*7}} \u202efdp.exe\u2066 \n</script><script>alert(2)</script>"
    table["hardware"] = "</title></textarea>" + "y" * 10_000
    table["warnings"] = "<i>w</i>;{{7*7}}"
    table.loc[table["status"] == "failed", "reason"] = "</td>" + "R" * 10_000
    keep(tmp_path / "run", table[table["status"] == "ok"])
    run = {"suite": HOSTILE, "run_id": "'\"><b>", "primary": PRIMARY}
    view = fake_view(tmp_path / "run", table, run=run, environment={"<k>": "</dd><script>alert(4)</script>"})
    page = read(build([view], tmp_path / "out", formats=(".svg",)))
    shown = "".join(page.text)
    assert HOSTILE in shown
    assert "{{7*7}}" in shown
    assert len(page.of("script")) == 2
    assert not page.of("b")
    assert not page.of("i")
    assert not any("onerror" in attributes for _, attributes in page.elements)
    source = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert not set("\x1b\x00\u202e\u2066") & set(source)
    assert "y" * 500 not in source
    assert "R" * 500 not in source
    figure = (tmp_path / "out" / "figures" / "explore.svg").read_text(encoding="utf-8")
    assert "<script" not in figure


def test_data_for_the_chart_cannot_leave_its_element(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    names = ["</script>", "<!--<script>", "\u2028\u2029", "\ud800&amp;"]
    table["variant"] = table["variant"].replace(dict(zip(["static_mtl", "adamtl"], names, strict=False)))
    page = page_of(fake_view(tmp_path, table), tmp_path / "out")
    source = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    data = json.loads(source.partition('id="cells">')[2].partition("</script>")[0])
    assert {name for name, *_ in data["variants"]} >= set(names[:2])
    assert len(page.of("script")) == 2


def test_csv_round_trip(full: RunView, built: ReportFiles) -> None:
    back = pd.read_csv(built.csv)
    pd.testing.assert_frame_equal(
        back, full.table.replace("", np.nan), check_dtype=False, check_exact=False, rtol=1e-12
    )


def test_files_are_what_is_said(built: ReportFiles) -> None:
    assert built.markdown.read_text(encoding="utf-8").startswith("## pascal-small")
    assert len(built.figures) > 8
    for figure in built.figures:
        with Image.open(figure) as image:
            assert min(image.size) > 150
        assert figure.with_suffix(".svg").read_bytes().startswith(b"<?xml")
        assert figure.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    assert len(list(built.figures[0].parent.iterdir())) == 3 * len(built.figures)


def test_a_second_build_is_equal_and_leaves_no_old_figure(tmp_path: Path) -> None:
    view = fake_view(tmp_path / "run", full_table(seeds=1))
    once = build([view], tmp_path / "once")
    (tmp_path / "again" / "figures").mkdir(parents=True)
    (tmp_path / "again" / "figures" / "stale.png").write_bytes(b"")
    again = build([view], tmp_path / "again")
    assert again.index.read_bytes() == once.index.read_bytes()
    assert sorted((tmp_path / "again" / "figures").glob("*.png")) == sorted(again.figures)
    for old, new in zip(once.figures, again.figures, strict=True):
        assert old.read_bytes() == new.read_bytes()
        for suffix in (".svg", ".pdf"):
            assert old.with_suffix(suffix).read_bytes() == new.with_suffix(suffix).read_bytes()


def test_runs_are_shown_apart(tmp_path: Path) -> None:
    first = fake_view(tmp_path / "a", full_table(seeds=1).iloc[:3])
    second = fake_view(tmp_path / "b", full_table(seeds=1).iloc[:2].assign(extra=1), run={"run_id": "second"})
    files = build([first, second], tmp_path / "out", formats=(".svg",))
    page = read(files)
    assert len(page.of("article")) == 2
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    drawn = [svg for svg in page.of("svg") if svg.get("role") == "img"]
    assert len(files.figures) == len(set(files.figures)) == len(drawn)
    back = pd.read_csv(files.csv)
    assert list(back["extra"].fillna(0)) == [0, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "kind", ["one", "none_ok", "all_nan", "bare", "empty", "untrained", "no_delta", "no_latency"]
)
def test_every_hole_leaves_a_page_with_sentences(tmp_path: Path, kind: str) -> None:
    table = full_table(seeds=1)
    measured = table.select_dtypes("number").columns
    tables = {
        "one": table.iloc[:1],
        "none_ok": table[table["status"] != "ok"],
        "all_nan": table.assign(**dict.fromkeys(measured, np.nan)),
        "bare": table[["variant"]],
        "empty": pd.DataFrame(),
        "untrained": random_weights(table),
        "no_delta": table.drop(columns=[name for name in table if name.startswith("delta_m")]),
        "no_latency": table.drop(columns=[name for name in table if name.startswith("latency")]),
    }
    view = RunView(tmp_path, {"primary": PRIMARY}, tables[kind])
    page = page_of(view, tmp_path / "out")
    expected = {
        "one": "nothing to compare it with",
        "none_ok": "none of the 2 cells finished",
        "all_nan": "no cost was measured",
        "bare": "no cost was measured",
        "empty": "the run has no cells",
        "untrained": "only costs can be compared",
        "no_delta": "no delta-m",
        "no_latency": "cheapest of 6 ways",
    }
    text = "".join(page.text)
    assert expected[kind] in text
    assert "nan" not in text.partition('"use strict"')[0].lower().split()


def test_without_formats_no_figure_is_a_file_and_the_page_names_none(tmp_path: Path) -> None:
    files = build([fake_view(tmp_path / "run", full_table(seeds=1).iloc[:2])], tmp_path / "out", formats=())
    assert files.figures == ()
    assert list((tmp_path / "out" / "figures").iterdir()) == []
    assert "figures/" not in files.index.read_text(encoding="utf-8")


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to report"):
        build([], tmp_path)

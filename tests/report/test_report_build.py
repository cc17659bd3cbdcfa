from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import HOSTILE, PRIMARY, add_pictures, fake_view, full_table, hostile, random_weights
from PIL import Image

from mtlbench.errors import UsageError
from mtlbench.report import ReportFiles, RunView, build

VOID = {"meta", "img", "br", "link", "input", "hr"}


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
    return read(build([view], out))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    folder = tmp_path_factory.mktemp("run")
    table = full_table()
    add_pictures(folder, table)
    return fake_view(folder, table)


@pytest.fixture(scope="module")
def built(full: RunView, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return build([full], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(built: ReportFiles) -> Page:
    return read(built)


def test_the_page_is_self_contained(page: Page) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "embed", "image", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert "://" not in (value or ""), (tag, name, value)
            if name in {"src", "href", "xlink:href"}:
                assert (value or "").startswith(("#", "data:image/png;base64,"))
    assert "@import" not in "".join(page.text)
    assert "default-src 'none'" in str(page.of("meta"))


def test_the_page_is_navigable(page: Page) -> None:
    names = [tag for tag, _ in page.elements]
    assert {"header", "main", "nav", "footer", "article"} <= set(names)
    assert names.count("h1") == 1
    text = "".join(page.text)
    for heading in ("Answer", "Results", "Figures", "Predictions", "Environment", "Warnings", "Rerun"):
        assert heading in text
    levels = [int(name[1]) for name in names if name in {"h1", "h2", "h3", "h4", "h5"}]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [str(attributes["id"]) for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = [value[1:] for link in page.of("a") if (value := link["href"]) is not None]
    assert set(wanted) <= set(ids)
    assert all("scope" in head for head in page.of("th"))


def test_every_figure_has_a_text_alternative(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    drawn = page.of("svg")
    assert len(drawn) == len(page.of("figure")) == 4
    for svg in drawn:
        assert svg["role"] == "img"
        assert set(str(svg["aria-labelledby"]).split()) <= ids
    assert all(image["alt"] for image in page.of("img"))
    assert len(page.of("img")) == 2 * (1 + len(PRIMARY) * (1 + 6))


def test_ids_inside_figures_point_into_the_same_figure(page: Page) -> None:
    ids = {attributes.get("id") for _, attributes in page.elements}
    used = [str(use["href"])[1:] for use in page.of("use")]
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
    add_pictures(tmp_path / "run", table, samples=1)
    view = fake_view(tmp_path / "run", table, run={"suite": HOSTILE, "run_id": "'\"><b>", "primary": PRIMARY})
    page = page_of(view, tmp_path / "out")
    assert HOSTILE in "".join(page.text)
    assert not page.of("script")
    assert not page.of("b")
    assert not any("onerror" in attributes for _, attributes in page.elements)
    source = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "\x1b" not in source
    assert "\x00" not in source


def test_csv_round_trip(full: RunView, built: ReportFiles) -> None:
    back = pd.read_csv(built.csv)
    pd.testing.assert_frame_equal(
        back, full.table.replace("", np.nan), check_dtype=False, check_exact=False, rtol=1e-12
    )


def test_files_are_what_is_said(built: ReportFiles) -> None:
    assert built.markdown.read_text(encoding="utf-8").startswith("## pascal-small")
    assert len(built.figures) == 6
    for figure in built.figures:
        with Image.open(figure) as image:
            assert min(image.size) > 200
        assert figure.with_suffix(".svg").is_file()


def test_a_second_build_is_equal_and_leaves_no_old_figure(
    full: RunView, built: ReportFiles, tmp_path: Path
) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "stale.png").write_bytes(b"")
    again = build([full], tmp_path)
    assert again.index.read_bytes() == built.index.read_bytes()
    assert sorted((tmp_path / "figures").glob("*.png")) == sorted(again.figures)
    for old, new in zip(built.figures, again.figures, strict=True):
        assert old.read_bytes() == new.read_bytes()
        assert old.with_suffix(".svg").read_bytes() == new.with_suffix(".svg").read_bytes()


def test_runs_are_shown_apart(tmp_path: Path) -> None:
    first = fake_view(tmp_path / "a", full_table(seeds=1).iloc[:3])
    second = fake_view(tmp_path / "b", full_table(seeds=1).iloc[:2].assign(extra=1), run={"run_id": "second"})
    files = build([first, second], tmp_path / "out")
    page = read(files)
    assert len(page.of("article")) == 2
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(files.figures) == len(set(files.figures)) == len(page.of("svg"))
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
    assert "nan" not in text.replace("nance", "").split("Environment")[0].lower().split()


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    add_pictures(tmp_path, table, samples=1)
    (tmp_path / "samples" / "static_mtl-None-0.pictures.npz").write_bytes(b"not an archive")
    text = "".join(page_of(fake_view(tmp_path, table), tmp_path / "out").text)
    assert "The pictures of static_mtl cannot be read" in text


def test_pictures_keep_their_pixels(tmp_path: Path) -> None:
    table = full_table(tasks=("semseg",), seeds=1).iloc[:1]
    add_pictures(tmp_path, table, tasks=("semseg",), samples=1)
    page = page_of(fake_view(tmp_path, table), tmp_path / "out")
    archive = np.load(tmp_path / "samples" / f"{table['cell_id'].iloc[0]}.pictures.npz")
    shown = {
        str(image["alt"]).split(" of ")[0]: np.asarray(
            Image.open(io.BytesIO(base64.b64decode(str(image["src"]).split(",")[1])))
        )
        for image in page.of("img")
    }
    np.testing.assert_array_equal(shown["Input image"], archive["image.0"])
    np.testing.assert_array_equal(shown["Label"], archive["label.semseg.0"])
    np.testing.assert_array_equal(shown["Prediction"], archive["prediction.semseg.0"])


def test_a_cell_id_cannot_leave_the_samples_folder(tmp_path: Path) -> None:
    table = full_table(seeds=1).iloc[:1]
    add_pictures(tmp_path / "elsewhere", table, samples=1)
    moved = table.assign(cell_id=f"../elsewhere/samples/{table['cell_id'].iloc[0]}")
    (tmp_path / "samples").mkdir()
    assert not page_of(fake_view(tmp_path, moved), tmp_path / "out").of("img")


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to report"):
        build([], tmp_path)

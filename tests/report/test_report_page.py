from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_inputs import keep, made_inputs
from fake_run import PRIMARY, fake_view, full_table
from fake_sweep import sweep

from mtlbench.report import build
from mtlbench.report.frame import RunView


class Tables(HTMLParser):
    """The tables of a page by id: heads and rows of plain text, with notes and intervals kept apart."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[tuple[str, str]]]] = {}
        self._rows: list[list[tuple[str, str]]] | None = None
        self._into = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and given.get("id"):
            self._rows = self.found.setdefault(str(given["id"]), [])
        elif self._rows is not None and tag == "tr":
            self._rows.append([])
        elif self._rows is not None and tag in {"th", "td"}:
            self._rows[-1].append(("", ""))
            self._into = "value"
        elif tag == "span" and given.get("class") == "interval":
            self._into = "interval"
        elif tag == "sup" or (tag == "span" and given.get("class") == "unit"):
            self._into = "other"

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows = None
        elif tag in {"th", "td"}:
            self._into = ""
        elif tag in {"sup", "span"} and self._into:
            self._into = "value"

    def handle_data(self, data: str) -> None:
        if self._rows and self._rows[-1] and self._into in {"value", "interval"}:
            value, interval = self._rows[-1][-1]
            self._rows[-1][-1] = (
                (value + data.strip(), interval)
                if self._into == "value"
                else (value, interval + data.strip())
            )


def page_source(view: RunView, out: Path) -> str:
    return build([view], out, formats=()).index.read_text(encoding="utf-8")


def chart(source: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(source.partition('id="cells">')[2].partition("</script>")[0])
    return found


def half_unit(written: str) -> float:
    return 0.5 * 10.0 ** -len(written.partition(".")[2]) * (1 + 1e-9)


def test_numbers_in_the_page_are_those_of_the_table(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    source = page_source(fake_view(tmp_path / "run", table), tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "table.csv")
    heads, *rows = Tables(source).found["1-pascal-context-cpu-1t-b1-table"]
    titles = [title for title, _ in heads]
    columns = {
        "delta-m": ("delta_m", 1.0),
        "latency": ("latency_ms", 1.0),
        "executed": ("macs_executed", 1e-9),
    }
    columns |= {
        "nominal": ("macs_nominal", 1e-9),
        "realised": ("realisation", 100.0),
        "memory": ("memory_peak_mib", 1.0),
    }
    columns |= {task: (f"metric.{task}.{primary['metric']}", 1.0) for task, primary in PRIMARY.items()}
    assert set(columns) <= set(titles)
    assert len(rows) == len(written)
    checked = 0
    for row in rows:
        at = dict(zip(titles, row, strict=True))
        keep_ratio = float(at["keep_ratio"][0]) if at["keep_ratio"][0] else np.nan
        same = (written["variant"] == at["variant"][0].removesuffix(" #2")) & (
            written["seed"] == int(at["seed"][0])
        )
        same &= (
            written["axis.keep_ratio"].isna()
            if np.isnan(keep_ratio)
            else written["axis.keep_ratio"] == keep_ratio
        )
        same &= written["status"] == at["status"][0].partition(",")[0]
        (cell,) = written[same].to_dict("records")
        for title, (column, factor) in columns.items():
            value, interval = at[title]
            if value == "-":
                assert np.isnan(cell[column])
                continue
            assert abs(float(value) - cell[column] * factor) <= half_unit(value)
            limits = re.findall(r"-?[\d.]+", interval)
            for limit, end in zip(limits, (".ci_low", ".ci_high"), strict=bool(limits)):
                assert abs(float(limit) - cell[column + end] * factor) <= half_unit(limit)
                checked += 1
    assert checked > 100


def test_the_chart_has_every_finished_cell_with_its_interval(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    data = chart(page_source(fake_view(tmp_path / "run", table), tmp_path / "out"))
    done = table[table["status"] == "ok"]
    by_title = {quantity["title"]: quantity for quantity in data["quantities"]}  # type: ignore[index,attr-defined]  # JSON
    for title, column, factor in (("latency", "latency_ms", 1), ("executed MACs", "macs_executed", 1e-9)):
        np.testing.assert_allclose(sorted(by_title[title]["value"]), sorted(done[column] * factor), rtol=1e-5)
    np.testing.assert_allclose(
        sorted(by_title["latency"]["high"]), sorted(done["latency_ms.ci_high"]), rtol=1e-5
    )
    assert by_title["delta-m"]["better"] == 1
    assert by_title["normals mean_angle"]["better"] == by_title["latency"]["better"] == -1
    assert "low" not in by_title["executed MACs"]
    assert [data["quantities"][axis]["title"] for axis in data["axes"]] == ["latency", "delta-m"]  # type: ignore[index,attr-defined]  # JSON


def test_a_sweep_starts_with_one_line_per_setting(tmp_path: Path) -> None:
    source = page_source(fake_view(tmp_path / "run", sweep()), tmp_path / "out")
    heads, *rows = Tables(source).found["run1-overview"]
    titles = [title for title, _ in heads]
    assert titles[:4] == ["dataset", "hardware", "least costly", "settled"]
    assert [[value for value, _ in row[:4]] for row in rows] == [
        [dataset, hardware, way, settled]
        for dataset in ("pascal_context", "nyud")
        for hardware, way, settled in (
            ("cpu-1t-b1", "adamtl at keep_ratio 0.5", "no"),
            ("cpu-8t-b1", "static_mtl", "yes"),
        )
    ]
    share = titles.index("vs single_task")
    assert abs(float(rows[1][share][0]) - 100 * 0.2 * 61.5 / 212) < 1
    assert "Least costly by a clear margin, of 4 settings: static_mtl in 2. In 2 it is not settled" in source
    assert source.count('<details class="group"') == 4
    assert source.count('<details class="group" open') == 1


def test_what_did_not_finish_is_counted_and_explained(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    skipped = table.iloc[[0]].assign(status="skipped", reason="not run yet", seed=9, latency_ms=np.nan)
    source = page_source(fake_view(tmp_path / "run", pd.concat([table, skipped])), tmp_path / "out")
    first = source.partition('class="explore"')[0]
    assert "6 finished, 1 failed, 1 unsupported, 1 skipped, of 9" in first
    for sentence in ("the worker was killed: out of memory", "adamtl has no int8 path", "not run yet"):
        assert sentence in first


@pytest.mark.slow
def test_two_hundred_cells_fit_into_five_megabytes(tmp_path: Path) -> None:
    # One setting, 67 ways, three seeds, with pictures of every input that is kept.
    table = full_table(seeds=3)
    table = table[table["status"] == "ok"]
    sizes = np.linspace(0.99, 0.2, 64)
    proto = table[table["variant"] == "adamtl"].drop_duplicates("seed")
    rows = [
        proto.assign(**{"axis.keep_ratio": size, "cell_id": proto["cell_id"] + f"-{size:.3f}"})
        for size in sizes
    ]
    table = pd.concat([table[table["axis.keep_ratio"].isna()], *rows], ignore_index=True)
    assert len(table) == 198
    kept = table.groupby("variant").head(3)
    keep(tmp_path / "run", kept, size=(192, 256), noise=True)
    view = fake_view(tmp_path / "run", table, inputs=made_inputs(kept))
    assert len(page_source(view, tmp_path / "out").encode()) < 5_000_000


def test_the_description_of_a_suite_is_shown_as_text(tmp_path):
    view = fake_view(tmp_path, full_table(seeds=1), run={"suite": "s", "description": "Does <b>it</b> pay?"})
    words = build([view], tmp_path / "out", formats=()).index.read_text()
    assert "Does &lt;b&gt;it&lt;/b&gt; pay?" in words

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from fake_run import fake_view, full_table
from fake_sweep import sweep

from mtlbench import variants
from mtlbench.measure import energy
from mtlbench.report.energy import energy_words
from mtlbench.report.frame import RunView
from mtlbench.report.groups import groups
from mtlbench.report.packages import package_words
from mtlbench.report.trust import Trust, trust


def of(view: RunView) -> Trust:
    return trust(view, groups(view))


def test_noise_names_the_worst_and_sorts_by_it(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    bad = table["cell_id"] == "static_mtl-None-0"
    table.loc[bad, "latency_ms.ci_high"] = table.loc[bad, "latency_ms"] * 1.188
    table["health.steal_share"] = 0.25 * bad
    found = of(fake_view(tmp_path, table))
    assert "in 7 fresh processes" in found.noise_words[0]
    assert "the worst, that of static_mtl, to ±10 %" in found.noise_words[1]
    assert found.noise is not None
    titles = [header.title for header in found.noise.headers]
    first = dict(zip(titles, (entry.text for entry in found.noise.rows[0].entries), strict=True))
    assert first == {"way": "static_mtl", "launches": "7", "spread": "10", "stolen": "25"}
    assert len(found.noise.rows) == 6


def test_without_intervals_or_times_noise_is_unknown_not_zero(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    bare = table.drop(columns=["latency_ms.ci_low", "latency_ms.ci_high"])
    assert "its noise is unknown" in of(fake_view(tmp_path, bare)).noise_words[-1]
    untimed = table.drop(columns=[name for name in table if name.startswith("latency")])
    found = of(fake_view(tmp_path, untimed))
    assert found.noise is None
    assert found.noise_words == ("Nothing was timed, so there is no noise to speak of.",)
    assert of(fake_view(tmp_path, pd.DataFrame())).hashes is None


def test_settings_stand_beside_ways_where_there_are_several(tmp_path: Path) -> None:
    found = of(fake_view(tmp_path, sweep()))
    assert found.noise is not None
    assert [header.title for header in found.noise.headers][:2] == ["way", "setting"]
    assert len(found.noise.rows) == 4 * 6


def test_seeds_and_what_intervals_cover_are_said(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    said = " ".join(of(fake_view(tmp_path, table)).seeds)
    assert "Seeds 0, 1 in all ways." in said
    assert "n_seeds is 1 there" in said
    assert "the outermost of the seeds' own" in said
    uneven = pd.concat(
        [table, table[table["variant"] == "static_mtl"].head(1).assign(seed=7, cell_id="more")]
    )
    assert "Seeds 0, 1, 7 in 1 of 6 ways." in of(fake_view(tmp_path, uneven)).seeds


def test_hashes_are_short_and_belong_to_their_cell(tmp_path: Path) -> None:
    table = full_table(seeds=1).assign(
        weights_hash=lambda frame: [
            f"{number:02d}" + "a" * 62 + "+" + "b" * 64 + "+c" for number in range(len(frame))
        ],
        data_hash="8dcc520c49326739",
        code_version="task:depth=1;training=2",
    )
    found = of(fake_view(tmp_path, table))
    assert found.code == ("task:depth=1", "training=2")
    assert found.hashes is not None
    by_way = {row.entries[0].text: row.entries for row in found.hashes.rows}
    weights = [header.title for header in found.hashes.headers].index("weights")
    assert by_way["static_mtl"][weights].text == "01" + "a" * 10 + " " + "b" * 12 + " +1"


def test_where_weights_come_from_is_shown_where_some_are_shipped(tmp_path: Path) -> None:
    table = full_table(seeds=1).assign(weights_hash="a", weights_from="trained")
    own = of(fake_view(tmp_path, table))
    assert own.hashes is not None
    assert "from" not in [header.title for header in own.hashes.headers]
    assert not any("shipped" in sentence for sentence in own.rerun_words)
    table.loc[table["variant"] == "adamtl", "weights_from"] = "shipped+trained"
    found = of(fake_view(tmp_path, table))
    assert found.hashes is not None
    column = [header.title for header in found.hashes.headers].index("from")
    by_way = {row.entries[0].text: row.entries[column].text for row in found.hashes.rows}
    assert by_way["static_mtl"] == "trained"
    assert by_way["adamtl at keep_ratio 0.5"] == "shipped trained"
    assert any("--fresh does not use them" in sentence for sentence in found.rerun_words)


def test_how_to_run_again_says_what_the_suite_does_not_know(tmp_path: Path) -> None:
    found = of(fake_view(tmp_path / "my run", full_table(seeds=1)))
    assert (
        found.rerun[0]
        == f"mtlbench run '{tmp_path}/my run/suite.resolved.yaml' --out '{tmp_path}/my run-again'"
    )
    assert found.rerun[1] == f"mtlbench report '{tmp_path}/my run-again'"
    assert any("for pascal_context, set MTLBENCH_DATA" in sentence for sentence in found.rerun_words)


def test_packages_that_variants_and_meters_come_from_are_named_with_their_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "site" / "early-0.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: early\nVersion: 0.3\n")
    (metadata / "entry_points.txt").write_text(
        "[mtlbench.variants]\nearly_exit = early:Exit\nstatic_mtl = early:Impostor\nunused = early:Unused\n"
        "[mtlbench.meters]\nplug = early:Plug\n"
    )
    monkeypatch.syspath_prepend(tmp_path / "site")
    for registry in (variants.registry, energy.registry):
        monkeypatch.setattr(registry, "_installed", None)  # what is found here is forgotten afterwards
    table = pd.DataFrame(
        {"variant": ["static_mtl", "early_exit", "nowhere"], "code_version": "variant:static_mtl=1"}
    )
    view = fake_view(tmp_path, table, run={"measure": {"energy": "plug"}})
    install, lost = package_words(view)
    assert install.startswith(
        "Install first, beside mtlbench: early 0.3 (variant early_exit and meter plug). "
    )
    assert "has variant nowhere:" in lost
    own = fake_view(tmp_path, table.head(1), run={"measure": {"energy": "pyrapl"}})
    assert list(package_words(own)) == []


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"energy_mj": [1.0, 2.0], "energy_source": "nvml", "energy_quality": "measured"}, "nvml"),
        ({"energy_mj": [1.0, 2.0], "energy_source": "log", "energy_quality": "replayed"}, "log, replayed"),
        ({"energy_mj": [1.0, None], "energy_source": ["plug", "unmetered"]}, "plug, in 1 of 2 cells"),
        ({"energy_mj": [1.0, 2.0], "energy_source": ["pyrapl: package", "nvml"]}, "pyrapl: package and nvml"),
        ({"energy_mj": [1.0, 2.0]}, "a meter without a name"),
        ({"energy_mj": [None, None], "energy_source": "unmetered"}, "not metered"),
        ({"energy_mj": [None, None], "energy_modelled_mj": [3.0, None]}, "not metered, only modelled"),
        ({}, "not metered"),
    ],
)
def test_energy_is_told_with_its_meter(columns: dict[str, object], words: str) -> None:
    assert energy_words(pd.DataFrame({"variant": ["a", "b"], **columns})) == words


def test_warnings_name_their_cells(tmp_path: Path) -> None:
    (warning,) = of(fake_view(tmp_path, full_table(seeds=1))).warnings
    assert warning.code == "steal_time"
    assert warning.cells == ("adamtl-0.5-0", "computation_sharing-0.5-0")


@pytest.mark.parametrize("value", [{"a": {"b": 1}, "c": None}, {"a.b": [1]}])
def test_the_environment_is_flat_and_without_holes(tmp_path: Path, value: dict[str, object]) -> None:
    assert of(fake_view(tmp_path, full_table(seeds=1), environment=value)).environment == (("a.b", "1"),)

"""The shipped `clothing` suite on real photos, made small; and what a corrupt photo does."""

from __future__ import annotations

import shutil

import pytest

from mtlbench import run
from mtlbench.results.folder import RunFolder

SMALL = [
    "tasks=[human_parts, edge]",
    "encoders=[{name: efficientnet_lite}]",
    "measure={inputs: 2, launches: 1, max_seconds: 0.5, warmup_max_seconds: 0.2, crosscheck: false}",
    "measure.requeue=0",
    "measure.profile=false",
]


@pytest.fixture
def photos(shared, tmp_path, monkeypatch):
    """A dozen real photos with their masks, as the user's own data root."""
    source, copy = shared / "data/clothing-co-parsing", tmp_path / "clothing-co-parsing"
    if not source.is_dir():
        pytest.skip(f"no photos in {source}")
    (copy / "annotations/pixel-level").mkdir(parents=True)
    (copy / "photos").mkdir()
    shutil.copy(source / "label_list.mat", copy)
    for i in range(1, 31):
        shutil.copy(source / f"photos/{i:04d}.jpg", copy / "photos")
        shutil.copy(source / f"annotations/pixel-level/{i:04d}.mat", copy / "annotations/pixel-level")
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    return copy


@pytest.mark.slow
def test_the_clothing_suite_runs_on_real_photos(photos, tmp_path):
    size = "datasets=[{name: clothing, size: [48, 32]}]"
    result = run("clothing", out=tmp_path / "run", overrides=[*SMALL, size, "training={epochs: 1, batch: 8}"])
    assert result.exit_code == 0
    table = result.table.set_index("variant")
    assert set(table["tasks"]) == {"human_parts+edge"}
    assert 0 < table.loc["static_mtl", "metric.human_parts.miou"] < 1
    assert (tmp_path / "run/samples" / f"{table.loc['static_mtl', 'cell_id']}.pictures.npz").exists()
    assert str(tmp_path) not in (tmp_path / "run/run.json").read_text()


def test_a_corrupt_photo_fails_the_cell_and_is_named(photos, tmp_path):
    for photo in (photos / "photos").iterdir():
        photo.write_bytes(photo.read_bytes()[:2000])
    size = "datasets=[{name: clothing, size: [48, 32], root: " + str(photos) + "}]"
    result = run("clothing", out=tmp_path / "run", overrides=[*SMALL, size, "training=random"])
    assert result.exit_code == 4
    assert set(result.table["status"]) == {"failed"}
    assert all(str(photos / "photos") in reason for reason in result.table["reason"])
    assert all(launch["kind"] == "evaluate" for launch in RunFolder(tmp_path / "run").launches())

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from mtlbench import data, tasks
from mtlbench.data.seven_scenes import SevenScenes
from mtlbench.data.seven_scenes.dataset import intrinsics
from mtlbench.errors import DataError, UsageError

SHARED = Path(os.environ.get("MTLBENCH_SHARED", Path(__file__).parents[3] / "shared"))
REAL = SHARED / "data" / "7-scenes"
SEQUENCE = "redkitchen-tsdf/seq-01"
needs_data = pytest.mark.skipif(not (REAL / SEQUENCE).is_dir(), reason=f"7-Scenes is not at {REAL}")

TWO = ("kitchen/seq-01", "kitchen/seq-02")
FRAMES = 24
BLOCKS: dict[str, Any] = {"train": (0, 9), "val": (12, 15), "test": (18, 23), "gap": 2}


def write_depth(file: Path, depth_mm: np.ndarray) -> None:
    Image.fromarray(depth_mm.astype(np.uint16)).save(file)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two sequences of 24 small frames: noise in front of a wall at 2 m with a box at 1 m in front of it."""
    root = tmp_path / "7-scenes"
    rng = np.random.default_rng(0)
    depth = np.full((48, 64), 2000)
    depth[12:36, 16:40] = 1000
    for sequence in TWO:
        (root / sequence).mkdir(parents=True)
        for i in range(FRAMES):
            stem = root / sequence / f"frame-{i:06d}"
            colour = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(colour).save(f"{stem}.color.png")
            write_depth(Path(f"{stem}.depth.png"), depth)
    return root


def opened(root: Path, **options: Any) -> SevenScenes:
    return SevenScenes(**{"root": str(root), "size": (24, 32), "sequences": TWO[:1], **BLOCKS, **options})


def file_of(root: Path, number: int, kind: str) -> Path:
    return root / TWO[0] / f"frame-{number:06d}.{kind}.png"


# Options and identity


def test_it_is_registered_and_declares_its_tasks_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    dataset = data.registry.get("seven_scenes")
    declared = dataset.tasks(dataset.resolve({}))
    assert list(declared) == ["depth", "normals", "edge"]
    assert [tasks.registry.get(name)(**options).channels for name, options in declared.items()] == [1, 3, 1]


def test_where_the_data_lies_is_no_part_of_the_specification() -> None:
    assert SevenScenes.resolve({"root": "/anywhere"}) == SevenScenes.resolve({})
    assert "root" not in SevenScenes.resolve({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gap": 0}, "96 % of it"),
        ({"gap": 51}, "must be at least `gap` = 51"),
        ({"val": (600, 649)}, "train ends with frame 599 and val begins with 600"),
        ({"test": (700, 999)}, "val ends with frame 749 and test begins with 700"),
        ({"train": (599, 0)}, "swap"),
        ({"sequences": ("/data/seq-01",)}, "pattern"),
        ({"sequences": ("a/../../b",)}, "pattern"),
        ({"sequences": ("a/b", "a/b")}, "named twice"),
        ({"sequences": ()}, "at least 1"),
        ({"stride": 0}, "greater than or equal to 1"),
        ({"size": (4, 160)}, "greater than or equal to 8"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SevenScenes(**options)


def test_blocks_may_lie_in_any_order() -> None:
    assert SevenScenes(test=(0, 199), train=(300, 899), val=(950, 999)).options.gap == 50


def test_the_fingerprint_follows_content_and_options_only(made: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(made, tmp_path / "elsewhere"))
    before = opened(made).fingerprint()
    assert opened(moved).fingerprint() == before
    assert opened(moved, size=(48, 64)).fingerprint() != before
    assert opened(moved, align=False).fingerprint() != before
    assert opened(moved, sequences=TWO).fingerprint() != before

    file_of(moved, 23, "depth").unlink()
    without = opened(moved).fingerprint()
    file_of(moved, 23, "depth").touch()
    assert len({before, without, opened(moved).fingerprint()}) == 3

    poses = made / TWO[0] / "frame-000000.pose.txt"
    poses.write_text("1 0 0 0")
    assert opened(made).fingerprint() == before


def test_the_environment_variable_names_the_data_root(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(made.parent))
    assert opened(made).fingerprint() == SevenScenes(sequences=TWO[:1], size=(24, 32), **BLOCKS).fingerprint()


# Splits and clips


def numbers(dataset: SevenScenes, split: str) -> list[int]:
    return [int(dataset.sample(split, i).attributes["frame"]) for i in range(dataset.length(split))]


def test_each_split_is_its_block_of_frames(made: Path) -> None:
    dataset = opened(made)
    assert {split: numbers(dataset, split) for split in dataset.splits} == {
        "train": list(range(10)),
        "val": list(range(12, 16)),
        "test": list(range(18, 24)),
    }
    assert dataset.sample("val", 0).id == "kitchen/seq-01/000012"


@given(
    st.lists(st.integers(0, 60), min_size=6, max_size=6).map(sorted),
    st.permutations(["train", "val", "test"]),
    st.integers(1, 9),
)
def test_splits_are_as_far_apart_as_the_gap_or_refused(ends: list[int], order: list[str], gap: int) -> None:
    blocks = {split: (ends[2 * i], ends[2 * i + 1]) for i, split in enumerate(order)}
    frames = {split: set(range(first, last + 1)) for split, (first, last) in blocks.items()}
    nearest = min(
        abs(a - b) - 1 for s in frames for t in frames if s < t for a in frames[s] for b in frames[t]
    )
    if nearest < gap:
        with pytest.raises(ValidationError, match="must be at least"):
            SevenScenes(**blocks, gap=gap)
    else:
        SevenScenes(**blocks, gap=gap)


def test_the_stride_thins_training_alone(made: Path) -> None:
    dataset = opened(made, stride=3)
    assert numbers(dataset, "train") == [0, 3, 6, 9]
    assert numbers(dataset, "test") == list(range(18, 24))
    assert dataset.clips("train") == [range(4)]


def test_a_clip_ends_with_its_sequence_and_where_a_frame_is_missing(made: Path) -> None:
    file_of(made, 4, "color").unlink()
    dataset = opened(made, sequences=TWO)
    assert dataset.length("train") == 19
    assert dataset.clips("train") == [range(4), range(4, 9), range(9, 19)]
    assert dataset.clips("test") == [range(6), range(6, 12)]
    clips = [dataset.sample("train", i).attributes["clip"] for i in range(19)]
    assert clips == [0] * 4 + [1] * 5 + [2] * 10
    assert dataset.sample("train", 9).id == "kitchen/seq-02/000000"


# Samples


@pytest.mark.parametrize("size", [(48, 64), (24, 32), (20, 20), (18, 32), (96, 128)])
def test_samples_keep_the_contract(made: Path, size: tuple[int, int]) -> None:
    dataset = opened(made, size=size)
    sample = dataset.sample("test", 0)
    assert sample.image.shape == (*size, 3)
    assert sample.image.dtype == np.uint8
    for name, options in dataset.tasks({}).items():
        empty = tasks.registry.get(name)(**options).empty_label(*size)
        assert sample.labels[name].shape == empty.shape
        assert sample.labels[name].dtype == empty.dtype


def test_depth_is_metres_and_both_missing_values_are_zero(made: Path) -> None:
    stored = np.full((48, 64), 1234)
    stored[:, :10], stored[:, 10:20] = 0, 65535
    write_depth(file_of(made, 18, "depth"), stored)
    sample = opened(made, size=(48, 64)).sample("test", 0)
    depth = sample.labels["depth"]
    assert (depth[:, :20] == 0).all()
    np.testing.assert_allclose(depth[:, 20:], 1.234, rtol=1e-6)
    assert (sample.labels["normals"][:, :20] == 0).all()
    assert (sample.labels["edge"][:, :21] == 255).all()
    assert sample.attributes["missing_depth"] == 20 / 64
    assert sample.attributes["complexity"] == 0


def test_edges_outline_the_near_box(made: Path) -> None:
    sample = opened(made, size=(48, 64)).sample("test", 0)
    expected = np.zeros((48, 64), np.uint8)
    expected[12:36, 16:40] = 1
    expected[13:35, 17:39] = 0
    np.testing.assert_array_equal(sample.labels["edge"], expected)
    assert sample.attributes["complexity"] == expected.mean()
    assert sample.attributes["missing_depth"] == 0


def test_a_margin_is_ignored(made: Path) -> None:
    sample = opened(made, size=(40, 32)).sample("test", 0)
    for margin in (np.s_[:8], np.s_[32:]):
        assert (sample.labels["depth"][margin] == 0).all()
        assert (sample.labels["normals"][margin] == 0).all()
        assert (sample.labels["edge"][margin] == 255).all()
        assert (sample.image[margin] == sample.image[8 if margin == np.s_[:8] else 31]).all()
    assert (sample.labels["depth"][8:32] > 0).all()


@pytest.mark.parametrize("width", [320, 640])
def test_a_tilted_wall_has_its_normal_at_any_size(made: Path, width: int) -> None:
    """The pinhole of upstream (585 pixels of focal length at a width of 640) gives the wall, mtlbench gives it back."""
    normal = np.array([0.5, -0.3, -1]) / np.linalg.norm([0.5, -0.3, -1])
    focal, height = 585 * width / 640, width * 3 // 4
    v, u = np.mgrid[:height, :width]
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones(u.shape)], axis=-1)
    write_depth(file_of(made, 18, "depth"), np.rint(-1500 / (rays @ normal)))
    found = opened(made, size=(60, 80)).sample("test", 0).labels["normals"]
    assert np.degrees(np.arccos(np.clip(found @ normal, -1, 1))).max() < 1


def test_the_image_is_what_the_depth_camera_sees(made: Path) -> None:
    """On ramps: what the docs say a depth pixel shows is what it shows; unaligned images are as recorded."""
    v, u = np.mgrid[:240, :320]
    ramps = np.stack([u * 0.75, v, np.zeros(u.shape)], axis=-1)
    Image.fromarray(np.rint(ramps).astype(np.uint8)).save(file_of(made, 18, "color"))
    raw = opened(made, size=(240, 320), align=False).sample("test", 0).image
    np.testing.assert_array_equal(raw, np.rint(ramps).astype(np.uint8))
    aligned = opened(made, size=(240, 320)).sample("test", 0).image
    seen_u, seen_v = 159.5 + 0.9014 * (u - 159.5) - 4.2, 119.5 + 0.9014 * (v - 119.5) - 1.04
    np.testing.assert_allclose(aligned[..., 0], seen_u * 0.75, atol=1.01)
    np.testing.assert_allclose(aligned[..., 1], seen_v, atol=1.01)


# Frames without labels


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DEPTH_FAULTS: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "truncated": truncate,
    "no bytes": lambda file: file.write_bytes(b""),
    "no picture": lambda file: file.write_text("not a picture"),
    "all 0": lambda file: write_depth(file, np.zeros((48, 64))),
    "all 65535": lambda file: write_depth(file, np.full((48, 64), 65535)),
}


@pytest.mark.parametrize("fault", DEPTH_FAULTS)
def test_a_frame_without_sound_depth_stays_in_its_clip_without_labels(made: Path, fault: str) -> None:
    DEPTH_FAULTS[fault](file_of(made, 20, "depth"))
    dataset = opened(made)
    assert dataset.clips("test") == [range(6)]
    sample = dataset.sample("test", 2)
    assert sample.labels == {}
    assert sample.attributes == {"clip": 0.0, "frame": 20.0, "missing_depth": 1.0}
    assert sample.image.shape == (24, 32, 3)
    assert set(dataset.sample("test", 3).labels) == {"depth", "normals", "edge"}


# Missing and corrupt data


def test_no_place_at_all_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    with pytest.raises(DataError, match=r"MTLBENCH_DATA is not set.*frame-NNNNNN.*Set MTLBENCH_DATA"):
        SevenScenes().fingerprint()


def test_a_place_that_is_not_there_says_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MTLBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"no such folder.*Set MTLBENCH_DATA") as error:
        SevenScenes().length("train")
    assert error.value.where == str(tmp_path / "7-scenes")


def test_a_sequence_that_is_not_there_is_named(made: Path) -> None:
    with pytest.raises(DataError, match=r"no frames here.*Name other `sequences`") as error:
        opened(made, sequences=("kitchen/seq-09",)).fingerprint()
    assert error.value.where == str(made / "kitchen/seq-09")


def test_a_block_without_frames_is_an_error(made: Path) -> None:
    with pytest.raises(DataError, match=r"frame from 40 to 50, the split test.*Set `test`"):
        opened(made, test=(40, 50)).length("test")
    with pytest.raises(UsageError, match="no split 'tests'"):
        opened(made).length("tests")


@pytest.mark.parametrize("fault", ["truncated", "no bytes", "no picture"])
def test_a_corrupt_colour_image_is_named(made: Path, fault: str) -> None:
    file = file_of(made, 18, "color")
    DEPTH_FAULTS[fault](file)
    with pytest.raises(DataError) as error:
        opened(made).sample("test", 0)
    assert error.value.where == str(file)


@pytest.mark.parametrize("kind", ["color", "depth"])
def test_a_picture_of_another_aspect_is_refused(made: Path, kind: str) -> None:
    write_depth(file_of(made, 18, kind), np.full((40, 64), 1000))
    with pytest.raises(DataError, match="4:3") as error:
        opened(made).sample("test", 0)
    assert error.value.where == str(file_of(made, 18, kind))


def test_a_sound_picture_that_is_no_depth_is_refused(made: Path) -> None:
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(file_of(made, 18, "depth"))
    with pytest.raises(DataError, match="16 bits"):
        opened(made).sample("test", 0)


def test_two_colour_images_of_one_frame_are_refused(made: Path) -> None:
    Image.new("RGB", (64, 48)).save(made / TWO[0] / "frame-000003.color.jpg")
    with pytest.raises(DataError, match="two colour images"):
        opened(made).length("train")


# The real data


@pytest.fixture(scope="module")
def real() -> SevenScenes:
    return SevenScenes(root=str(REAL), size=(240, 320))


@needs_data
def test_the_real_sequence_has_its_splits(real: SevenScenes) -> None:
    assert {split: real.length(split) for split in real.splits} == {"train": 600, "val": 100, "test": 200}
    assert {split: real.clips(split) for split in real.splits} == {
        "train": [range(600)],
        "val": [range(100)],
        "test": [range(200)],
    }
    assert SevenScenes(root=str(REAL), stride=7).length("train") == 86


@needs_data
def test_the_fingerprint_of_the_real_data_is_known() -> None:
    # Of the copy that shared/data/README.md describes: another value means other files or a version to raise.
    assert SevenScenes(root=str(REAL)).fingerprint() == "e503a505bbca6387"


@needs_data
def test_real_labels_are_physical(real: SevenScenes) -> None:
    missing = []
    for index in range(0, 600, 50):
        sample = real.sample("train", index)
        depth, normals, edge = (sample.labels[name] for name in ("depth", "normals", "edge"))
        missing.append(sample.attributes["missing_depth"])
        assert 0.5 < depth[depth > 0].min() < depth.max() < 4.5  # what a Kinect v1 can measure
        known = (normals != 0).any(axis=-1)
        assert not known[depth == 0].any()
        assert known[depth > 0].mean() > 0.9
        np.testing.assert_allclose(np.linalg.norm(normals[known], axis=-1), 1, atol=1e-5)
        assert 0.005 < (edge == 1).mean() < 0.05
        assert (edge[depth == 0] == 255).all()
        assert (edge == 255).mean() < 0.3
    assert np.mean(missing) == pytest.approx(0.11, abs=0.02)


def lifted(
    dataset: SevenScenes, index: int, focal_error: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points [N, 3] in the world and normals [N, 3] there of one frame, and the frame's camera-to-world pose."""
    sample = dataset.sample("train", index)
    depth, normals = sample.labels["depth"].astype(float), sample.labels["normals"].astype(float)
    camera = intrinsics(320, 240)
    v, u = np.nonzero((depth > 0) & (normals != 0).any(axis=-1))
    focal = camera.fx * focal_error
    rays = np.stack([(u - camera.cx) / focal, (v - camera.cy) / focal, np.ones(len(u))], axis=1)
    pose = np.loadtxt(REAL / SEQUENCE / f"frame-{index:06d}.pose.txt")
    points = rays * depth[v, u][:, None] @ pose[:3, :3].T + pose[:3, 3]
    return points, normals[v, u] @ pose[:3, :3].T, pose


def disagreement(
    dataset: SevenScenes, index: int, later: int, focal_error: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Frame `index` seen from frame `later`: differences of depth in metres and of normals in degrees."""
    points, normals, _ = lifted(dataset, index, focal_error)
    _, _, pose = lifted(dataset, later)
    x, y, z = ((points - pose[:3, 3]) @ pose[:3, :3]).T
    turned = normals @ pose[:3, :3]
    camera = intrinsics(320, 240)
    focal = camera.fx * focal_error
    u, v = np.rint(x / z * focal + camera.cx).astype(int), np.rint(y / z * focal + camera.cy).astype(int)
    seen = (z > 0) & (u >= 0) & (u < 320) & (v >= 0) & (v < 240)
    labels = dataset.sample("train", later).labels
    depth, there = labels["depth"][v[seen], u[seen]], labels["normals"][v[seen], u[seen]].astype(float)
    known = (there != 0).any(axis=1)
    assert known.sum() > 10_000
    cosine = (there * turned[seen]).sum(axis=1)[known]
    return np.abs(z[seen] - depth)[known], np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@needs_data
@pytest.mark.parametrize("index", [0, 150, 300, 450, 560])
def test_one_frame_seen_from_another_is_that_other_frame(real: SevenScenes, index: int) -> None:
    """Pose, intrinsics and the frame of the normals fit together; other intrinsics fit less."""
    off_m, off_deg = disagreement(real, index, index + 25)
    assert np.median(off_m) < 0.02
    assert np.median(off_deg) < 10
    for focal_error in (0.9, 1.1):
        wrong_m, _ = disagreement(real, index, index + 25, focal_error)
        assert np.median(wrong_m) > np.median(off_m)


@needs_data
def test_aligned_images_have_their_contours_where_depth_steps() -> None:
    """The crop was fitted to whole images; here to the edge labels, which are made otherwise."""

    def contrast_at_edges(align: bool) -> float:
        dataset = SevenScenes(root=str(REAL), size=(240, 320), align=align)
        shares = []
        for index in range(5, 200, 40):
            sample = dataset.sample("test", index)
            down, right = np.gradient(sample.image.astype(float).mean(axis=-1))
            contrast = np.minimum(np.hypot(down, right), 20)
            shares.append(contrast[sample.labels["edge"] == 1].mean() / contrast.mean())
        return float(np.mean(shares))

    assert contrast_at_edges(align=True) > 1.4 * contrast_at_edges(align=False)

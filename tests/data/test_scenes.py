"""The embedded rooms: same bytes everywhere, labels that agree with geometry worked out another way."""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from math import atan2, cos, hypot, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import mtlbench.data.scenes as package
from mtlbench.data import registry
from mtlbench.data.base import Sample
from mtlbench.data.scenes import Scenes
from mtlbench.data.scenes.camera import Camera, turn
from mtlbench.data.scenes.item import CLASSES
from mtlbench.data.scenes.labels import edge_label, labels_of
from mtlbench.data.scenes.materials import Material
from mtlbench.data.scenes.raycast import Hits, cast
from mtlbench.data.scenes.shadows import lit_by
from mtlbench.data.scenes.shapes import SHELL, Part, Shape, Table
from mtlbench.data.scenes.surface import surface_of
from mtlbench.errors import UsageError

GOLDEN = "731f940f007ba33c09bcfe4d8028bea67db9bf07a2c928be0d278767b53f2004"
GOLDEN_SCRIPT = """
import hashlib, sys
from mtlbench.data.scenes import Scenes
print(hashlib.sha256(b"".join(
    array.tobytes()
    for dataset in (Scenes(), Scenes(size=[33, 50], seed=7, clip_length=4, cut=True))
    for split in dataset.splits
    for index in range(4)
    for sample in [dataset.sample(split, index)]
    for array in (sample.image, *(sample.labels[task] for task in sorted(sample.labels)))
)).hexdigest())
"""


def digest(sample: Sample) -> str:
    arrays = [sample.image, *(sample.labels[task] for task in sorted(sample.labels))]
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


@pytest.fixture(scope="module")
def samples() -> dict[str, list[Sample]]:
    dataset = Scenes(size=[64, 64], train=120, val=60, test=60)
    return {
        split: [dataset.sample(split, i) for i in range(dataset.length(split))] for split in dataset.splits
    }


# Determinism


def run_golden(disabled: str, probe: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled}
    root = Path(package.__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-c", probe + GOLDEN_SCRIPT],
        capture_output=True,
        text=True,
        env=environment,
        cwd=root,
        check=False,
    )


def test_golden_bytes() -> None:
    result = run_golden("")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == GOLDEN


@pytest.mark.parametrize("spare", [("AVX512", "X86_V4"), ()], ids=["AVX-512 off", "all off"])
def test_same_bytes_with_cpu_features_off(spare: tuple[str, ...]) -> None:
    # The names of the groups that numpy dispatches on differ between its releases, so ask it.
    from numpy._core import _multiarray_umath as umath

    present = [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]
    disabled = [name for name in present if name.startswith(spare or "")]
    if not disabled:
        pytest.skip(f"numpy dispatches on {present} here, none of which this test switches off")
    probe = "from numpy._core._multiarray_umath import __cpu_features__ as on\n"
    probe += f"assert not any(on[name] for name in {disabled})\n"
    result = run_golden(" ".join(disabled), probe)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == GOLDEN


def test_a_sample_does_not_depend_on_counts_or_on_what_was_read_before() -> None:
    small, large = Scenes(size=[32, 32], train=3, val=1, test=1), Scenes(size=[32, 32], train=900)
    expected = digest(small.sample("train", 2))
    large.sample("test", 5)
    assert digest(large.sample("train", 2)) == expected
    assert digest(small.sample("train", 2)) == expected


# Moving data about, and what IEEE 754 makes exact.
ALLOWED_NUMPY = """
    arange array ascontiguousarray bincount copyto empty errstate flatnonzero ones ones_like stack where zeros
    zeros_like bool_ float32 float64 generic int8 int16 int64 intp uint8 uint32
    abs clip copysign floor maximum minimum sqrt
"""
REFUSED_METHODS = {"dot", "sum", "mean", "std", "var", "prod", "cumsum", "cumprod", "trace", "round"}


def forbidden(source: str) -> Iterator[str]:
    """What in `source` may give other bits on another machine."""
    allowed = ALLOWED_NUMPY.split()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult | ast.Pow):
            yield f"{node.lineno}: {type(node.op).__name__}"
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "np" and node.attr not in allowed:
                yield f"{node.lineno}: np.{node.attr}"
            if node.attr in REFUSED_METHODS:
                yield f"{node.lineno}: .{node.attr}"
        if isinstance(node, ast.Import):
            yield from (
                f"{node.lineno}: import {a.name}"
                for a in node.names
                if a.name.split(".")[0] in {"math", "cmath", "random"}
            )
        if isinstance(node, ast.ImportFrom) and node.module in {"math", "cmath", "random"}:
            yield from (f"{node.lineno}: {node.module}.{a.name}" for a in node.names if a.name != "sqrt")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"pow", "sum", "hash"}
        ):
            # The built-in sum of floats is compensated since Python 3.12, and was not before.
            yield f"{node.lineno}: {node.func.id}"


def test_the_source_uses_nothing_that_differs_between_machines() -> None:
    files = sorted(Path(package.__file__).parent.glob("*.py"))
    assert len(files) > 10
    found = [f"{file.name}:{what}" for file in files for what in forbidden(file.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "bad",
    [
        "a @ b",
        "a ** 2",
        "a **= 2",
        "np.sin(a)",
        "np.sum(a)",
        "a.sum()",
        "np.add.reduce(a)",
        "np.linalg.inv(a)",
        "np.random.rand()",
        "a.dot(b)",
        "from math import cos",
        "import math",
        "import random",
        "pow(a, 2)",
        "sum(a)",
    ],
)
def test_the_scan_finds_planted_faults(bad: str) -> None:
    assert list(forbidden(bad))


# Options


@pytest.mark.parametrize(
    "options",
    [
        {"size": [15, 96]},
        {"size": [96]},
        {"size": 96},
        {"train": -1},
        {"seed": -1},
        {"clip_length": 0},
        {"cut": True},
        {"cut": True, "clip_length": 1},
        {"complexity": [0.8, 0.2]},
        {"complexity": [0.0, 1.1]},
        {"complexity": [float("nan"), 1.0]},
        {"colour": "red"},
    ],
)
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scenes(**options)


def test_unknown_splits_and_samples_are_refused() -> None:
    dataset = Scenes(train=2)
    with pytest.raises(UsageError, match="train"):
        dataset.length("trian")
    for index in (-1, 2):
        with pytest.raises(IndexError):
            dataset.sample("train", index)


def test_contract() -> None:
    assert registry.get("scenes") is Scenes
    tasks = Scenes.tasks({"size": [32, 48]})
    assert list(tasks) == ["semseg", "depth", "normals", "saliency", "edge"]
    assert tasks["semseg"] == {"classes": list(CLASSES)}
    assert 8 <= len(CLASSES) <= 12
    resolved = Scenes.resolve({})
    assert resolved["size"] == [96, 96]
    assert [Scenes().length(s) for s in Scenes.splits] == [512, 64, 128]


def test_fingerprint_follows_every_option() -> None:
    variants = [
        {},
        {"size": [96, 97]},
        {"train": 3},
        {"seed": 1},
        {"clip_length": 2},
        {"complexity": [0.0, 0.5]},
    ]
    variants.append({"clip_length": 2, "cut": True})
    prints = [Scenes(**options).fingerprint() for options in variants]
    assert len(set(prints)) == len(prints)
    assert Scenes(size=(96, 96), complexity=(0, 1)).fingerprint() == prints[0]


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    seed=st.integers(0, 2**63 - 1),
    index=st.integers(0, 9),
)
def test_layouts_at_any_size(height: int, width: int, seed: int, index: int) -> None:
    sample = Scenes(size=[height, width], seed=seed, test=10).sample("test", index)
    labels = sample.labels
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (height, width, 3)
    for task in ("semseg", "saliency", "edge"):
        assert labels[task].dtype == np.uint8
        assert labels[task].shape == (height, width)
    assert labels["semseg"].max() < len(CLASSES)
    assert max(labels["saliency"].max(), labels["edge"].max()) <= 1
    assert labels["depth"].dtype == np.float32
    assert labels["depth"].shape == (height, width)
    assert 0.2 < labels["depth"].min() <= labels["depth"].max() < 12.0
    assert labels["normals"].dtype == np.float32
    assert labels["normals"].shape == (height, width, 3)
    assert all(isinstance(value, float) for value in sample.attributes.values())


# Geometry


def grey(
    shape: Shape, centre: tuple[float, ...], half: tuple[float, ...], t: float = 0.0, taper: float = 0.0
) -> Part:
    paint = Material((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    (x, y, z), (a, b, c) = centre, half
    return Part(shape, (x, y, z), (a, b, c), paint, turn(t), taper)


def scene_of(*parts: Part) -> Table:
    shell = [grey(Shape.SHELL, (2.0, 1.25, 3.0), (2.0, 1.25, 3.0))] * SHELL
    count = SHELL + len(parts)
    return Table.of([*shell, *parts], list(range(count)), list(range(count)))


CAMERA = Camera.looking((2.1, 1.4, 0.6), turn(0.07), turn(0.1), 1.3)


def pixel_rays(camera: Camera, height: int, width: int) -> np.ndarray:
    """World rays [H, W, 3] with a z component of 1 in the camera frame, by matrix product."""
    u, v = camera.slopes(height, width)
    in_camera = np.stack([*np.meshgrid(u, v), np.ones((height, width))], axis=-1)
    return in_camera @ np.array([camera.right, camera.down, camera.forward])


def implicit(part: Part, points: np.ndarray) -> np.ndarray:
    """Signed measure of `points` against `part`, negative inside: a closed form on its own terms."""
    angle = atan2(part.turn[1], part.turn[0])
    offset = points - np.array(part.centre)
    x = cos(angle) * offset[..., 0] - sin(angle) * offset[..., 2]
    z = sin(angle) * offset[..., 0] + cos(angle) * offset[..., 2]
    p, q, r = x / part.half[0], offset[..., 1] / part.half[1], z / part.half[2]
    if part.shape == Shape.BALL:
        return np.sqrt(p**2 + q**2 + r**2) - 1.0
    if part.shape == Shape.DRUM:
        return np.maximum(np.hypot(p, r) - (1.0 + part.taper * q), np.abs(q) - 1.0)
    return np.max(np.abs([p, q, r]), axis=0) - 1.0


SOLIDS = {
    "box": grey(Shape.BOX, (2.2, 0.8, 2.6), (0.5, 0.4, 0.3), t=0.3),
    "flat box below": grey(Shape.BOX, (2.2, 0.02, 2.0), (0.9, 0.02, 0.5)),
    "box above": grey(Shape.BOX, (2.2, 2.2, 2.4), (0.4, 0.1, 0.4), t=-0.6),
    "ball": grey(Shape.BALL, (2.3, 1.0, 2.4), (0.5, 0.5, 0.5)),
    "stretched ball": grey(Shape.BALL, (1.9, 0.9, 2.4), (0.3, 0.7, 0.5), t=0.4),
    "cylinder": grey(Shape.DRUM, (2.3, 0.5, 2.4), (0.4, 0.5, 0.4)),
    "shade": grey(Shape.DRUM, (2.0, 1.5, 2.2), (0.4, 0.25, 0.4), taper=-0.35),
    "pot seen from above": grey(Shape.DRUM, (2.0, 0.3, 1.9), (0.5, 0.3, 0.5), taper=0.4),
    "flat cone below": grey(Shape.DRUM, (2.0, 0.05, 1.6), (0.6, 0.05, 0.6), taper=-0.9),
    "cone overhead": grey(Shape.DRUM, (2.1, 2.1, 3.0), (0.6, 0.1, 0.6), taper=0.9),
    "partly behind the camera": grey(Shape.BOX, (1.2, 0.5, 1.4), (0.3, 0.5, 1.2)),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_meet_a_solid_where_marching_says(name: str) -> None:
    part = SOLIDS[name]
    hits = cast(scene_of(part), CAMERA, 60, 72)
    rays = pixel_rays(CAMERA, 60, 72)
    seen = hits.part == SHELL
    assert seen.sum() > 15
    points = np.array(CAMERA.eye) + hits.depth[..., None] * rays
    assert np.abs(implicit(part, points[seen])).max() < 1e-9
    # March in 600 steps: nothing may lie in front of the hit, nor anywhere on a ray that misses.
    for share in np.linspace(0.0, 0.999, 600):
        inside = implicit(part, np.array(CAMERA.eye) + share * hits.depth[..., None] * rays) < -1e-6
        assert not inside.any()


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_are_gradients(name: str) -> None:
    part = SOLIDS[name]
    table = scene_of(part)
    hits = cast(table, CAMERA, 60, 72)
    surface = surface_of(table, CAMERA, hits)
    seen = (hits.part == SHELL).ravel()
    points, normals = (np.stack(triple, axis=-1)[seen] for triple in (surface.point, surface.normal))
    step = 1e-6
    gradient = np.stack(
        [(implicit(part, points + step * axis) - implicit(part, points - step * axis)) for axis in np.eye(3)],
        axis=-1,
    )
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True)
    agree = (gradient * normals).sum(axis=-1)
    # Right on a rim the gradient has two answers.
    assert (agree > 1.0 - 1e-6).mean() > 0.98
    assert np.abs(np.linalg.norm(normals, axis=-1) - 1.0).max() < 1e-12


def test_sphere_in_closed_form() -> None:
    """Straight ahead of a level camera: depth, radius of the disc, and the normal at its middle."""
    camera = Camera.looking((2.0, 1.2, 0.5), (1.0, 0.0), (1.0, 0.0), 1.5)
    distance, radius = 2.0, 0.5
    table = scene_of(grey(Shape.BALL, (2.0, 1.2, 2.5), (radius,) * 3))
    hits = cast(table, camera, 101, 101)
    assert hits.depth[50, 50] == pytest.approx(distance - radius)
    disc = np.hypot(*np.meshgrid(hits.u, hits.v)) <= radius / sqrt(distance**2 - radius**2)
    assert np.array_equal(hits.part == SHELL, disc)


def test_room_in_closed_form() -> None:
    """A level camera in an empty room: the far wall has one depth, the floor's is its drop over the slope."""
    camera = Camera.looking((2.0, 1.2, 0.5), (1.0, 0.0), (1.0, 0.0), 1.5)
    hits = cast(scene_of(), camera, 80, 80)
    _, v = np.meshgrid(hits.u, hits.v)
    far, floor = hits.part == 5, hits.part == 2
    assert np.allclose(hits.depth[far], 5.5)
    assert np.allclose(hits.depth[floor], 1.2 / v[floor])
    assert {0, 1, 2, 3, 5} == set(np.unique(hits.part))


@pytest.mark.parametrize("index", range(4))
def test_every_pixel_of_real_rooms_against_brute_force(index: int) -> None:
    """Without screen windows: the hit lies on its part, and just before it the ray is in no part."""
    dataset = Scenes(size=[40, 40])
    room = dataset.room("val", index)
    camera = room.path.at(0)
    hits = cast(room.table, camera, 40, 40)
    rays = pixel_rays(camera, 40, 40)
    eye = np.array(camera.eye)
    points = eye + hits.depth[..., None] * rays
    for number, part in enumerate(room.table.parts[SHELL:], SHELL):
        seen = hits.part == number
        if seen.any():
            assert np.abs(implicit(part, points[seen])).max() < 1e-7
    for share in np.linspace(0.02, 0.999, 80):
        along = eye + share * hits.depth[..., None] * rays
        assert not any((implicit(part, along) < -1e-6).any() for part in room.table.parts[SHELL:])


def test_depth_and_normals_agree_on_planes(samples: dict[str, list[Sample]]) -> None:
    """Normals from finite differences of the points that depth gives, where the surroundings are planar."""
    dataset = Scenes(size=[64, 64])
    checked = 0
    for index in range(8):
        labels = samples["val"][index].labels
        camera = dataset.room("val", index).path.at(0)
        u, v = camera.slopes(64, 64)
        points = labels["depth"][..., None].astype(float) * np.stack(
            [*np.meshgrid(u, v), np.ones((64, 64))], axis=-1
        )
        across, below = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
        estimate = np.cross(below, across)
        estimate /= np.linalg.norm(estimate, axis=-1, keepdims=True)
        normals = labels["normals"].astype(float)
        middle = normals[1:-1, 1:-1]
        around = [
            normals[1 + dy : 63 + dy, 1 + dx : 63 + dx] for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))
        ]
        flat = np.all([np.abs(n - middle).max(axis=-1) < 1e-6 for n in around], axis=0)
        parts = cast(dataset.room("val", index).table, camera, 64, 64).part
        rims = [parts[1 + dy : 63 + dy, 1 + dx : 63 + dx] for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))]
        flat &= np.all([p == parts[1:-1, 1:-1] for p in rims], axis=0)
        agree = (estimate * middle).sum(axis=-1)[flat]
        assert agree.min() > 0.9999
        checked += flat.sum()
    assert checked > 8 * 1500


def test_normals_are_unit_and_face_the_camera(samples: dict[str, list[Sample]]) -> None:
    dataset = Scenes(size=[64, 64])
    for index, sample in enumerate(samples["test"]):
        normals = sample.labels["normals"]
        u, v = dataset.room("test", index).path.at(0).slopes(64, 64)
        toward = normals[..., 0] * u + normals[..., 1] * v[:, None] + normals[..., 2]
        assert toward.max() < 1e-6
        assert np.abs(np.linalg.norm(normals, axis=-1) - 1.0).max() < 1e-6


def test_shadows_against_marching() -> None:
    """A pixel is in shadow where the way to the lamp passes through a solid."""
    lamp = (1.4, 2.4, 3.4)
    casters = [
        SOLIDS["box"],
        SOLIDS["stretched ball"],
        grey(Shape.DRUM, (3.0, 0.4, 3.5), (0.3, 0.4, 0.3), taper=0.3),
    ]
    table = scene_of(*casters)
    hits = cast(table, CAMERA, 60, 72)
    surface = surface_of(table, CAMERA, hits)
    x, y, z = (p.astype(np.float32) for p in surface.point)
    lit = lit_by(table, CAMERA, hits, lamp, (x, y, z)) > 0.0
    points, normals = (np.stack(triple, axis=-1) for triple in (surface.point, surface.normal))
    way = np.array(lamp) - points
    faces_lamp = (way * normals).sum(axis=-1) > 0.02
    blocked = np.zeros(lit.shape, dtype=bool)
    for share in np.linspace(0.004, 1.0, 1500):
        along = points + share * way
        blocked |= np.any([implicit(part, along) < 0.0 for part in casters], axis=0)
    assert 200 < blocked[faces_lamp].sum() < 0.5 * faces_lamp.sum()
    assert (lit == ~blocked)[faces_lamp].mean() > 0.995


# What the labels mean


def test_edges_by_hand() -> None:
    part = np.array([[0, 0, 0, 0], [0, 7, 7, 0], [0, 7, 7, 3], [0, 0, 3, 3]])
    depth = np.where(part == 7, 1.0, np.where(part == 3, 2.0, 2.0))
    edge = edge_label(Hits(depth, part, np.zeros(4), np.zeros(4)))
    # The nearer part 7 carries its outline; where 0 and 3 meet at equal depth the left or upper pixel does.
    assert edge.tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 0], [0, 1, 0, 0]]


def test_edges_separate_classes_and_depth_steps(samples: dict[str, list[Sample]]) -> None:
    for sample in samples["val"]:
        labels = sample.labels
        edge = labels["edge"].astype(bool)
        semseg, depth = labels["semseg"], labels["depth"]
        before, after, whole = slice(None, -1), slice(1, None), slice(None)
        for a, b in (((whole, before), (whole, after)), ((before, whole), (after, whole))):
            nearer = np.where(depth[a] <= depth[b], edge[a], edge[b])
            assert nearer[semseg[a] != semseg[b]].all()
        assert 0.01 < edge.mean() < 0.35


def test_salient_pixels_are_the_saturated_ones(samples: dict[str, list[Sample]]) -> None:
    """Learnable: salient things are more saturated than the room. Not trivial: so are some others."""
    inside, outside, gaudy = [], [], 0
    for sample in samples["train"]:
        image = sample.image.astype(float)
        saturation = 1.0 - image.min(axis=-1) / np.maximum(image.max(axis=-1), 1.0)
        salient = sample.labels["saliency"].astype(bool)
        inside.append(saturation[salient])
        outside.append(saturation[~salient])
        gaudy += (saturation[~salient] > 0.8).sum() > 40
        allowed = [CLASSES.index(kind) for kind in ("table", "chair", "sofa", "cabinet", "ball")]
        assert np.isin(sample.labels["semseg"][salient], allowed).all()
    assert np.median(np.concatenate(inside)) > 0.6
    assert np.median(np.concatenate(outside)) < 0.35
    assert gaudy > 10


def test_most_images_have_something_salient(samples: dict[str, list[Sample]]) -> None:
    for split in samples.values():
        assert np.mean([s.labels["saliency"].mean() > 0.003 for s in split]) > 0.9


def test_every_class_is_frequent_in_every_split(samples: dict[str, list[Sample]]) -> None:
    for split in samples.values():
        present = np.array([np.bincount(s.labels["semseg"].ravel(), minlength=len(CLASSES)) for s in split])
        assert ((present > 8).mean(axis=0) > 0.4).all()
        assert (present.sum(axis=0) / present.sum() > 0.007).all()


# Rooms


def test_splits_and_seeds_never_share_a_room() -> None:
    size = [24, 24]
    pictures = [
        digest(Scenes(size=size, seed=seed, train=40, val=40, test=40).sample(split, i))
        for seed in (0, 1)
        for split in Scenes.splits
        for i in range(40)
    ]
    assert len(set(pictures)) == len(pictures)


def test_complexity_covers_its_range_and_means_something(samples: dict[str, list[Sample]]) -> None:
    for split in samples.values():
        complexity = np.array([s.attributes["complexity"] for s in split])
        assert np.histogram(complexity, bins=10, range=(0.0, 1.0))[0].min() > 0.6 * len(split) / 10
        objects = [s.attributes["objects"] for s in split]
        edges = [s.labels["edge"].mean() for s in split]
        steps = [np.abs(np.diff(s.image.astype(float), axis=1)).mean() for s in split]
        for measure in (objects, edges, steps):
            assert np.corrcoef(complexity, measure)[0, 1] > 0.6


def test_complexity_range_is_obeyed() -> None:
    dataset = Scenes(size=[16, 16], complexity=[0.4, 0.45])
    values = [dataset.sample("train", i).attributes["complexity"] for i in range(30)]
    assert 0.4 <= min(values) < 0.41
    assert 0.44 < max(values) <= 0.45


def test_rooms_are_inside_out_of_the_way_of_the_camera() -> None:
    dataset = Scenes(train=40)
    for index in range(40):
        room = dataset.room("train", index)
        width, height, depth = (2.0 * h for h in room.table.parts[0].half)
        for frame in range(0, 400, 25):
            x, y, z = room.path.at(frame).eye
            assert 0.2 < x < width - 0.2
            assert 0.2 < z < depth - 0.2
            assert 1.0 < y < height - 0.2
            eye = np.array([[x, y, z]])
            assert min(implicit(part, eye)[0] for part in room.table.parts[SHELL:]) > 0.0


# Clips


def step(a: Sample, b: Sample) -> float:
    return float(np.abs(a.image.astype(float) - b.image.astype(float)).mean())


def test_clips_are_coherent_and_cuts_are_not() -> None:
    length = 8
    dataset = Scenes(size=[64, 64], train=24, clip_length=length, cut=True)
    clips = [[dataset.sample("train", c * length + f) for f in range(length)] for c in range(3)]
    for number, clip in enumerate(clips):
        assert [s.attributes["frame"] for s in clip] == list(range(length))
        assert {s.attributes["clip"] for s in clip} == {number}
        steps = [step(a, b) for a, b in pairwise(clip)]
        cut = steps.pop(length // 2 - 1)
        assert 0.0 < max(steps) < 0.4 * cut


def test_a_cut_leaves_the_first_half_alone() -> None:
    plain = Scenes(size=[32, 32], clip_length=6)
    cut = Scenes(size=[32, 32], clip_length=6, cut=True)
    same = [digest(plain.sample("val", i)) == digest(cut.sample("val", i)) for i in range(6)]
    assert same == [True] * 3 + [False] * 3
    assert digest(plain.sample("val", 6)) != digest(cut.sample("val", 9))


def test_a_frame_is_the_last_one_warped() -> None:
    """Reprojecting a frame with its depth and both cameras predicts the next frame's depth and classes."""
    dataset = Scenes(size=[64, 64], clip_length=5)
    for clip in range(4):
        index = clip * 5
        room = dataset.room("train", index)
        before, after = dataset.sample("train", index), dataset.sample("train", index + 1)
        rays = pixel_rays(room.path.at(0), 64, 64)
        points = np.array(room.path.at(0).eye) + before.labels["depth"][..., None] * rays
        camera = room.path.at(1)
        axes = np.array([camera.right, camera.down, camera.forward])
        x, y, z = np.moveaxis((points - np.array(camera.eye)) @ axes.T, -1, 0)
        scale = camera.pixels_per_slope(64, 64)
        column, row = (np.floor(a / z * scale + 32).astype(int) for a in (x, y))
        valid = (column >= 0) & (column < 64) & (row >= 0) & (row < 64)
        assert valid.mean() > 0.9
        there = (row[valid], column[valid])
        assert (after.labels["semseg"][there] == before.labels["semseg"][valid]).mean() > 0.93
        assert np.median(np.abs(after.labels["depth"][there] - z[valid])) < 0.03
        drift = np.abs(after.image[there].astype(float) - before.image[valid].astype(float)).mean()
        assert drift < 12.0


def test_turns_are_rotations() -> None:
    for t in (-0.9, -0.1, 0.0, 0.4, 1.0):
        assert hypot(*turn(t)) == pytest.approx(1.0, abs=1e-15)
    assert atan2(turn(1.0)[1], turn(1.0)[0]) == pytest.approx(pi / 2)


def test_labels_come_from_the_same_rays_as_the_image() -> None:
    dataset = Scenes(size=[32, 40])
    room = dataset.room("test", 3)
    camera = room.path.at(0)
    hits = cast(room.table, camera, 32, 40)
    labels = labels_of(room, camera, hits, surface_of(room.table, camera, hits))
    sample = dataset.sample("test", 3)
    assert all(np.array_equal(labels[task], sample.labels[task]) for task in labels)

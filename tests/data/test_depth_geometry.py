"""Normals, occlusion edges and smaller depth images, against closed forms and a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtlbench.data.depth_geometry import Intrinsics, Resampling, normals_from_depth, occlusion_edges

CAMERA = Intrinsics(110.0, 110.0, 60.0, 45.0)
HEIGHT, WIDTH = 90, 120
V, U = np.mgrid[:HEIGHT, :WIDTH].astype(float)
RAYS = np.stack([(U - CAMERA.cx) / CAMERA.fx, (V - CAMERA.cy) / CAMERA.fy, np.ones_like(U)], axis=-1)
KINECT_STEP = 2.9e-3  # of inverse depth in 1 / m: neighbouring raw values of a Kinect v1


def unit(*vector: float) -> np.ndarray:
    return np.array(vector) / np.linalg.norm(vector)


def plane(normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth of the plane n . P = -distance, whose normal looks at the camera."""
    return -distance / (RAYS @ normal)


def angles_deg(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Angles at the pixels that have a normal."""
    known = (found != 0).any(axis=-1)
    cosine = (found * truth).sum(axis=-1)[known]
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


SLOPES = [unit(0, 0, -1), unit(0.8, 0, -1), unit(-0.4, 0.9, -1), unit(0, -1, -0.6)]


# Normals


@pytest.mark.parametrize("normal", SLOPES)
def test_a_plane_has_its_normal_everywhere(normal: np.ndarray) -> None:
    found = normals_from_depth(plane(normal, 1.5), CAMERA)
    assert (found != 0).any(axis=-1).mean() > 0.999
    assert angles_deg(found, normal).max() < 0.1


@pytest.mark.parametrize("normal", SLOPES)
def test_holes_do_not_bend_a_plane(normal: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    depth = plane(normal, 1.5)
    missing = rng.random(depth.shape) < 0.02
    missing[20:40, 30:70] = True
    depth[missing] = rng.choice([0.0, np.nan, -1.0, np.inf], missing.sum())
    found = normals_from_depth(depth, CAMERA)
    assert (found[missing] == 0).all()
    assert (found[~missing] != 0).any(axis=-1).mean() > 0.95
    assert angles_deg(found, normal).max() < 0.1


@pytest.mark.parametrize("normal", SLOPES[:3])
def test_the_noise_of_a_kinect_moves_normals_by_little(normal: np.ndarray) -> None:
    inverse = 1 / plane(normal, 1.5)
    inverse += np.random.default_rng(1).normal(0, KINECT_STEP / 2, inverse.shape)
    found = normals_from_depth(1 / (np.rint(inverse / KINECT_STEP) * KINECT_STEP), CAMERA)
    off = angles_deg(found, normal)
    assert np.median(off) < 1
    assert np.quantile(off, 0.99) < 4


def test_normals_are_unit_vectors_that_face_the_camera() -> None:
    depth = np.random.default_rng(2).uniform(1, 1.02, (HEIGHT, WIDTH))
    depth[:, :5] = 0
    found = normals_from_depth(depth, CAMERA).astype(float)
    known = (found != 0).any(axis=-1)
    assert 0.5 < known.mean() < 1
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1, atol=1e-6)
    assert ((found * RAYS).sum(axis=-1)[known] < 0).all()


def test_a_sphere_has_its_normals() -> None:
    centre, radius = np.array([0.1, -0.05, 2.0]), 0.7
    along, squared = RAYS @ centre, (RAYS**2).sum(axis=-1)
    inside = along**2 - squared * (centre @ centre - radius**2)
    depth = np.where(inside > 0, (along - np.sqrt(np.maximum(inside, 0))) / squared, 0)
    truth = (depth[..., None] * RAYS - centre) / radius
    found = normals_from_depth(depth, CAMERA, radius=2)
    facing = (truth * RAYS).sum(axis=-1) < -0.5 * np.linalg.norm(
        RAYS, axis=-1
    )  # less than 60 degrees oblique
    facing &= depth > 0
    assert facing.sum() > 500
    assert (found[facing] != 0).any(axis=-1).all()
    off = angles_deg(np.where(facing[..., None], found, 0), truth)
    assert np.median(off) < 1
    assert off.max() < 4


def two_planes() -> tuple[np.ndarray, np.ndarray]:
    """Depth of a near plane left and a far one right of a slanting boundary, and the normals."""
    near, far = unit(0.5, 0.1, -1), unit(-0.5, 0.2, -1)
    left = U + 0.3 * V < 75
    return np.where(left, plane(near, 1.2), plane(far, 2.6)), np.where(left[..., None], near, far)


def test_nothing_bleeds_over_a_depth_step() -> None:
    depth, truth = two_planes()
    found = normals_from_depth(depth, CAMERA)
    assert (found != 0).any(axis=-1).mean() > 0.99
    assert angles_deg(found, truth).max() < 0.1


def test_the_step_option_is_what_stops_it() -> None:
    depth, truth = two_planes()
    found = normals_from_depth(depth, CAMERA, step=1.0)
    assert angles_deg(found, truth).max() > 20


def test_a_crease_is_rounded_within_the_radius_alone() -> None:
    left, right = unit(0.6, 0, -1), unit(-0.6, 0, -1)
    depth = np.where(U < 60, plane(left, 1.5), plane(right, 1.5))
    truth = np.where((U < 60)[..., None], left, right)
    found = normals_from_depth(depth, CAMERA, radius=4)
    away = np.abs(U - 59.5) > 6  # 4 pixels at 1 m are 5 at 1.7 m
    assert angles_deg(np.where(away[..., None], found, 0), truth).max() < 0.1


def slow_normal(
    depth: np.ndarray, y: int, x: int, camera: Intrinsics, radius: float, step: float
) -> np.ndarray:
    """One normal by walking the support pixel by pixel and a library's least squares."""
    reach = max(round(radius * math.sqrt(depth[y, x])), 1)

    def linked(a: tuple[int, int], b: tuple[int, int]) -> bool:
        """Whether b is a neighbour of a on the same surface."""
        (height, width), (dy, dx) = depth.shape, (b[0] - a[0], b[1] - a[1])
        before, after = (a[0] - dy, a[1] - dx), (b[0] + dy, b[1] + dx)

        def inverse(p: tuple[int, int]) -> float | None:
            inside = 0 <= p[0] < height and 0 <= p[1] < width
            return 1 / depth[p] if inside and depth[p] > 0 else None

        wa, wb, w0, w3 = inverse(a), inverse(b), inverse(before), inverse(after)
        if wa is None or wb is None:
            return False
        change = wb - wa
        slopes = [s for s in (w0 and wa - w0, w3 and w3 - wb) if s is not None]
        common = max(min((math.copysign(1, change) * s for s in slopes), default=0), 0)
        return max(abs(change) - common, 0) / max(wa, wb) <= step

    def walk(start: tuple[int, int], dy: int, dx: int, most: int) -> list[tuple[int, int]]:
        reached = [start]
        for _ in range(most):
            here = reached[-1]
            there = (here[0] + dy, here[1] + dx)
            inside = 0 <= there[0] < depth.shape[0] and 0 <= there[1] < depth.shape[1]
            if not inside or not linked(here, there):
                break
            reached.append(there)
        return reached[1:]

    support = []
    for row in [(y, x), *walk((y, x), 1, 0, reach), *walk((y, x), -1, 0, reach)]:
        own = max(round(radius * math.sqrt(depth[row])), 1)
        support += [row, *walk(row, 0, 1, own), *walk(row, 0, -1, own)]
    v, u = np.array(support, float).T
    spread = len(u) * np.linalg.eigvalsh(np.cov(u, v, bias=True))[0] if len(u) > 1 else 0
    if spread < 1 / 16 * (2 * reach + 1) ** 2 * reach * (reach + 1) / 3:
        return np.zeros(3)
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones_like(u)], axis=1)
    normal, *_ = np.linalg.lstsq(rays, [1 / depth[p] for p in support], rcond=None)
    return -normal / np.linalg.norm(normal)


def test_a_slow_reference_finds_the_same() -> None:
    rng = np.random.default_rng(3)
    height, width = 26, 32
    camera = Intrinsics(30, 28, 15, 12)
    depth = 1.2 + 0.02 * np.arange(width) + 0.02 * rng.random((height, width))
    depth[:, 20:] += 0.5
    depth[rng.random(depth.shape) < 0.05] = 0
    depth[5:9, 4:12] = 0
    fast = normals_from_depth(depth, camera, radius=3, step=0.03)
    for y, x in np.argwhere(depth > 0):
        slow = slow_normal(depth, y, x, camera, 3, 0.03)
        np.testing.assert_allclose(fast[y, x], slow, atol=1e-5, err_msg=f"{y}, {x}")


# Occlusion edges


def test_the_edge_lies_on_the_last_pixel_of_the_near_side() -> None:
    for near, far in ((np.s_[:, :7], np.s_[:, 7:]), (np.s_[:, 8:], np.s_[:, :8])):
        depth = np.empty((6, 15))
        depth[near], depth[far] = 1.0, 1.5
        edge = occlusion_edges(depth)
        assert np.unique(np.nonzero(edge)[1]).tolist() == [6 if near == np.s_[:, :7] else 8]
        assert (edge.sum(axis=1) == 1).all()
        np.testing.assert_array_equal(occlusion_edges(depth.T), edge.T)


@pytest.mark.parametrize(("far", "found"), [(1.04, 0), (1.06, 1)])
def test_the_step_is_a_share_of_the_farther_depth(far: float, found: int) -> None:
    depth = np.ones((4, 8))
    depth[:, 4:] = far
    for scale in (0.5, 1, 4):
        assert occlusion_edges(scale * depth, step=0.05).sum() == 4 * found


@pytest.mark.parametrize("normal", SLOPES)
def test_no_plane_holds_an_edge_however_oblique(normal: np.ndarray) -> None:
    depth = plane(normal, 1.5)
    depth[:, 20:23] = 0
    edge = occlusion_edges(depth, step=0.02)
    assert not (edge == 1).any()
    assert (edge == 0).mean() > 0.95


def test_the_steps_of_an_oblique_floor_would_count_by_themselves() -> None:
    depth = plane(SLOPES[3], 1.5)
    assert (-np.diff(depth, axis=0) / depth[:-1]).max() > 0.04


def test_a_crease_is_no_occlusion() -> None:
    depth = np.where(U < 60, plane(unit(0.6, 0, -1), 1.5), plane(unit(-0.6, 0, -1), 1.5))
    assert not occlusion_edges(depth).any()


def test_a_narrow_hole_is_looked_across_and_a_wide_one_is_not() -> None:
    depth = np.full((5, 40), 2.0)
    depth[:, 20:] = 3.0
    depth[:, 20:24] = 0
    edge = occlusion_edges(depth, bridge=4)
    assert (edge[:, 19] == 1).all()
    assert (edge[:, 20:25] == 255).all()
    assert (edge[:, :19] == 0).all()
    assert (edge[:, 25:] == 0).all()
    across = occlusion_edges(depth, bridge=3)
    assert not (across == 1).any()
    assert (across[:, 19:25] == 255).all()


def test_a_hole_in_one_surface_is_ignored_with_its_rim() -> None:
    depth = plane(unit(0.8, 0, -1), 1.5)
    depth[10:14, 50:55] = 0
    edge = occlusion_edges(depth)
    expected = np.zeros(depth.shape, np.uint8)
    expected[9:15, 50:55] = expected[10:14, 49:56] = 255
    np.testing.assert_array_equal(edge, expected)


def test_nothing_but_holes_is_all_ignored() -> None:
    assert (occlusion_edges(np.zeros((5, 6))) == 255).all()
    assert (normals_from_depth(np.zeros((5, 6)), CAMERA) == 0).all()


SMALL_DEPTH = arrays(np.float64, (7, 9), elements=st.sampled_from([0.0, 1.0, 1.02, 1.5, 2.0, 3.0]))


@given(SMALL_DEPTH)
def test_mirrored_depth_has_mirrored_edges_and_normals(depth: np.ndarray) -> None:
    np.testing.assert_array_equal(occlusion_edges(depth[:, ::-1]), occlusion_edges(depth)[:, ::-1])
    np.testing.assert_array_equal(occlusion_edges(depth[::-1]), occlusion_edges(depth)[::-1])
    camera = Intrinsics(10, 10, 4, 3)  # the very middle, so that the mirrored camera is the same
    found = normals_from_depth(depth, camera, radius=1)
    mirrored = normals_from_depth(depth[:, ::-1], camera, radius=1)
    np.testing.assert_allclose(mirrored, found[:, ::-1] * [-1, 1, 1], atol=1e-5)


# Smaller depth images


@settings(deadline=None)
@given(SMALL_DEPTH, st.integers(1, 12), st.integers(1, 14))
def test_each_value_is_one_of_its_box_and_the_median_of_the_valid_ones(
    depth: np.ndarray, height: int, width: int
) -> None:
    smaller = Resampling(depth, (height, width))
    edge = occlusion_edges(depth)
    depths, edges = smaller.take(depth), smaller.edges(edge)
    places = smaller.take(np.arange(1, depth.size + 1).reshape(depth.shape))
    assert depths.shape == edges.shape == (height, width)
    for y in range(height):
        for x in range(width):
            rows = slice(y * 7 // height, max((y + 1) * 7 // height, y * 7 // height + 1))
            columns = slice(x * 9 // width, max((x + 1) * 9 // width, x * 9 // width + 1))
            box, edge_box = depth[rows, columns].ravel(), edge[rows, columns].ravel()
            valid = np.sort(box[box > 0])
            if 2 * valid.size < box.size:
                assert depths[y, x] == places[y, x] == 0
            else:
                assert depths[y, x] == valid[(valid.size - 1) // 2]
                assert depths[y, x] == depth.ravel()[places[y, x] - 1]
            mostly_ignored = 2 * (edge_box == 255).sum() >= edge_box.size
            assert edges[y, x] == (1 if (edge_box == 1).any() else 255 if mostly_ignored else 0)


def test_vectors_come_from_the_pixel_that_depth_comes_from() -> None:
    depth = np.random.default_rng(4).uniform(1, 3, (12, 16))
    smaller = Resampling(depth, (4, 4))
    vectors = smaller.take(np.stack([depth, 2 * depth, -depth], axis=-1))
    assert vectors.shape == (4, 4, 3)
    np.testing.assert_array_equal(vectors, smaller.take(depth)[..., None] * [1, 2, -1])


def test_the_same_size_changes_nothing() -> None:
    depth = np.where(np.random.default_rng(5).random((6, 8)) < 0.3, 0, 2.0).astype(np.float32)
    smaller = Resampling(depth, (6, 8))
    np.testing.assert_array_equal(smaller.take(depth), depth)
    np.testing.assert_array_equal(smaller.edges(occlusion_edges(depth)), occlusion_edges(depth))

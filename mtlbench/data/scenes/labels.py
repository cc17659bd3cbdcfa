"""Labels that follow from what the rays hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Camera
from mtlbench.data.scenes.raycast import Hits
from mtlbench.data.scenes.room import Room
from mtlbench.data.scenes.surface import Surface

__all__ = ["edge_label", "labels_of", "saliency_label"]


def labels_of(room: Room, camera: Camera, hits: Hits, surface: Surface) -> dict[str, NDArray[np.generic]]:
    """All labels of a picture, in the layouts of `mtlbench.tasks.base`."""
    return {
        "semseg": room.table.labels.take(hits.part),
        "depth": hits.depth.astype(np.float32),
        "normals": _camera_normals(camera, hits, surface),
        "saliency": saliency_label(room, hits),
        "edge": edge_label(hits),
    }


def _camera_normals(camera: Camera, hits: Hits, surface: Surface) -> NDArray[np.float32]:
    x, y, z = surface.normal
    normals = np.empty((*hits.depth.shape, 3), dtype=np.float32)
    for channel, axis in enumerate((camera.right, camera.down, camera.forward)):
        normals[..., channel] = (axis[0] * x + axis[1] * y + axis[2] * z).reshape(hits.depth.shape)
    return normals


def saliency_label(room: Room, hits: Hits) -> NDArray[np.uint8]:
    """1 on the vivid items that show at least half as many pixels as the one that shows most."""
    items = room.table.items.take(hits.part)
    counts = np.bincount(items.ravel(), minlength=room.table.items[-1] + 1)
    shown = {item: int(counts[item]) for item in room.vivid}
    most = max(shown.values(), default=0)
    salient = np.zeros(counts.size, dtype=np.uint8)
    for item, count in shown.items():
        salient[item] = 2 * count >= most > 0
    return salient.take(items)


def edge_label(hits: Hits) -> NDArray[np.uint8]:
    """1 where a 4-neighbour shows another part further away (at equal depth: further right or down).

    The line is one pixel wide and lies on the nearer part. Faces of the room are parts of their own; the
    faces of one box are not.
    """
    edge = np.zeros(hits.part.shape, dtype=np.uint8)
    for ahead, behind in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        differs = hits.part[ahead] != hits.part[behind]
        first_nearer = hits.depth[ahead] <= hits.depth[behind]
        edge[ahead] |= differs & first_nearer
        edge[behind] |= differs & ~first_nearer
    return edge

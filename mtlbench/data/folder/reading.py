"""One sample from its files, at the size they have."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mtlbench.data.folder.description import Description
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.files import Photo, Refuse, read_photo
from mtlbench.data.folder.index import Entry
from mtlbench.errors import DataError

__all__ = ["read_labels", "read_photo"]


def read_labels(
    entry: Entry, photo: Photo, description: Description, refuse: Refuse
) -> dict[str, NDArray[Any]]:
    """By task, the labels that the sample has: [H, W, ...] in the layout of the task, H and W those of `photo`.

    A label that cannot be used is told to `refuse` and left out.
    """
    labels: dict[str, NDArray[Any]] = {}
    for name, file in entry.labels.items():
        known = description.tasks[name]
        try:
            label = known.encoding.read(file, known.task)
        except DataError as error:
            refuse(error)
            continue
        if label.shape != known.task.empty_label(*photo.size).shape:
            refuse(_other_size(label.shape[:2], photo, str(file)))
            continue
        labels[name] = label
    return labels


def _other_size(size: tuple[int, ...], photo: Photo, where: str) -> FolderError:
    """What is wrong with a label of another (height, width) than its image."""
    label, image = "x".join(map(str, size)), "x".join(map(str, photo.size))
    what = f"the label is {label} pixels (height x width), its image {image}"
    kind = "a label is not of the size of its image"
    fix = "Scale the label to the size of its image, by nearest neighbour"
    if photo.turned and size == photo.stored:
        turned = " once it is turned as its EXIF orientation says"
        what, kind = what + turned, kind + turned
        fix = "Turn the label as well, or save the image without an EXIF orientation"
    detail = f"{label} pixels (height x width), its image {image}"
    return FolderError(what, where=where, kind=kind, detail=detail, fix=fix)

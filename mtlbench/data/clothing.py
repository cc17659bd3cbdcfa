"""`clothing`: Clothing Co-Parsing, street photos of one person each with hand-made masks of 59 labels.

Yang, Luo and Lin, "Clothing Co-Parsing by Joint Image Segmentation and Labeling", CVPR 2014. The data is read
in its upstream layout; only the 1004 photos with pixel-level masks are used. From one mask come four tasks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from mtlbench import component
from mtlbench.data.base import Dataset, Sample
from mtlbench.data.clothing_groups import GARMENTS, LABELS, PARTS, garment_of_label, part_of_label
from mtlbench.data.geometry import Placement, part_boundaries
from mtlbench.data.splits import hashed_splits
from mtlbench.errors import DataError
from mtlbench.hashing import digest

__all__ = ["NEAR_DUPLICATES", "Clothing"]

FOLDER = "clothing-co-parsing"
IGNORE = 255
SPLIT_SALT = "mtlbench/clothing/1"

# One picture twice, up to a small shift. Found by eye among the pairs whose 32 x 48 colour thumbnails
# correlate best over shifts of up to 1/8 of the side and mirroring: the first seven (0.866 and above). The
# next 41 (0.861 and below) show different people.
NEAR_DUPLICATES = (
    ("0078", "0984"),
    ("0183", "0730"),
    ("0197", "0671"),
    ("0223", "0616"),
    ("0594", "0722"),
    ("0692", "0732"),
    ("0907", "0990"),
)

_LAYOUT = f"{FOLDER}/ holds photos/NNNN.jpg, annotations/pixel-level/NNNN.mat and label_list.mat"
_FIX = f"Set MTLBENCH_DATA to the folder that holds {FOLDER}/, or the option `root` to {FOLDER}/ itself"
_RESTORE = "Restore the file from upstream"

_Side = Annotated[int, Field(ge=8)]
_Limit = Annotated[int, Field(ge=1)] | None


class Clothing(Dataset):
    """Clothing Co-Parsing with the tasks human_parts, semseg, saliency and edge.

    The splits are fixed: 70 / 10 / 20 % of the photos by the hash of their id (704 / 100 / 200 of all 1004),
    with near-duplicates kept in one split. A mask without any labelled pixel (upstream has one, 0536) means
    that nobody drew it: its sample carries no labels.

    Attributes of a labelled sample: `complexity`, how many upstream labels its mask holds beside background;
    `person_share`, the share of the photo's pixels on the person.
    """

    name = "clothing"
    version = 1

    class Options(component.Options):
        """Options of `clothing`; `root` says only where the data lies, so it is no part of any identity."""

        size: component.Row[tuple[_Side, _Side]] = Field(
            (192, 128), description="(height, width) of every sample in pixels"
        )
        train: _Limit = Field(None, description="at most so many training samples; smaller runs are subsets")
        val: _Limit = Field(None, description="at most so many validation samples")
        test: _Limit = Field(None, description="at most so many test samples")
        root: str | None = Field(
            None, exclude=True, description=f"folder of the data; default $MTLBENCH_DATA/{FOLDER}"
        )

    options: Clothing.Options

    @classmethod
    def tasks(cls, options: dict[str, Any]) -> Mapping[str, dict[str, Any]]:
        """See `Dataset.tasks`."""
        return {
            "human_parts": {"classes": list(PARTS)},
            "semseg": {"classes": list(GARMENTS)},
            "saliency": {},
            "edge": {},
        }

    def length(self, split: str) -> int:
        """See `Dataset.length`."""
        return len(self._ids[split])

    def sample(self, split: str, index: int) -> Sample:
        """See `Dataset.sample`."""
        name = self._ids[split][index]
        photo = _read_photo(self._root / "photos" / f"{name}.jpg")
        mask_file = _mask_file(self._root, name)
        mask = _read_mask(mask_file)
        if mask.shape != photo.shape[:2]:
            raise DataError(
                f"the mask is {mask.shape} pixels, its photo {photo.shape[:2]}",
                where=str(mask_file),
                fix=_RESTORE,
            )
        placement = Placement.fit(mask.shape, self.options.size)
        image = placement.image(photo)
        if not mask.any():
            return Sample(name, image, {})
        attributes = {
            "complexity": float(np.count_nonzero(np.unique(mask))),
            "person_share": np.count_nonzero(mask) / mask.size,
        }
        return Sample(name, image, _labels(mask, placement), attributes)

    def fingerprint(self) -> str:
        """See `Dataset.fingerprint`; hashes every photo and mask, whatever the options select."""
        return digest(
            {
                "dataset": self.name,
                "version": self.version,
                "options": self.options.model_dump(mode="json"),
                "content": _content_hash(self._root, tuple(_stamps(self._root, self._names))),
            }
        )

    @cached_property
    def _root(self) -> Path:
        """The folder of the data, checked for its layout and its list of labels."""
        if self.options.root is not None:
            root = Path(self.options.root).expanduser()
        elif os.environ.get("MTLBENCH_DATA"):
            root = Path(os.environ["MTLBENCH_DATA"]).expanduser() / FOLDER
        else:
            raise DataError(f"the clothing data has no place: MTLBENCH_DATA is not set. {_LAYOUT}", fix=_FIX)
        for part in ("photos", "annotations/pixel-level", "label_list.mat"):
            if not (root / part).exists():
                raise DataError(
                    f"no clothing data here: {part} is missing. {_LAYOUT}", where=str(root), fix=_FIX
                )
        _check_label_list(root / "label_list.mat")
        return root

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """Ids of all photos with a mask, sorted."""
        folder = self._root / "annotations" / "pixel-level"
        names = tuple(sorted(file.stem for file in folder.glob("*.mat")))
        if not names:
            raise DataError("the folder holds no masks NNNN.mat", where=str(folder), fix=_FIX)
        return names

    @cached_property
    def _ids(self) -> dict[str, tuple[str, ...]]:
        n = len(self._names)
        # Test is filled first, so that it changes least where photos are missing.
        sizes = {"test": n // 5, "val": n // 10, "train": n - n // 5 - n // 10}
        twins = {twin: pair[0] for pair in NEAR_DUPLICATES for twin in pair}
        splits = hashed_splits(self._names, sizes, SPLIT_SALT, twins)
        limits = {"train": self.options.train, "val": self.options.val, "test": self.options.test}
        return {split: splits[split][: limits[split]] for split in self.splits}


def _labels(mask: NDArray[np.uint8], placement: Placement) -> dict[str, NDArray[np.uint8]]:
    """The labels of all tasks from a mask of upstream labels [H, W], in the placement's frame."""
    scaled = placement.scale_labels(mask)
    parts = part_of_label()[scaled]
    maps = {
        "human_parts": parts,
        "semseg": garment_of_label()[scaled],
        "saliency": (scaled > 0).astype(np.uint8),
        # From the scaled map, because scaling a thin line would break or widen it.
        "edge": part_boundaries(parts),
    }
    return {task: placement.pad_labels(label, IGNORE) for task, label in maps.items()}


def _mask_file(root: Path, name: str) -> Path:
    return root / "annotations" / "pixel-level" / f"{name}.mat"


def _read_photo(file: Path) -> NDArray[np.uint8]:
    """A photo as uint8 [H, W, 3]."""
    try:
        with Image.open(file) as photo:
            return np.asarray(photo.convert("RGB"))
    except FileNotFoundError as error:
        raise DataError("a mask has no such photo", where=str(file), fix=_RESTORE) from error
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"the photo cannot be read: {error}", where=str(file), fix=_RESTORE) from error


def _read_mat(file: Path, key: str) -> NDArray[Any]:
    """One variable of a MATLAB file."""
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=[key])
    except Exception as error:  # scipy raises whatever corrupt bytes lead its parser to
        raise DataError(
            f"the MATLAB file cannot be read: {error!r}", where=str(file), fix=_RESTORE
        ) from error
    if key not in content:
        raise DataError(f"the MATLAB file holds no variable {key!r}", where=str(file), fix=_RESTORE)
    value: NDArray[Any] = content[key]
    return value


def _read_mask(file: Path) -> NDArray[np.uint8]:
    """A mask of upstream labels, uint8 [H, W]."""
    mask = _read_mat(file, "groundtruth")
    is_map = mask.ndim == 2 and mask.size > 0 and mask.dtype.kind in "iu"
    if not is_map or mask.min() < 0 or mask.max() >= len(LABELS):
        raise DataError(
            f"`groundtruth` is not a map of labels 0 to {len(LABELS) - 1}: {mask.dtype} {mask.shape}",
            where=str(file),
            fix=_RESTORE,
        )
    return mask.astype(np.uint8)


@lru_cache(maxsize=8)
def _check_label_list(file: Path) -> None:
    """Refuse data whose labels are not those that the grouping table was made for."""
    found = [str(name.squeeze()) for name in _read_mat(file, "label_list").ravel()]
    if found != [label.name for label in LABELS]:
        raise DataError(
            "the labels are not those of Clothing Co-Parsing, so their groups are unknown",
            where=str(file),
            fix=_RESTORE,
        )


def _stamps(root: Path, names: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Of every file behind the samples: path under `root`, size in bytes, time of last change in ns."""
    for name in names:
        for file in (f"photos/{name}.jpg", f"annotations/pixel-level/{name}.mat"):
            try:
                stat = (root / file).stat()
            except FileNotFoundError as error:
                raise DataError("a mask has no such photo", where=str(root / file), fix=_RESTORE) from error
            yield file, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=8)
def _content_hash(root: Path, files: tuple[tuple[str, int, int], ...]) -> str:
    """Hash of names, sizes and bytes of `files`; remembered for as long as none of them is touched."""
    total = hashlib.sha256()
    for name, size, _ in files:
        content = hashlib.sha256((root / name).read_bytes()).hexdigest()
        total.update(f"{name}\0{size}\0{content}\n".encode())
    return total.hexdigest()

"""`folder`: a user's own images and labels, described by one `dataset.yaml`. How to: `docs/own-data.md`."""

from mtlbench.data.folder.dataset import Folder

__all__ = ["Folder"]

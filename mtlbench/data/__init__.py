"""Datasets. One file (or folder) per dataset, one line here."""

from mtlbench.data.base import Dataset, Sample, registry

__all__ = ["Dataset", "Sample", "registry"]

registry.add(
    "scenes", "mtlbench.data.scenes:Scenes", "embedded: ray-cast rooms with exact labels; no download"
)
registry.add(
    "clothing",
    "mtlbench.data.clothing:Clothing",
    "Clothing Co-Parsing: 1004 photos with hand-made part labels",
)
registry.add(
    "folder", "mtlbench.data.folder:Folder", "your own images and labels, described by a dataset.yaml"
)
registry.add(
    "seven_scenes",
    "mtlbench.data.seven_scenes:SevenScenes",
    "7-Scenes: video of rooms with metric depth, normals and occlusion edges from it",
)

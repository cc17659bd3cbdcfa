"""Tasks: what is predicted, its loss, its metrics, its colours. One file per task, one line here."""

from mtlbench.tasks.base import Direction, Task, registry

__all__ = ["Direction", "Task", "registry"]

registry.add("semseg", "mtlbench.tasks.semseg:SemSeg", "semantic segmentation, mIoU")
registry.add("human_parts", "mtlbench.tasks.human_parts:HumanParts", "parts of people, mIoU")
registry.add("saliency", "mtlbench.tasks.saliency:Saliency", "salient foreground, mIoU and maximal F")
registry.add("edge", "mtlbench.tasks.edge:Edge", "boundaries, pixel F at the optimal dataset threshold")
registry.add("normals", "mtlbench.tasks.normals:Normals", "surface normals, mean angle in degrees")
registry.add("depth", "mtlbench.tasks.depth:Depth", "metric depth, RMSE in metres")

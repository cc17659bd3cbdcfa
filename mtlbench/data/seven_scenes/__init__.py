"""`seven_scenes`: Microsoft 7-Scenes, Kinect video of rooms."""

from mtlbench.data.seven_scenes.dataset import SevenScenes, SevenScenesOptions

__all__ = ["SevenScenes", "SevenScenesOptions"]

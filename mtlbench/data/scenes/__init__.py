"""The embedded dataset `scenes`: ray-cast rooms with exact labels."""

from mtlbench.data.scenes.dataset import Scenes

__all__ = ["Scenes"]

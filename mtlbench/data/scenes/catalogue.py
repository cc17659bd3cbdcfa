"""Which items rooms are furnished with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from mtlbench.data.scenes import decor, furniture
from mtlbench.data.scenes.chance import Chance
from mtlbench.data.scenes.item import Item
from mtlbench.data.scenes.materials import Painter

__all__ = ["BUILDERS", "CLUTTER", "VIVID"]

Builder = Callable[[Chance, Painter, bool], Item]

BUILDERS: Mapping[str, Builder] = MappingProxyType(
    {
        "picture": decor.picture,
        "rug": decor.rug,
        "table": furniture.table,
        "chair": furniture.chair,
        "sofa": furniture.sofa,
        "cabinet": furniture.cabinet,
        "lamp": decor.lamp,
        "plant": decor.plant,
        "ball": decor.ball,
    }
)
"""What can be put into a room; clutter on table tops is separate."""

CLUTTER: tuple[Callable[[Chance, Painter], Item], ...] = (decor.table_lamp, decor.pot_plant, decor.small_ball)
"""What can stand on a surface."""

VIVID = ("table", "chair", "sofa", "cabinet", "ball")
"""Kinds that can be salient."""

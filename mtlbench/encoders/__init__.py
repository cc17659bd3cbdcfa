"""Encoders. One file per family, one line here."""

from mtlbench.encoders.base import Encoder, registry

__all__ = ["Encoder", "registry"]

registry.add("vit", "mtlbench.encoders.vit:ViT", "vision transformer: nano, tiny, small, base")

"""Dense prediction heads. One file per head, one line here."""

from mtlbench.heads.base import Head, registry

__all__ = ["Head", "registry"]

registry.add("multiscale", "mtlbench.heads.multiscale:MultiScaleHead", "fuses feature maps of all scales")
registry.add("adamtl", "mtlbench.heads.released_adamtl:AdaMTLHead", "the decoder of AdaMTL's released code")

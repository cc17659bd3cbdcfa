"""A small honest adaptive variant for tests: flat patches leave the static network early and really cost less.

A patch whose contrast is low is halted after the second block: the later blocks compute without it, and its token stays
as it is. What is left out is gathered away, never masked, so an input costs what the trace says.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from mtlbench.cost.formulas import attention_macs, linear_macs
from mtlbench.variants import Axis, Provenance
from mtlbench.variants.base import Runnable, Trace
from mtlbench.variants.network import DenseRunnable
from mtlbench.variants.static_mtl import StaticMTL

WHOLE = 2
CONTRAST = 0.25


class ToyAdaptive(StaticMTL):
    """The static network with tokens halted by contrast; `keep` 1.0 halts none."""

    name = "toy_adaptive"
    family = "toy_adaptive"
    reference = "static_mtl"
    decision = "token"
    axes: ClassVar = (Axis("keep", (1.0, 0.5), "configure", "expected", is_budget=True),)
    provenance = Provenance("ours")

    def artifacts(self, point, source):
        return StaticMTL(self.problem).artifacts(point, source)

    def configure(self, point, tasks=None, mode=None, device="cpu"):
        return Halting(self._network.to(device), tuple(tasks or self.problem.task_names), point["keep"])

    def dense(self, device="cpu"):
        return DenseRunnable([(self._network, self.problem.task_names)], device)


class Halting(Runnable):
    """The network with tokens of low contrast left out of all blocks after the first `WHOLE`."""

    def __init__(self, network, tasks, keep):
        self.network = network
        self.tasks = tasks
        self.keep = keep

    def __call__(self, x, decisions=None):
        encoder = self.network.encoder
        decided = self.policy(x)
        kept = decisions.decisions if decisions else decided
        tokens = encoder.embed(x)
        maps = []
        for i, block in enumerate(encoder.blocks):
            tokens = block(tokens) if i < WHOLE else self.sparse(block, tokens, kept)
            if i in encoder.tap_blocks:
                maps.append(encoder.to_map(tokens, len(maps)))
        predictions = {name: self.network.heads[name](maps) for name in self.tasks}
        return predictions, self.trace(kept, len(encoder.blocks))

    def policy(self, x):
        """Which of the h * w patches of each sample stay: bool [B, h * w]."""
        encoder = self.network.encoder
        patch = encoder.options.patch
        patches = x.mean(1).unfold(1, patch, patch).unfold(2, patch, patch).flatten(1, 2).flatten(2)
        return patches.std(dim=2) > (CONTRAST if self.keep < 1 else -1)

    def forced(self, x, seed):
        """Exactly `keep` of the patches of each sample stay, anywhere."""
        encoder = self.network.encoder
        patches = encoder.grid[0] * encoder.grid[1]
        chance = torch.rand(len(x), patches, generator=torch.Generator().manual_seed(seed))
        kept = chance.argsort(dim=1) < round(self.keep * patches)
        return self.trace(kept, len(encoder.blocks))

    def sparse(self, block, tokens, kept):
        rows = []
        for row, stays in zip(tokens, kept, strict=True):
            index = torch.cat((torch.tensor([0]), 1 + stays.nonzero()[:, 0]))
            rows.append(row.index_copy(0, index, block(row[None, index])[0]))
        return torch.stack(rows)

    def trace(self, kept, depth):
        encoder, count = self.network.encoder, kept.sum(1).tolist()
        whole = {"attention": self.attention(kept.shape[1]), "mlp": kept.shape[1] + 1}
        active = {
            f"encoder.block.{i}.{kind}": torch.tensor(
                [(self.attention(n) if kind == "attention" else n + 1) / total for n in count],
                dtype=torch.float64,
            )
            for i in range(WHOLE, depth)
            for kind, total in whole.items()
        }
        shares = torch.where(kept, 1.0, WHOLE / depth).reshape(-1, *encoder.grid)
        return Trace(len(kept), active=active, decisions=kept, kept={"all": shares})

    def attention(self, patches):
        dim, one = self.network.encoder.dim, (1, patches + 1, self.network.encoder.dim)
        return linear_macs(patches + 1, dim, 4 * dim) + attention_macs(one, one, one)

    def units(self):
        return self.network.units(self.tasks)

    def networks(self):
        return [self.network]

    def parts(self):
        return self.network.parts(self.tasks)


def install(folder):
    """This file as a package with an entry point, below `folder`; returns what PYTHONPATH must hold."""
    metadata = folder / "toy_adaptive-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-adaptive\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[mtlbench.variants]\ntoy_adaptive = toy_adaptive:ToyAdaptive\n"
    )
    with open(__file__, encoding="utf-8") as source:
        (folder / "toy_adaptive.py").write_text(source.read(), encoding="utf-8")
    return folder

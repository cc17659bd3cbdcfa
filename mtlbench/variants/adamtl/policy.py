"""The policy networks of AdaMTL (Neseem et al., CVPRW 2023): logits for blocks and tokens, by task.

A positive logit speaks for keeping; the policy's probability is its sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mtlbench.cost.formulas import linear_macs
from mtlbench.encoders.blocks import BlockEncoder
from mtlbench.variants.adamtl.options import AdaMTLOptions

__all__ = ["BlockPolicy", "Policies", "TokenPolicy"]

_EVERYONE = "all"


class Scorer(nn.Module):
    """Two linear layers with a ReLU between them.

    Args:
        dim: channels of a token.
        hidden: channels between the layers.
        inputs: hidden vectors that the second layer sees side by side.
        outputs: logits.
    """

    def __init__(self, dim: int, hidden: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mlp = nn.Linear(dim, hidden)
        self.fc = nn.Linear(hidden * inputs, outputs)

    def forward(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Tokens [..., dim] to logits [..., outputs]; those of some `rows` of the last layer alone."""
        hidden = F.relu(self.mlp(x))
        if self.fc.in_features != self.mlp.out_features:
            hidden = hidden.flatten(1)
        if rows is None:
            logits: Tensor = self.fc(hidden)
            return logits
        return F.linear(hidden, self.fc.weight[rows], self.fc.bias[rows])

    def macs(self, vectors: int, outputs: int) -> int:
        """MACs per image for so many tokens and so many of the logits of each result."""
        results = vectors * self.mlp.out_features // self.fc.in_features
        return linear_macs(vectors, self.mlp.in_features, self.mlp.out_features) + linear_macs(
            results, self.fc.in_features, outputs
        )


class _Policy(nn.Module):
    """Scorers of all tasks: one with a shared first layer, or one each.

    Args:
        names: tasks in order; empty for a policy without tasks.
        shared: whether tasks share the first layer.
        dim, hidden, inputs: of each scorer.
        outputs: logits of each task.
    """

    def __init__(
        self, names: Sequence[str], shared: bool, dim: int, hidden: int, inputs: int, outputs: int
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.outputs = outputs
        self.joined = shared or not names
        count = max(len(names), 1) if self.joined else 1
        owners = (_EVERYONE,) if self.joined else self.names
        self.scorers = nn.ModuleDict(
            {owner: Scorer(dim, hidden, inputs, outputs * count) for owner in owners}
        )
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=0.02) if parameter.ndim > 1 else nn.init.zeros_(parameter)

    def logits(self, x: Tensor, names: Sequence[str]) -> Tensor:
        """[..., outputs, T] for the T asked tasks; T is 1 for a policy without tasks."""
        if not self.joined:
            return torch.stack([self._scorer(name)(x) for name in names], dim=-1)
        if not self.names:
            found: Tensor = self._scorer(_EVERYONE)(x).unsqueeze(-1)
            return found
        rows = None
        if tuple(names) != self.names:
            asked = torch.tensor([self.names.index(name) for name in names], device=x.device)
            rows = (torch.arange(self.outputs, device=x.device)[:, None] * len(self.names) + asked).flatten()
        flat: Tensor = self._scorer(_EVERYONE)(x, rows)
        return flat.view(*flat.shape[:-1], self.outputs, len(names))

    def _macs(self, vectors: int, names: Sequence[str]) -> int:
        if self.joined:
            return self._scorer(_EVERYONE).macs(vectors, self.outputs * (len(names) if self.names else 1))
        return sum(self._scorer(name).macs(vectors, self.outputs) for name in names)

    def _scorer(self, owner: str) -> Scorer:
        scorer = self.scorers[owner]
        assert isinstance(scorer, Scorer)  # noqa: S101  # ModuleDict forgets what it holds
        return scorer


class TokenPolicy(_Policy):
    """One logit per token, each by itself; the same weights for all layers of a stage."""

    def __init__(self, names: Sequence[str], shared: bool, dim: int, hidden: int) -> None:
        super().__init__(names, shared, dim, hidden, 1, 1)

    def forward(self, tokens: Tensor, names: Sequence[str]) -> Tensor:
        """Tokens of the grid [B, N, C] to logits [B, N, T]."""
        return self.logits(tokens, names).squeeze(-2)

    def macs(self, tokens: int, names: Sequence[str]) -> int:
        """MACs per image of one decision."""
        return self._macs(tokens, names)


class BlockPolicy(_Policy):
    """One logit for each layer of a stage, from the tokens that enter the stage."""

    def __init__(
        self, names: Sequence[str], shared: bool, dim: int, hidden: int, tokens: int, depth: int, pooled: bool
    ) -> None:
        super().__init__(names, shared, dim, hidden, 1 if pooled else tokens, depth)
        self.pooled = pooled or tokens == 1  # one token is its own mean, and nothing to lay side by side

    def forward(self, tokens: Tensor, names: Sequence[str]) -> Tensor:
        """Tokens of the grid [B, N, C] to logits [B, depth, T]."""
        return self.logits(tokens.mean(dim=1) if self.pooled else tokens, names)

    def macs(self, tokens: int, names: Sequence[str]) -> int:
        """MACs per image of one decision."""
        return self._macs(1 if self.pooled else tokens, names)


class Policies(nn.Module):
    """The policies of every stage of an encoder.

    Args:
        encoder: what is decided about.
        names: the tasks, in order.
        options: which gates there are, and how the policies are made.

    Attributes:
        token_policies, block_policies: by stage; empty where that gate is not there.
    """

    def __init__(self, encoder: BlockEncoder, names: Sequence[str], options: AdaMTLOptions) -> None:
        super().__init__()
        owners = tuple(names) if options.policy == "taw" else ()
        shared, hidden = options.trunk == "shared", options.hidden
        firsts = [stage[0] for stage in encoder.layers_of]
        depths = [len(stage) for stage in encoder.layers_of]
        tokens = [TokenPolicy(owners, shared, layer.dim, hidden) for layer in firsts]
        blocks = [
            BlockPolicy(
                owners, shared, layer.dim, hidden, layer.tokens, depth, options.block_policy == "pooled"
            )
            for layer, depth in zip(firsts, depths, strict=True)
        ]
        self.token_policies = nn.ModuleList(tokens if options.gates != "blocks" else ())
        self.block_policies = nn.ModuleList(blocks if options.gates != "tokens" else ())

    def token(self, stage: int) -> TokenPolicy:
        """The token policy of a stage."""
        policy = self.token_policies[stage]
        assert isinstance(policy, TokenPolicy)  # noqa: S101  # ModuleList forgets what it holds
        return policy

    def block(self, stage: int) -> BlockPolicy:
        """The block policy of a stage."""
        policy = self.block_policies[stage]
        assert isinstance(policy, BlockPolicy)  # noqa: S101  # ModuleList forgets what it holds
        return policy

"""The dense network with policies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.encoders.blocks import BlockEncoder
from mtlbench.errors import MtlbenchError, UsageError
from mtlbench.training.artifact import Problem
from mtlbench.variants.adamtl.gates import Gates
from mtlbench.variants.adamtl.layers import Way, masked_layer
from mtlbench.variants.adamtl.options import AdaMTLOptions
from mtlbench.variants.adamtl.policy import Policies
from mtlbench.variants.network import DenseNetwork

__all__ = ["CALIBRATED", "AdaptiveNetwork", "build_adaptive", "way_of"]

CALIBRATED = 12
"""Thresholds of a calibration."""


class AdaptiveNetwork(DenseNetwork):
    """A static network and the policies that decide what of its encoder runs.

    Called as it is, it is the static network.

    Args:
        problem: what to build for.
        options: which gates there are, and how.
        random: whether decisions are random, so that there are no policies.

    Attributes:
        policies: of every stage.
        calibration: for all tasks and then for each alone, pairs of a threshold and the mean MACs that it lets run
            in encoder and policies, as a share of the encoder's: [1 + T, CALIBRATED, 2]. NaN before calibration.
        frozen: whether encoder and heads stay in evaluation, while the policies learn.
    """

    calibration: Tensor

    def __init__(self, problem: Problem, options: AdaMTLOptions, *, random: bool = False) -> None:
        super().__init__(problem)
        self.options = options
        self.policies = None if random else Policies(self.blocks, problem.task_names, options)
        empty = torch.full((1 + len(problem.tasks), CALIBRATED, 2), float("nan"))
        self.register_buffer("calibration", empty)
        self.frozen = False

    @property
    def blocks(self) -> BlockEncoder:
        """The encoder."""
        return block_encoder(self.encoder)

    def train(self, mode: bool = True) -> AdaptiveNetwork:
        """Training mode; what is frozen stays in evaluation."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
            self.heads.eval()
        return self

    def freeze(self) -> AdaptiveNetwork:
        """Let nothing but the policies learn."""
        self.frozen = True
        for parameter in (*self.encoder.parameters(), *self.heads.parameters()):
            parameter.requires_grad_(False)
        return self

    def gated(self, x: Tensor, gates: Gates) -> dict[str, Tensor]:
        """Predictions with gates that carry gradients; everything is computed, and multiplied.

        Args:
            x: normalised images [B, 3, H, W].
            gates: what becomes of the policies' logits.
        """
        way, names, options = way_of(self.options), self.problem.task_names, self.options
        encoder, policies = self.blocks, self.policies
        tokens = encoder.embed(x)
        maps = []
        for stage, layers in enumerate(encoder.layers_of):
            runs = None
            extra = layers[0].extra
            if options.gates != "tokens":
                shape = (len(x), len(layers), 1)
                seen = tokens[:, extra:].detach() if options.detach else tokens[:, extra:]
                asked = None if policies is None else policies.block(stage)(seen, names)
                runs = gates.blocks(stage, tokens.new_zeros(shape) if asked is None else asked)
            early = None
            for i, layer in enumerate(layers):
                kept = None
                if options.gates != "blocks":
                    if policies is None:
                        early = tokens.new_zeros(len(x), layer.tokens, 1)
                    elif early is None or options.decide == "layer":
                        seen = tokens[:, extra:].detach() if options.detach else tokens[:, extra:]
                        early = policies.token(stage)(seen, names)
                    kept = gates.tokens(stage, i, early)
                tokens = masked_layer(layer, tokens, None if runs is None else runs[:, i], kept, way)
            found, tokens = encoder.close(stage, tokens)
            maps.append(found)
        return {name: self.heads[name](maps) for name in names}


def way_of(options: AdaMTLOptions) -> Way:
    """What skipping means under these options."""
    return Way(options.scope, options.skip, options.empty_block)


def block_encoder(encoder: nn.Module) -> BlockEncoder:
    """The encoder, if it is made of blocks.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(encoder, BlockEncoder):
        name = getattr(encoder, "name", type(encoder).__name__)
        raise UsageError(
            f"adamtl skips blocks and tokens, which encoder {name} does not have", fix="Use vit or swin"
        )
    return encoder


def build_adaptive(
    problem: Problem,
    options: AdaMTLOptions,
    seed: int,
    states: Sequence[Mapping[str, Tensor]],
    *,
    random: bool = False,
) -> AdaptiveNetwork:
    """An adaptive network in evaluation mode: random weights of `seed`, then one state after the other over them.

    Args:
        problem: what to build for.
        options: of the variant.
        seed: of what no state sets. The global random state is left as found.
        states: complete ones, or ones of the static network, which leave the policies as they are.
        random: whether it decides at random, without policies.

    Raises:
        MtlbenchError: a state does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AdaptiveNetwork(problem, options, random=random)
        if not states and torch.get_default_device().type != "meta":
            network.encoder.start(problem.encoder.places)
    for state in states:
        found = network.load_state_dict(state, strict=False)
        missing = [key for key in found.missing_keys if not key.startswith(("policies.", "calibration"))]
        partly = [key for key in found.missing_keys if key not in missing] if _has_policies(state) else []
        if missing or partly or found.unexpected_keys:
            wrong = ", ".join([*missing, *partly, *found.unexpected_keys][:4])
            raise MtlbenchError(
                f"trained weights do not fit the network: {wrong}", fix="Run again with --fresh"
            )
    return network.eval()


def _has_policies(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith("policies.") for key in state)

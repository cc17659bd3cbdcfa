"""Training a sub-task in the paper's stages: gated differences of weights, the gates fixed, sparse activations."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mtlbench import encoders, tasks
from mtlbench.encoders.blocks import BlockEncoder
from mtlbench.training.artifact import Problem
from mtlbench.training.loop import learning_rate
from mtlbench.training.protocol import TrainingProtocol
from mtlbench.training.recipe import Recipe
from mtlbench.variants.network import load_trained
from mtlbench.variants.sharing.element_calibrate import calibrate_elements
from mtlbench.variants.sharing.element_gates import flat_weights, in_shape
from mtlbench.variants.sharing.element_network import ElementBranch, GatedBranch, element_encoder
from mtlbench.variants.sharing.element_options import ElementOptions
from mtlbench.variants.sharing.element_walk import HOOKED, SideBySide

__all__ = ["ActivationRecipe", "MaskRecipe", "WeightRecipe", "element_recipe"]

State = Mapping[str, Tensor]
Branch = GatedBranch | ElementBranch


class _ElementRecipe(Recipe):
    """What all stages share: the base task's encoder stays as it is, a sub-task is the difference from it.

    Args:
        problem: the sub-task alone.
        options: of the variant.
    """

    def __init__(self, problem: Problem, options: ElementOptions) -> None:
        self._problem, self._options = problem, options
        self._name = problem.task_names[0]
        self._task = tasks.registry.get(self._name)(**problem.tasks[0].options)

    def network(self, parents: Mapping[str, State], seed: int) -> nn.Module:
        """What is stored of the sub-task; the base task's encoder, and a copy for differences, are kept beside it."""
        torch.manual_seed(seed)
        self._base, self._encoder = self._encoder_of(parents["base"]), self._encoder_of(parents["base"])
        self._base_weights = flat_weights(self._base)
        return self._branch(parents, seed)

    @abstractmethod
    def _branch(self, parents: Mapping[str, State], seed: int) -> Branch:
        """What is trained, from the stage before."""

    def _encoder_of(self, state: State) -> BlockEncoder:
        named = self._problem.encoder
        encoder = element_encoder(encoders.registry.get(named.name)(self._problem.size, **named.options))
        own = {
            key.removeprefix("encoder."): part for key, part in state.items() if key.startswith("encoder.")
        }
        load_trained(encoder, own)
        return encoder.requires_grad_(False).eval()

    def _weights(self, branch: Branch) -> Mapping[str, Tensor]:
        return in_shape(self._encoder, self._base_weights + branch.difference())

    def _predicted(self, branch: Branch, images: Tensor) -> Tensor:
        maps = functional_call(self._encoder, dict(self._weights(branch)), (images,))
        predicted: Tensor = branch.head(maps)
        return predicted

    def _kept(self, protocol: TrainingProtocol | None) -> TrainingProtocol | None:
        """With no epoch to choose from but the last, where that is the one to keep."""
        if protocol is None or self._options.kept == "best":
            return protocol
        return protocol.model_copy(update={"eval_every": protocol.epochs})

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's."""
        return {self._name: self._task.loss(self._predicted(_typed(network), images), labels[self._name])}

    def predict(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """The task's prediction, no output thresholded."""
        return {self._name: self._predicted(_typed(network), images)}


class WeightRecipe(_ElementRecipe):
    """Stage 1: differences of all weights behind stochastic gates, whose expected number is penalised."""

    _protocol: TrainingProtocol

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        self._protocol = protocol
        return self._kept(protocol.scaled(self._options.delta_share))

    def _branch(self, parents: Mapping[str, State], seed: int) -> Branch:
        return GatedBranch(self._problem, self._base, self._options.alpha_scale)

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's, and the penalty on gates that may be open; the gates decay first."""
        branch = _typed(network)
        assert isinstance(branch, GatedBranch)  # noqa: S101  # it is what `network` gave
        if self._options.gate_decay:
            branch.difference.decay(self._options.gate_decay * self._gate_rate(progress))
        found = super().losses(network, images, labels, progress)
        return found | {"gates": self._options.lambda_w * branch.difference.expected_open()}

    def _gate_rate(self, progress: float) -> float:
        """Learning rate of the gates' logits at a share of all steps."""
        steps = 10_000
        return self._options.alpha_scale * learning_rate(int(progress * steps), steps, self._protocol)


class MaskRecipe(_ElementRecipe):
    """Stage 2: the weights that differ are fixed, and trained on without gates."""

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return protocol.scaled(self._options.mask_share)

    def _branch(self, parents: Mapping[str, State], seed: int) -> Branch:
        gated = GatedBranch(self._problem, self._base, self._options.alpha_scale)
        load_trained(gated, parents["delta"])
        with torch.no_grad():
            gate = gated.difference.gate(sampled=self._options.mask == "sampled")
            indices = gate.nonzero().squeeze(1)
            values = gated.difference.values * gate if self._options.soft else gated.difference.values
            branch = ElementBranch(self._problem, self._name, self._base, len(indices))
            branch.difference.indices.copy_(indices)
            branch.difference.values.copy_(values[indices])
        branch.head.load_state_dict(gated.head.state_dict())
        return branch


class ActivationRecipe(_ElementRecipe):
    """Stage 3: the same weights, drawn to what makes outputs equal to the base task's; then thresholds."""

    def protocol(self, protocol: TrainingProtocol) -> TrainingProtocol | None:
        """The suite's epochs, scaled."""
        return self._kept(protocol.scaled(self._options.activation_share))

    def _branch(self, parents: Mapping[str, State], seed: int) -> Branch:
        self._beside = _Beside(self._base, self._encoder, self._name)
        return ElementBranch.of_state(self._problem, self._name, self._base, parents["mask"])

    def losses(
        self, network: nn.Module, images: Tensor, labels: Mapping[str, Tensor], progress: float
    ) -> dict[str, Tensor]:
        """The task's, and the penalty on differences of the hooked outputs."""
        branch, summed = _typed(network), _AbsoluteDifferences()
        weights = {f"encoder.{name}": weight for name, weight in self._weights(branch).items()}
        maps = functional_call(self._beside, weights, (images, summed))
        found = {self._name: self._task.loss(branch.head(maps), labels[self._name])}
        penalty = summed.mean() if self._options.penalty == "mean" else summed.total() / len(images)
        return found | {"activations": self._options.lambda_a * penalty}

    def finish(self, network: nn.Module, validation: Callable[[], Iterator[Tensor]]) -> None:
        """Thresholds by density."""
        branch = _typed(network)
        assert isinstance(branch, ElementBranch)  # noqa: S101  # it is what `network` gave
        with torch.no_grad():
            for name, weight in self._weights(branch).items():
                self._encoder.get_parameter(name).copy_(weight)
        calibrate_elements(SideBySide(self._base, {self._name: self._encoder}), branch, validation)


class _Beside(nn.Module):
    """A sub-task's encoder run beside the base task's, as a module whose weights can be given.

    Args:
        base: the base task's encoder.
        encoder: the sub-task's.
        name: the sub-task.
    """

    def __init__(self, base: BlockEncoder, encoder: BlockEncoder, name: str) -> None:
        super().__init__()
        self.encoder, self._name = encoder, name
        self._pass = SideBySide(base, {name: encoder})

    def forward(self, images: Tensor, summed: _AbsoluteDifferences) -> list[Tensor]:
        """Images [B, 3, H, W] to the sub-task's feature maps."""
        return self._pass(images, summed)[1][self._name]


class _AbsoluteDifferences:
    """Adds up how far the hooked outputs are from the base task's."""

    names: Collection[str] = HOOKED

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._elements = 0

    def __call__(self, task: str, block: int, name: str, output: Tensor, of_base: Tensor) -> Tensor:
        """See `Change`: nothing is changed."""
        self._sums.append((output - of_base).abs().sum())
        self._elements += output.numel()
        return output

    def total(self) -> Tensor:
        """Their sum over images and elements, a scalar."""
        return torch.stack(self._sums).sum()

    def mean(self) -> Tensor:
        """Their mean, a scalar."""
        return self.total() / self._elements


def _typed(network: nn.Module) -> Branch:
    assert isinstance(network, GatedBranch | ElementBranch)  # noqa: S101  # it is what `network` gave
    return network


def element_recipe(stage: str, problem: Problem, options: ElementOptions) -> Recipe:
    """The recipe of the stage `delta`, `mask` or `activations`."""
    made: dict[str, type[_ElementRecipe]] = {
        "delta": WeightRecipe,
        "mask": MaskRecipe,
        "activations": ActivationRecipe,
    }
    return made[stage](problem, options)

"""AdaMTL and its random control: input-dependent inference with task-aware policies, in its registered forms."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mtlbench.errors import UsageError
from mtlbench.training.artifact import Artifact, Source
from mtlbench.variants.adamtl.options import AdaMTLOptions
from mtlbench.variants.base import Axis, Decision, Mode, Point, Provenance, Runnable, Variant, Waiver
from mtlbench.variants.static_mtl import StaticMTL

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.training.recipe import Recipe
    from mtlbench.variants.adamtl.budget import Budgets
    from mtlbench.variants.adamtl.decide import Rule
    from mtlbench.variants.adamtl.network import AdaptiveNetwork
    from mtlbench.variants.adamtl.trace import ClaimedMacs

__all__ = ["PAPER", "AdaMTL", "AdaMTLRandom", "AdaMTLThreshold", "AdaMTLTrained"]

PAPER = "Neseem, Agiza, Reda, AdaMTL: Adaptive Input-dependent Inference for Efficient Multi-Task Learning, CVPRW 2023"
_GRID = (1.0, 0.9, 0.8, 0.7, 0.6)
_OURS = (
    "A skipped token stays as it is (option skip); the paper's code adds its normalised self.",
    "Tasks are joined by a soft or, whose gradient reaches every policy (option union).",
    "Decisions are certain (option decision); the paper's code draws them at inference too.",
    "Policies share their first layer and are 16 wide (options trunk, hidden).",
    "Block policies look at the mean token, so weights fit any resolution (option block_policy).",
    "Heads are mtlbench's, the encoder is that of the suite.",
)
_RUNTIME = (
    "The budget is set at run time: every training step draws another one; the paper trains one network per budget.",
    "Policies first learn what the tasks miss (option pretrain), not to keep everything.",
    "Stages 2 and 3 take 0.1 and 0.3 of the suite's epochs (options pretrain_share, joint_share), no task in turn.",
)


class _Adaptive(Variant):
    """What all forms share."""

    family = "adamtl"
    Options = AdaMTLOptions
    options: AdaMTLOptions
    decision: ClassVar[Decision] = "token"
    modes: ClassVar[tuple[Mode, ...]] = ("gathered", "masked")
    waivers: ClassVar[frozenset[Waiver]] = frozenset({"subset_dependent"})
    reference = StaticMTL.name
    random: ClassVar[bool] = False
    trained_per_budget: ClassVar[bool] = False
    shared_stages: ClassVar[str]
    """The variant that trains the artifact."""

    _network: AdaptiveNetwork
    _seed: int

    def refuse(self, point: Point) -> str | None:
        """An encoder without blocks, or a budget below what cannot be skipped."""
        import torch

        from mtlbench.variants.adamtl.network import AdaptiveNetwork
        from mtlbench.variants.adamtl.runnable import budgets_of

        try:
            with torch.device("meta"):
                network = AdaptiveNetwork(self.problem, self.options, random=self.random)
            budgets_of(network, self.problem.task_names).ratio(self._budget(point))
        except UsageError as error:
            return error.what
        return None

    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The paper's three stages; the last is what runs."""
        dense = StaticMTL(self.problem).artifacts({}, source)[0]
        options: dict[str, Any] = self.options.model_dump(mode="json")
        if self.trained_per_budget and self._budget(point) >= 1:
            return (dense,)
        trained_for = {"budget": self._budget(point)} if self.trained_per_budget else {}
        if self.random:
            return (self._artifact("joint", source, options, {"dense": dense}, trained_for),)
        policy = self._artifact("policy", source, options, {"dense": dense})
        return (self._artifact("joint", source, options, {"policy": policy}, trained_for),)

    def _artifact(
        self,
        stage: str,
        source: Source,
        options: Mapping[str, Any],
        parents: Mapping[str, Artifact],
        point: Point | None = None,
    ) -> Artifact:
        return Artifact(self.shared_stages, stage, self.problem, source, options, parents, point or {})

    def recipe(self, artifact: Artifact) -> Recipe:
        """The policies alone, or everything together."""
        from mtlbench.variants.adamtl.recipe import stage_recipe

        budget = artifact.point.get("budget")
        trained_for = None if budget is None else float(budget)
        return stage_recipe(artifact.stage, self.problem, self.options, trained_for, random=self.random)

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """The static network and its policies."""
        from mtlbench.variants.adamtl.network import build_adaptive

        states = list(weights or ())
        self._network = build_adaptive(self.problem, self.options, seed, states, random=self.random)
        self._seed = seed

    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """The network at a budget; at 1.0 everything runs and nothing is decided."""
        from mtlbench.variants.adamtl.runnable import AdaptiveRunnable, budgets_of

        names = tuple(tasks or self.problem.task_names)
        self._require_tasks(names)
        network, budget = self._network.to(device), self._budget(point)
        budgets = budgets_of(network, names)
        rule = None if budget >= 1 else self._rule(network, budgets, names, budget)
        return AdaptiveRunnable(
            network,
            names,
            budgets,
            budgets.solve(budget),
            rule,
            random_seed=self._seed,
            masked=mode == "masked",
            claimed=self._claimed(network, budgets),
        )

    def _require_tasks(self, names: Sequence[str]) -> None:
        lacking = [name for name in names if name not in self.problem.task_names]
        if lacking:
            raise UsageError(
                f"{self.name} has no policy and no head for {', '.join(lacking)}, only for "
                f"{', '.join(self.problem.task_names)}",
                fix="Ask for tasks that the network was built for",
            )

    def _claimed(self, network: AdaptiveNetwork, budgets: Budgets) -> ClaimedMacs | None:
        """What the original authors' formula would print; None where there is none."""
        return None

    @abstractmethod
    def _rule(
        self, network: AdaptiveNetwork, budgets: Budgets, names: tuple[str, ...], budget: float
    ) -> Rule:
        """What decides at a budget below 1."""

    def dense(self, device: str = "cpu") -> Runnable:
        """The static network with the same weights."""
        from mtlbench.variants.network import DenseRunnable

        return DenseRunnable([(self._network, self.problem.task_names)], device)

    def _budget(self, point: Point) -> float:
        return float(point["budget"])


def _axis(when: str, meaning: str) -> Axis:
    return Axis("budget", _GRID, when, meaning, is_budget=True, low=0.01, high=1.0)  # type: ignore[arg-type]


class AdaMTL(_Adaptive):
    """One network for all budgets: the best so many tokens (or blocks) of each image, exactly what the budget buys."""

    name = "adamtl"
    shared_stages = "adamtl"
    axes = (_axis("configure", "exact"),)
    provenance = Provenance(PAPER, "adapted", (*_OURS, *_RUNTIME))

    def _rule(
        self, network: AdaptiveNetwork, budgets: Budgets, names: tuple[str, ...], budget: float
    ) -> Rule:
        from mtlbench.variants.adamtl.decide import TopK

        pooled = self.options.scope == "block"
        return TopK(budgets.solve(budget), budgets, network.blocks, pooled=pooled)


class AdaMTLThreshold(_Adaptive):
    """The same network; thresholds calibrated on validation meet the budget on average, so images differ in cost."""

    name = "adamtl_threshold"
    shared_stages = "adamtl"
    axes = (_axis("configure", "expected"),)
    provenance = Provenance(
        PAPER, "adapted", (*_OURS, *_RUNTIME, "A budget is a threshold, calibrated on validation images.")
    )

    def can_run(self, asked: Sequence[str]) -> bool:
        """See `Variant`: thresholds are calibrated for all tasks and for each alone."""
        return super().can_run(asked) and len(asked) in {1, len(self.problem.tasks)}

    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """See `Variant`; an untrained network is calibrated on noise, so that there are thresholds at all."""
        import torch

        from mtlbench.variants.adamtl.calibrate import calibrate

        super().build(point, seed, weights)
        if weights is None and not self._network.calibration.is_meta:
            noise = torch.Generator().manual_seed(seed)
            images = torch.randn(1, 3, *self.problem.size, generator=noise)
            calibrate(self._network, lambda: iter([images]))

    def _rule(
        self, network: AdaptiveNetwork, budgets: Budgets, names: tuple[str, ...], budget: float
    ) -> Rule:
        from mtlbench.variants.adamtl.calibrate import threshold_for, threshold_rule

        if network.calibration.is_meta:  # only shapes are asked for
            return threshold_rule(network, 0.0)
        return threshold_rule(network, threshold_for(network, names, budget))


class AdaMTLTrained(_Adaptive):
    """The paper's form: one network for each budget, which decides by itself where to spend it."""

    name = "adamtl_trained"
    shared_stages = "adamtl_trained"
    trained_per_budget = True
    axes = (_axis("train", "target"),)
    provenance = Provenance(
        PAPER,
        "adapted",
        (*_OURS, "The budget's loss counts MACs (option budget_weights) of a batch (budget_target)."),
    )

    def _rule(
        self, network: AdaptiveNetwork, budgets: Budgets, names: tuple[str, ...], budget: float
    ) -> Rule:
        from mtlbench.variants.adamtl.calibrate import threshold_rule
        from mtlbench.variants.adamtl.decide import EVEN, Independent, Noise

        options = self.options
        if options.union == "soft_or" and options.decision == "certain":
            return threshold_rule(network, EVEN)
        tasks = len(names) if options.policy == "taw" else 1
        noise = Noise(network.blocks, tasks, self._seed) if options.decision == "sampled" else None
        blocks, tokens = options.gates != "tokens", options.gates != "blocks"
        pooled = options.scope == "block"
        return Independent(network.blocks, blocks=blocks, tokens=tokens, pooled=pooled, noise=noise)


class AdaMTLRandom(AdaMTL):
    """The control: as many tokens, blocks and MACs, chosen at random from seed and image; nothing pays for a policy."""

    name = "adamtl_random"
    family = "adamtl_random"
    shared_stages = "adamtl_random"
    random = True
    provenance = Provenance("ours", "adapted", ("The control of adamtl: trained like it, without a policy.",))


class AdaMTLRandomTrained(AdaMTLRandom):
    """The control of the paper's form: random decisions, one network trained for each budget."""

    name = "adamtl_random_trained"
    shared_stages = "adamtl_random_trained"
    trained_per_budget = True
    axes = (_axis("train", "exact"),)
    provenance = Provenance(
        "ours", "adapted", ("The control of adamtl_trained: trained like it, without a policy.",)
    )

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mtlbench.cost.audit import audit_cost, unique_parts
from mtlbench.cost.units import CostUnit

STEM, BODY, HEAD = 3 * 8 * 16 * 9, 16 * 8 * 8, 16 * 8 * 4


@torch.library.custom_op("mtlbench_audit::slow", mutates_args=())
def slow(x: torch.Tensor) -> torch.Tensor:
    time.sleep(0.2)
    return x.clone()


class Decisions:
    def __init__(self, active):
        self.active = active

    def nominal_macs(self, units):
        return [float(sum(unit.macs * self.active.get(unit.id, 1) for unit in units))]


class Tiny:
    """A stem, a body that bright images need only, and a head, on images of 4 x 4."""

    def __init__(self, gated=False, extension=None, wrong=0):
        torch.manual_seed(0)
        self.stem, self.body, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 8), nn.Linear(8, 4)
        self.gated, self.extension, self.wrong = gated, extension, wrong
        self.resets = 0

    def __call__(self, x):
        y = self.stem(x).flatten(2).mT
        runs = not self.gated or bool(x.mean() > 0)
        if runs:
            y = F.gelu(self.body(y))
        if self.extension is not None:
            y = self.extension(y)
        return {"task": self.head(y)}, Decisions({"body": runs})

    def reset(self):
        self.resets += 1

    def units(self):
        units = {"stem": STEM, "body": BODY, "head": HEAD + self.wrong}
        return [
            CostUnit(id, f"encoder.{id}" if id != "head" else "head.task", macs) for id, macs in units.items()
        ]

    def networks(self):
        return [nn.ModuleList([self.stem, self.body, self.head]).eval()]

    def parts(self):
        return [("encoder.stem", self.stem), ("encoder.body", self.body), ("head.task", self.head)]


def images(*means):
    return [torch.full((1, 3, 4, 4), float(mean)) for mean in means]


def test_a_static_network_costs_its_closed_form():
    audit = audit_cost(Tiny(), images(1, -1), static=True)
    assert audit.executed == (STEM + BODY + HEAD,) * 2
    assert audit.macs_executed == audit.macs_formula == audit.macs_nominal == STEM + BODY + HEAD
    assert not audit.refused
    assert not audit.disagrees
    assert {part.part: (part.macs_executed, part.macs_formula) for part in audit.parts} == {
        "encoder.stem": (STEM, STEM),
        "encoder.body": (BODY, BODY),
        "head.task": (HEAD, HEAD),
    }
    macs = {op.name: op.macs for op in audit.operators if op.kind == "macs"}
    assert macs.pop("aten.convolution") == STEM
    assert sum(macs.values()) == BODY + HEAD
    assert sum(op.time_share for op in audit.operators) == pytest.approx(1)


def test_an_adaptive_network_is_counted_by_image_and_is_no_disagreement():
    audit = audit_cost(Tiny(gated=True), images(1, -1, -1, -1), static=False)
    assert audit.executed == (STEM + BODY + HEAD, *3 * (STEM + HEAD,))
    assert audit.nominal == tuple(map(float, audit.executed))
    assert audit.macs_executed == STEM + BODY / 4 + HEAD
    assert audit.macs_formula == STEM + BODY + HEAD
    assert not audit.disagrees
    body = next(part for part in audit.parts if part.part == "encoder.body")
    assert (body.macs_executed, body.macs_formula) == (BODY / 4, BODY)


@pytest.mark.parametrize("first", [1, -1])
def test_other_tools_count_the_first_image(first):
    audit = audit_cost(Tiny(gated=True), images(first, -first), static=False)
    for tool in audit.tools.tools:
        assert tool.macs == audit.executed[0] + sum(difference.macs for difference in tool.differences)


def test_a_wrong_closed_form_is_a_disagreement_above_one_percent():
    total = STEM + BODY + HEAD
    assert not audit_cost(Tiny(wrong=total // 200), images(1), static=True).disagrees
    assert audit_cost(Tiny(wrong=total // 50), images(1), static=True).disagrees
    assert audit_cost(Tiny(wrong=-HEAD), images(1), static=True).disagrees


def test_products_outside_all_parts_and_uncounted_operators_show():
    audit = audit_cost(Tiny(extension=lambda y: slow(y @ y.mT @ y)), images(1), static=True)
    other = next(part for part in audit.parts if part.part == "other")
    assert (other.macs_executed, other.macs_formula) == (2 * 16 * 16 * 8, 0)
    assert [op.name for op in audit.operators if op.kind == "uncounted"] == ["mtlbench_audit.slow"]
    assert audit.uncounted_time_share > 0.5
    assert audit.refused
    assert audit.disagrees


def test_every_call_begins_anew_and_nothing_is_left_behind():
    network = Tiny()
    before = torch.get_rng_state()
    audit_cost(network, images(1, 1), static=True)
    assert network.resets >= 4
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.is_inference_mode_enabled()
    assert all(not module._forward_hooks for module in network.networks()[0].modules())


def test_parts_of_several_networks_have_names_of_their_own_and_are_added_up():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    assert unique_parts([("encoder", a), ("head", nn.Linear(1, 1)), ("encoder", b)]).keys() == {
        "encoder",
        "head",
        "encoder#2",
    }

    class Twice(Tiny):
        def __init__(self):
            super().__init__()
            self.second = nn.Linear(8, 8)

        def __call__(self, x):
            y = self.second(self.body(self.stem(x).flatten(2).mT))
            return {"task": self.head(y)}, Decisions({})

        def units(self):
            return [*super().units(), CostUnit("second", "encoder.body", BODY)]

        def parts(self):
            return [*super().parts(), ("encoder.body", self.second)]

        def networks(self):
            return [*super().networks(), self.second]

    audit = audit_cost(Twice(), images(1), static=True)
    body = next(part for part in audit.parts if part.part == "encoder.body")
    assert (body.macs_executed, body.macs_formula) == (2 * BODY, 2 * BODY)

"""What the authors' formula says of full compute is written down beside what it says of the decisions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mtlbench.cost.counter import CostCount
from mtlbench.data.base import Sample
from mtlbench.execute.jobs.evaluate import _Ledger
from mtlbench.variants.base import Trace


@pytest.mark.parametrize(
    ("claimed", "full", "recorded"),
    [([3.0, 5.0], 9.0, (4.0, 9.0)), ([3.0, 5.0], None, (4.0, None)), (None, None, (None, None))],
)
def test_both_are_recorded(claimed, full, recorded):
    ledger = _Ledger(SimpleNamespace(inputs=1, batch=2), [], trained=False)
    samples = tuple(Sample(f"{i}", np.zeros((2, 2, 3), np.uint8), {}, {}) for i in range(2))
    ledger.add(samples, {}, Trace(2, claimed_macs=claimed, claimed_full_macs=full), CostCount(0, (), {}, {}))
    found = ledger.summary()
    assert (found["macs_claimed"], found["macs_claimed_full"]) == recorded

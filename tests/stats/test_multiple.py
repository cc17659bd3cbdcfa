"""Holm's adjustment against its definition, and against a published example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlbench.stats.multiple import holm


def test_an_example_worked_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.001, 0.999))
def test_it_refuses_what_the_step_down_procedure_refuses(p, alpha):
    refused = set()
    for step, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        if p[index] * (len(p) - step) > alpha:
            break
        refused.add(index)
    assert {i for i, value in enumerate(holm(p)) if value <= alpha} == refused


def test_nothing_to_adjust():
    assert holm([]).shape == (0,)
    assert holm([0.3]) == pytest.approx([0.3])


@pytest.mark.parametrize("p", [[1.2], [-0.1], [np.nan], [[0.1]]])
def test_what_is_no_level_is_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(p)

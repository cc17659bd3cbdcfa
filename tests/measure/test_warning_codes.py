from __future__ import annotations

import re

import pytest

from mtlbench.measure.warnings import WARNINGS


@pytest.mark.parametrize("code", sorted(WARNINGS))
def test_a_warning_is_one_sentence_that_says_what_to_do(code: str) -> None:
    sentence = WARNINGS[code]
    assert re.fullmatch(r"[a-z_]+", code)
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    what, _, to_do = sentence.partition(": ")
    assert what
    assert to_do.split()[0] in {"free", "time", "raise", "stop", "lower", "repeat", "cool"}

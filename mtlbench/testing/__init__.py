"""What ships for tests: conformance of variants, and doubles for the slow boundaries.

A package that adds a variant runs the same checks as mtlbench does for its own:

```python
import pytest
from mtlbench.testing import CHECKS, Case

@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_conformance(check):
    check(Case.small(MyVariant))
```
"""

from mtlbench.testing.case import Case, ConformanceError
from mtlbench.testing.conformance import CHECKS

__all__ = ["CHECKS", "Case", "ConformanceError"]

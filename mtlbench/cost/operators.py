"""From an operator as PyTorch dispatched it to its MACs: PyTorch's own operators, and those that others declare."""

from __future__ import annotations

from collections.abc import Callable

from mtlbench.cost.attention import ATTENTION
from mtlbench.cost.products import PRODUCTS
from mtlbench.errors import UsageError

__all__ = ["MacsFormula", "declare_macs", "macs_formula"]

MacsFormula = Callable[..., "int | None"]
"""`formula(result, *args, **kwargs) -> MACs of this call`, or None where these arguments have no closed form."""

_FORMULAS: dict[str, MacsFormula] = {**PRODUCTS, **ATTENTION}


def declare_macs(operator: str, formula: MacsFormula) -> None:
    """Tell the counter what a custom operator costs, such as a fused gather-and-multiply kernel.

    Args:
        operator: qualified name without overload, `mylib::gather_linear`.
        formula: called as `formula(result, *args, **kwargs)` with what the operator returned and was given.

    Raises:
        UsageError: the name is not qualified, is PyTorch's own, or is declared already.
    """
    namespace, separator, name = operator.partition("::")
    if not (namespace and separator and name):
        raise UsageError(f"{operator!r} is no operator name", fix="Write it as 'namespace::name'")
    if namespace == "aten" or _FORMULAS.get(operator, formula) is not formula:
        raise UsageError(
            f"the MACs of {operator!r} are defined already",
            fix="Declare only operators of your own, and once",
        )
    _FORMULAS[operator] = formula


def macs_formula(operator: str) -> MacsFormula | None:
    """The formula of `operator` (`aten::addmm`), or None where there is none."""
    return _FORMULAS.get(operator)

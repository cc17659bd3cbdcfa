"""Where energies come from, in words: a joule without its meter is worth little."""

from __future__ import annotations

import pandas as pd

from mtlbench.report.frame import brief, is_ok, numeric, text
from mtlbench.report.quantities import join

__all__ = ["energy_words"]

MEASURED = "measured"
MOST_METERS = 3


def energy_words(cells: pd.DataFrame) -> str:
    """The meters of finished cells, what is not measured of it, and whether there is only a model's estimate.

    Args:
        cells: rows of the table.
    """
    done = cells[is_ok(cells)]
    metered = done[numeric(done, "energy_mj").notna()]
    if metered.empty:
        modelled = numeric(done, "energy_modelled_mj").notna().any()
        return "not metered" + (", only modelled" if modelled else "")
    qualities = text(metered, "energy_quality").replace("", MEASURED)
    meters = text(metered, "energy_source").map(brief).replace("", "a meter without a name")
    meters = meters + (", " + qualities).where(qualities != MEASURED, "")
    said = join(dict.fromkeys(meters), MOST_METERS)
    return said if len(metered) == len(done) else f"{said}, in {len(metered)} of {len(done)} cells"

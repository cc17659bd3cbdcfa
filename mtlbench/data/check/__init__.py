"""Checking a `folder` dataset: everything that is wrong with it, what is in it, and a picture of it.

Reads the data and never writes beside it; what was found is returned.
"""

from mtlbench.data.check.report import CheckReport, Place, Problem
from mtlbench.data.check.sheet import contact_sheet
from mtlbench.data.check.survey import check_folder

__all__ = ["CheckReport", "Place", "Problem", "check_folder", "contact_sheet"]

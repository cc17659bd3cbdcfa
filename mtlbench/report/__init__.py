"""Tables, figures and the page of a run. Reads only the derived table and the run folder."""

from mtlbench.report.build import ReportFiles, build
from mtlbench.report.frame import RunView
from mtlbench.report.terminal import print_table

__all__ = ["ReportFiles", "RunView", "build", "print_table"]

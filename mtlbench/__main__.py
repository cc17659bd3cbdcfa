"""`python -m mtlbench` and the `mtlbench` command."""

from __future__ import annotations

import sys

from mtlbench.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())

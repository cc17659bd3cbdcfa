"""A headless browser, shared by the tests of a module, and the pages that it opens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).parents[1] / "report"))  # the made-up runs are there

if TYPE_CHECKING:
    from browser import Browser
    from made_pages import Pages


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Skipped where chromium or chromedriver is not installed; Debian's chromium and chromium-driver have both."""
    from browser import Browser, missing_program, start

    missing = missing_program()
    if missing:
        pytest.skip(f"no {missing} on PATH")
    driver = start(tmp_path_factory.mktemp("profile"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Pages by name, built when first asked for."""
    from made_pages import Pages

    return Pages(tmp_path_factory.mktemp("pages"))

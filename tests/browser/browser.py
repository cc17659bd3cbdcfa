"""A headless browser: pages opened at a width, in a theme, on paper or without scripts, and what they report."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

# Here and not in conftest.py, where a skip ends the whole session: test modules import this one first.
pytest.importorskip("selenium", reason="the browser tests need selenium")

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

__all__ = ["Browser", "missing_program", "start"]

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def missing_program() -> str:
    """Which of the two programs is not there; empty where both are."""
    return " and ".join(name for name in ("chromium", "chromedriver") if shutil.which(name) is None)


def start(profile: Path) -> Chrome:
    """A driver with both logs kept; `profile` is an empty folder for the browser's own files."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=Service(executable_path=str(shutil.which("chromedriver"))))
    driver.set_page_load_timeout(60)
    return driver


class Browser:
    """One driver, used by one test after the other; each `open` sets all that an earlier test may have changed."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self.url = ""

    def open(
        self,
        path: Path,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        media: str = "screen",
        scripts: bool = True,
    ) -> None:
        """Load a page from a file; what the logs held of earlier ones is forgotten."""
        self.resize(width, height)
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.emulate(media, dark)
        self.driver.get("about:blank")
        for log in ("browser", "performance"):
            self.driver.get_log(log)
        self.url = path.as_uri()
        self.driver.get(self.url)
        self.run(
            "return document.fonts.ready.then(() => new Promise(requestAnimationFrame)).then(() => 0)"
        ) if (scripts) else None

    def cdp(self, command: str, **settings: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, settings)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def resize(self, width: int, height: int = 900) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def emulate(self, media: str = "screen", dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def complaints(self) -> list[str]:
        """What the console says, from information upwards: script errors, blocked content, failed loads."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def outside_requests(self) -> list[str]:
        """Addresses asked for since `open`, but the page itself and what is written inside it."""
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        asked = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        assert self.url in asked, "the log of requests works: it has at least the page"
        return [url for url in asked if url != self.url and not url.startswith("data:")]

    def pdf(self) -> bytes:
        """The page as it would be printed, with its own margins."""
        self.emulate("")  # an emulated screen would be printed as such
        settings = {
            "printBackground": True,
            "preferCSSPageSize": True,
            "paperWidth": 8.27,
            "paperHeight": 11.69,
        }
        return base64.b64decode(self.cdp("Page.printToPDF", **settings)["data"])

    def use_everything(self) -> None:
        """Unfold, sort, filter, hover and print, so that all scripts of the page have run."""
        self.run(USE_EVERYTHING)
        self.pdf()


USE_EVERYTHING = """
for (const details of document.querySelectorAll("details")) details.open = true;
for (const button of document.querySelectorAll("button")) {
  for (let press = 0; press < 4; press += 1) button.click();
}
const changed = (control) => control.dispatchEvent(new Event("input", { bubbles: true }));
for (const input of document.querySelectorAll(".tools input[type=search]")) {
  for (const words of ["a", "[.*(", ""]) { input.value = words; changed(input); }
}
for (const select of document.querySelectorAll("select")) {
  const before = select.selectedIndex;
  for (const option of [...select.options].slice(0, 12)) {
    option.selected = true;
    changed(select);
    for (const mark of document.querySelectorAll("#canvas .mark")) mark.focus();
  }
  select.selectedIndex = before;
  changed(select);
}
for (const box of document.querySelectorAll("input[type=checkbox]")) box.click();
"""

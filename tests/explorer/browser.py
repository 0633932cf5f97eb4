"""A real browser for the tests: Debian's Chromium, driven by Playwright. Where there is none, its tests are skipped."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
"""axe-core 4, of Deque Systems, under the Mozilla Public License 2.0 beside it: what finds barriers in a page."""


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    if not CHROMIUM:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page from disk, with everything that it asked for and complained of.

    Attributes:
        page: of Playwright.
        requests: for anything but what the page holds itself.
        complaints: errors and warnings of its console, and exceptions.
    """

    def __init__(self, browser: Any, path: Path, width: int = 1280, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked(request.url, path.as_uri()))
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def asked(self, address: str, own: str) -> None:
        if address != own and not address.startswith(("data:", "blob:")):
            self.requests.append(address)

    def close(self) -> None:
        self.context.close()


def until(page: Any, condition: str, seconds: float = 15.0) -> None:
    """Wait for a condition of JavaScript: the page's policy allows no waiting within the page by evaluated text."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        page.wait_for_timeout(10)


def violations(page: Any) -> list[str]:
    """What axe-core finds wrong with a page, a line each."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]

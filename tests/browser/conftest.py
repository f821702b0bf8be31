"""The built site in a real Chromium."""

import contextlib
import functools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

expect.set_options(timeout=30_000)  # milliseconds, as for all else that Playwright waits for: machines can be busy

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
PLACES = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
]
MISSING = """no Chromium was found, and the site is tested in one. What to do:
    Debian, Ubuntu:  apt-get install chromium
    macOS:           brew install --cask chromium
    Windows:         choco install chromium
or set CHROMIUM to the path of one."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


def chromium() -> str:
    """Return the path of a Chromium, or fail with the line that installs one."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES), *filter(os.path.exists, PLACES)]
    return next(filter(None, candidates), None) or pytest.fail(MISSING, pytrace=False)


class Handler(SimpleHTTPRequestHandler):
    """Serves files, the page for what is missing where nothing is, as hosts do, and keeps quiet about it."""

    def log_message(self, *_: object) -> None:
        pass

    def send_error(self, code: int, *details: str | None) -> None:
        if code != HTTPStatus.NOT_FOUND:
            super().send_error(code, *details)
            return
        page = (Path(self.directory) / "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


class InPieces(Handler):
    """Sends a page in pieces, so that the half of a table is painted before the rest of it is there."""

    def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
        is_page = self.headers["Sec-Fetch-Dest"] == "document"
        while piece := source.read(1500 if is_page else -1):
            outputfile.write(piece)
            if is_page:
                outputfile.flush()
                time.sleep(0.05)


@contextlib.contextmanager
def served(site: Path, handler: type[Handler]) -> Iterator[str]:
    """Serve the site, and give its address with a slash at the end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def address(site) -> Iterator[str]:
    with served(site, Handler) as address:
        yield address


@pytest.fixture(scope="session")
def address_in_pieces(site) -> Iterator[str]:
    with served(site, InPieces) as address:
        yield address


@pytest.fixture(scope="session")
def pages(site) -> list[str]:
    """Return the path of every page, relative to the address."""
    files = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return [file.removesuffix("index.html") for file in files]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def open_window(browser, address) -> Callable[..., BrowserContext]:
    """Give a function that opens a window: ``open_window(width=390, scheme="dark")``; the rest is Playwright's."""

    def open_(*, width: int = 1440, scheme: str = "light", **options: object) -> BrowserContext:
        size = {"width": width, "height": 900}
        return browser.new_context(base_url=address, viewport=size, color_scheme=scheme, **options)

    return open_


@pytest.fixture
def context(open_window) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows as `open_window` does; they are closed at the end of the test."""
    with contextlib.ExitStack() as windows:
        yield lambda **options: windows.enter_context(open_window(**options))

"""Plays finished streams in Debian's chromium, as a visitor would, with the players that sites use."""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Request, sync_playwright

from tests.players.server import serving

HERE = Path(__file__).parent
CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-quic",
)
_INSTALL_SECONDS = 100


@dataclass(frozen=True)
class Cue:
    """A caption; times in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a player did with a stream; times in seconds, -1 where it never came to that.

    `errors` are fatal or from the browser, `notes` what the player got over. `started`, `sought_middle` and
    `sought_end` are where playback was some moments after each. `sounds` and `captions` count what there is to
    choose from, `cues` are those of the first captions, at the end, and `active` what was on the screen of them after
    each seek, and when.
    """

    errors: tuple[str, ...]
    notes: tuple[str, ...]
    duration: float
    first_buffered: float
    started: float
    switched_down: bool
    switched_up: bool
    sought_middle: float
    sought_end: float
    ended: bool
    levels: int
    sounds: int
    captions: int
    cues: tuple[Cue, ...]
    active: tuple[tuple[float, tuple[str, ...]], ...]
    heard: bool
    seen: bool
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """A part of a sheet in pixels, shown `at` a time and all the `seconds` from `start` on; `sheet` is its URL path.

    `off` says how far it is, in levels of 255, from the picture in the middle of these seconds.
    """

    at: float
    sheet: str
    x: int
    y: int
    width: int
    height: int
    start: float
    seconds: float
    off: float


def play_hls(browser: Browser, root: Path, path: str) -> Report:
    """Play the multivariant playlist at `path` below `root` in hls.js."""
    return _play(browser, "hls", root, path)


def play_hls_in_shaka(browser: Browser, root: Path, path: str) -> Report:
    """Play the multivariant playlist at `path` below `root` in shaka-player."""
    return _play(browser, "shaka", root, path)


def play_dash(browser: Browser, root: Path, path: str) -> Report:
    """Play the DASH manifest at `path` below `root` in shaka-player."""
    return _play(browser, "shaka", root, path)


def play_native(browser: Browser, root: Path, path: str, captions: str | None = None) -> Report:
    """Play a progressive MP4 or M4A as a plain `src`, with the WebVTT file `captions` as a `<track>`."""
    return _play(browser, "native", root, path, captions)


def thumbnails(browser: Browser, root: Path, path: str, storyboard: str, at: Sequence[float]) -> tuple[Thumbnail, ...]:
    """What shaka-player shows of the WebVTT file `storyboard` while the stream at `path` is sought through.

    :raises RuntimeError: for anything that the player or the browser complains of.
    """
    with _opened(browser, root) as (page, complaints):
        given = [f"/{path}", f"/{storyboard}", list(at)]
        try:
            found = page.evaluate("(given) => thumbnails(...given)", given)
        except Error as error:
            raise RuntimeError(error.message) from error
    if complaints:
        raise RuntimeError("; ".join(complaints))
    return tuple(Thumbnail(**one) for one in found)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's browser, without a window; it reaches for nothing but what a page asks for."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def why_not() -> str | None:
    """What is missing to play anything here, or None; installs the players where there are none yet."""
    if not Path(CHROMIUM).exists():
        return f"{CHROMIUM} is not installed"
    if (HERE / "node_modules/.package-lock.json").exists():
        return None
    if shutil.which("npm") is None:
        return "npm is not installed, and tests/players/node_modules is not there"
    return _install()


def _install() -> str | None:
    """Npm ci, by one process at a time."""
    with (Path(tempfile.gettempdir()) / "media-worker-players.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (HERE / "node_modules/.package-lock.json").exists():
            return None
        command = ["npm", "ci", "--ignore-scripts"]
        try:
            subprocess.run(command, cwd=HERE, check=True, capture_output=True, timeout=_INSTALL_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            return f"npm ci did not work in tests/players: {error}"
    return None


def _play(browser: Browser, kind: str, root: Path, path: str, captions: str | None = None) -> Report:
    with _opened(browser, root) as (page, complaints):
        given = [kind, f"/{path}", captions and f"/{captions}"]
        found = page.evaluate("(given) => play(...given)", given)
    return Report(**found | _values(found) | {"errors": (*found["errors"], *complaints)})


@contextmanager
def _opened(browser: Browser, root: Path) -> Iterator[tuple[Page, list[str]]]:
    """A page with the players on it, and what the browser complains of while it is open."""
    with serving({"/-/": HERE, "/": root}) as server, browser.new_context() as context:
        page = context.new_page()
        complaints = _overheard(page, server.address)
        page.goto(f"{server.address}/-/play.html")
        yield page, complaints


def _values(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "notes": tuple(found["notes"]),
        "cues": tuple(Cue(*cue) for cue in found["cues"]),
        "active": tuple((at, tuple(texts)) for at, texts in found["active"]),
    }


def _overheard(page: Page, address: str) -> list[str]:
    """Grows by whatever the browser complains of, and by any request that leaves this server."""
    complaints: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    def request(sent: Request) -> None:
        if not sent.url.startswith((address, "data:", "blob:")):
            complaints.append(f"request: {sent.url}")

    page.on("console", console)
    page.on("request", request)
    page.on("pageerror", lambda error: complaints.append(f"page: {error}"))
    page.on("response", lambda answer: complaints.append(f"{answer.status}: {answer.url}") if not answer.ok else None)
    return complaints

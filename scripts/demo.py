"""The demo's story: files go up to a bucket, the worker makes them ready for the web, a page shows them."""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import FrameType

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts import children, localstack, page, resources, samples, server
from scripts.board import Board
from scripts.page import Upload
from scripts.resources import Resources

ROOT = Path(__file__).resolve().parent.parent

_NAMES = resources.names("media")
_PATIENCE = 600  # seconds without any news, after which something must be wrong
_DRAIN = 5  # seconds that the worker gets to finish what it has begun
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STYLES = {"ready": "green", "processing": "yellow", "waiting": "dim"}  # all others are red


class FailedError(Exception):
    """The demo cannot go on; the message says why."""


class StoppedError(SystemExit):
    """A signal asked for the end; everything that was started is stopped on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def main() -> int:
    """0: every file is ready. 1: some are not, or the demo failed. 2: wrong use."""
    arguments = _arguments()
    for number in _SIGNALS:
        signal.signal(number, _stop)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 220)
    try:
        return _run(arguments, console)
    except (FailedError, localstack.NotStartedError, BotoCoreError, ClientError, OSError) as error:
        console.print(f"[red]demo: {escape(str(error))}")
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Uploads files to a LocalStack of its own, lets the worker make them ready for the web, "
        "and shows the results on a page of this machine.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="what to upload; default: three samples")
    parser.add_argument("--once", action="store_true", help="end after the table; exit code 0 when all are ready")
    parser.add_argument("--port", type=int, default=8090, help="of the page; the next free one if it is taken")
    # For compose.yaml, which has started LocalStack and the worker itself.
    parser.add_argument("--attached", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--host", default="127.0.0.1", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for path in arguments.paths:
        if not path.exists():
            parser.error(f"there is no {path}")
    return arguments


def _stop(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # nothing may interrupt the way out
    raise StoppedError(number)


def _run(arguments: argparse.Namespace, console: Console) -> int:
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = _files(arguments.paths) or _samples(folder / "samples", console)
        made = stack.enter_context(_surroundings(folder, console, attached=arguments.attached))
        s3 = stack.enter_context(closing(resources.client("s3", made.endpoint)))
        board = Board(s3, made)
        port = stack.enter_context(
            server.serving(
                lambda: page.render(board.refresh()), s3, made.published, host=arguments.host, port=arguments.port
            )
        )
        address = f"http://127.0.0.1:{port}"
        check = _nothing if arguments.attached else stack.enter_context(_worker(made, address, folder, console))
        for path, key in zip(files, _keys(files), strict=True):
            board.upload(path, key)
        _follow(board, check, console)
        console.print(_table(board, made.published))
        if not arguments.once:
            _wait(address, console)
        return 0 if all(upload.status == "ready" for upload in board.uploads) else 1


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and those in folders."""
    found = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in paths]
    return [path for each in found for path in each if path.is_file()]


def _samples(folder: Path, console: Console) -> list[Path]:
    if not folder.exists():
        voice = "" if samples.speaks() else "; nobody speaks in it, since this ffmpeg has no filter flite"
        console.print(f"making a photo, a clip and a sound to upload{voice}")
    return samples.make(folder)


def _keys(files: Sequence[Path]) -> list[str]:
    """A key for each file: its name; a second file of that name gets a number in front."""
    keys: list[str] = []
    for number, path in enumerate(files):
        plain = path.name.encode(errors="replace").decode()
        key = f"uploads/{plain}"
        keys.append(f"uploads/{number}/{plain}" if key in keys else key)
    return keys


@contextmanager
def _surroundings(folder: Path, console: Console, *, attached: bool) -> Iterator[Resources]:
    """The buckets and queues, on a LocalStack of this demo's own or on the one that compose.yaml has started."""
    if attached:
        yield resources.make(os.environ["AWS_ENDPOINT_URL"], _NAMES)
        return
    log = folder / "localstack.log"
    with localstack.running(log=log) as endpoint:
        console.print(f"LocalStack is at {endpoint} (log: {log})")
        yield resources.make(endpoint, _NAMES)


@contextmanager
def _worker(made: Resources, address: str, folder: Path, console: Console) -> Iterator[Callable[[], None]]:
    """`media-worker run`; the value raises `FailedError` once it is no longer there."""
    log = folder / "worker.log"
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=folder) as scratch:
        settings = made.environment(address) | {
            "PATH": os.environ["PATH"],
            "MEDIA_SCRATCH": scratch,
            "MEDIA_POLL_SECONDS": "2",
            "MEDIA_DRAIN_SECONDS": str(_DRAIN),
            "MEDIA_HTTP_PORT": "0",
        }
        argv = [str(Path(sys.executable).with_name("media-worker")), "run"]
        with children.running(argv, env=settings, cwd=folder, log=log, grace=_DRAIN + 3) as process:
            console.print(f"media-worker run has process id {process.pid} (log: {log})")

            def check() -> None:
                if process.poll() is not None:
                    last = children.tail(log)
                    raise FailedError(f"the worker ended with {process.returncode}; the end of {log}:\n{last}")

            yield check


def _nothing() -> None:
    """Somebody else looks after the worker."""


def _follow(board: Board, check: Callable[[], None], console: Console) -> None:
    """Shows how far the uploads are until all are final."""
    news = time.monotonic()
    with _display(console) as show:
        show(board.uploads)
        while not all(upload.final for upload in board.uploads):
            before = board.uploads
            if board.refresh() != before:
                show(board.uploads)
                news = time.monotonic()
            if time.monotonic() - news > _PATIENCE:
                raise FailedError(f"no news of the uploads for {_PATIENCE} s")
            check()
            time.sleep(0.3)


@contextmanager
def _display(console: Console) -> Iterator[Callable[[Sequence[Upload]], None]]:
    """Progress bars on a terminal; elsewhere a line for each change."""
    if not console.is_terminal:
        shown: dict[str, str] = {}

        def lines(uploads: Sequence[Upload]) -> None:
            for upload in uploads:
                if shown.get(upload.key) != (text := _state(upload)):
                    console.print(f"{escape(upload.key)}: {text}")
                shown[upload.key] = text

        yield lines
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {}

        def bars(uploads: Sequence[Upload]) -> None:
            for upload in uploads:
                if upload.key not in tasks:
                    tasks[upload.key] = progress.add_task(escape(upload.key), state="")
                done = 100 if upload.final else (upload.manifest.percent or 0) if upload.manifest else 0
                progress.update(tasks[upload.key], completed=done, state=_state(upload))

        yield bars


def _state(upload: Upload) -> str:
    percent = f" {upload.manifest.percent} %" if upload.manifest and upload.status == "processing" else ""
    waiting = ", captions to come" if upload.listening else ""
    return f"[{_STYLES.get(upload.status, 'red')}]{upload.status}{percent}{waiting}[/]"


def _table(board: Board, bucket: str) -> Table:
    """Where everything is."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("what")
    table.add_column("pixels", justify="right")
    table.add_column("size", justify="right")
    table.add_column("where", overflow="fold")
    for upload in board.uploads:
        table.add_row()
        _add(table, upload, bucket)
        if spoken := board.spoken(upload):
            by = f"written by {spoken.model}" if spoken.model else "as uploaded"
            table.add_row("says", "", "", escape(f'"{spoken.first}" (the first of {spoken.cues} captions, {by})'))
    return table


def _add(table: Table, upload: Upload, bucket: str) -> None:
    table.add_row(f"[bold]{_state(upload)}[/]", "", "", f"[bold]{escape(upload.key)}[/]")
    table.add_row("manifest", "", "", escape(f"s3://{bucket}/{upload.manifest_key}"))
    assert upload.manifest
    if upload.manifest.reason:
        table.add_row("reason", "", "", escape(f"{upload.manifest.reason.code}: {upload.manifest.reason.message}"))
    for product in upload.manifest.serving.products if upload.manifest.serving else ():
        pixels = f"{product.width} × {product.height}" if product.width else ""
        table.add_row(product.role, pixels, page.size(product.bytes), escape(product.alias_url or product.url))


def _wait(address: str, console: Console) -> None:
    """Until Ctrl-C, which is the way to end the page; SIGTERM goes on as what it is."""
    try:
        console.print(f"\n[bold]The page is at {address}[/]; Ctrl-C ends it and stops everything.")
        while True:
            time.sleep(3600)
    except StoppedError as stopped:
        if stopped.number != signal.SIGINT:
            raise


if __name__ == "__main__":
    sys.exit(main())

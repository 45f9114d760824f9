"""A folder of real files through a worker against the strict fakes of Rekognition and Transcribe: by hand, it is slow.

    python -m scripts.strict_corpus FOLDER

Every asset that is public and has something to be seen must have been shown to the fake, and no request refused for
what a correct client never sends. It prints a table of what became of the files, and ends with 1 if either is not so.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from scripts import localstack
from scripts.resources import Resources, client, make, names
from service.core.manifest import FINAL, Manifest
from service.core.record import Outcome
from service.core.sidecar import parent
from tests.acceptance.service import Service, running
from tests.acceptance.site import Site
from tests.strict.server import StrictAws

CALL = "DetectModerationLabels"
UNIT = "rekognition_image"
QUIET_SECONDS = 300.0  # without a single file that ends: longer is a worker that hangs

# What is made of the files is not what is looked at here: as little as can be.
RECIPE = """
[moderation]
provider = "rekognition"
[captions]
provider = "transcribe"
languages = ["en-US", "de-DE", "fr-FR"]
[images]
widths = [320]
formats = ["jpeg"]
[video]
preset = "ultrafast"
ladder = [{ height = 240, max_bit_rate = 400_000 }]
[spend]
upload = 100.0
day = 100_000.0
"""
RATE = 1000  # calls a second: the quota is proven elsewhere


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What became of one file."""

    manifest: Manifest
    outcome: Outcome

    @property
    def kind(self) -> str:
        """As the page knows it."""
        return self.manifest.serving.kind if self.manifest.serving else "-"

    @property
    def row(self) -> tuple[str, ...]:
        """Status, reason, kind and captions: the line of the table that it counts in."""
        found = self.manifest
        captions = found.serving.captions if found.serving else "-"
        return found.status, found.reason.code if found.reason else "", self.kind, captions

    @property
    def seen(self) -> int:
        """How many frames of it were bought."""
        lines = self.outcome.cost.lines if self.outcome.cost else ()
        return round(sum(line.count for line in lines if line.unit == UNIT))

    @property
    def unasked(self) -> bool:
        """Whether it is public, has something to be seen, and was not shown to anybody."""
        return self.manifest.status == "ready" and self.kind in {"image", "video"} and not self.seen


def through(folder: Path, keys: Sequence[str], aws: StrictAws, resources: Resources, scratch: Path) -> dict[str, Ended]:
    """Upload the files of these names, wait until all have ended, and give what became of them."""
    with closing(client("s3", resources.endpoint)) as s3, closing(client("sqs", resources.endpoint)) as sqs:
        site = Site(resources=resources, s3=s3, sqs=sqs)
        settings: dict[str, Any] = {"MEDIA_REKOGNITION_RATE": RATE, "MEDIA_TRANSCRIBE_RATE": RATE, "MEDIA_SLOTS": 4}
        with running(resources, scratch, recipe=RECIPE, aws=aws.url, **settings) as service:
            for key in keys:
                site.upload(key, folder / key)
            manifests = _awaited(site, keys, service)
        return {key: Ended(manifest=found, outcome=site.outcome(key)) for key, found in manifests.items()}


def _awaited(site: Site, keys: Sequence[str], service: Service) -> dict[str, Manifest]:
    left, found, moved = list(keys), dict[str, Manifest](), time.monotonic()
    while left:
        for key in left[:]:
            manifest = site.manifest(key)
            if manifest and _is_over(manifest):
                found[key] = manifest
                left.remove(key)
                moved = time.monotonic()
        if service.process.poll() is not None or time.monotonic() - moved > QUIET_SECONDS:
            raise SystemExit(f"the worker hangs or has ended; left: {left}\n{service.log.read_text()[-2000:]}")
        time.sleep(1)
    return found


def _is_over(manifest: Manifest) -> bool:
    return manifest.status in FINAL and not (manifest.serving and manifest.serving.captions == "pending")


def report(ended: Mapping[str, Ended], aws: StrictAws, seconds: float) -> int:
    """Print the table; the process's exit code."""
    console = Console(width=100)
    table = Table("status", "reason", "kind", "captions", "files", "frames")
    rows = Counter(one.row for one in ended.values())
    for row, count in sorted(rows.items()):
        frames = sum(one.seen for one in ended.values() if one.row == row)
        table.add_row(*row, str(count), str(frames))
    console.print(table)
    unasked = {key: one.outcome.moderation for key, one in ended.items() if one.unasked}
    why = Counter(one.outcome.captions.none or "made" for one in ended.values() if one.outcome.captions)
    print(f"{len(ended)} files in {seconds:.0f} s; calls: {dict(aws.calls)}; transcriptions begun: {aws.starts}")
    print(f"captions by reason: {dict(why)}; errors: {dict(aws.tally.errors)}; throttles: {aws.throttles}")
    print(f"public and visible, but shown to nobody: {unasked or 'none'}")
    print(f"requests that a correct client never sends: {aws.rejected or 'none'}")
    return 1 if unasked or aws.rejected else 0


def main() -> None:
    """Run all of a folder's files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.strict_corpus", description="See the module.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, help="so many files at most, spread over all")
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.exit(2, f"{options.folder}: there is no such folder of media files\n")
    found = sorted(path for path in options.folder.rglob("*") if path.is_file() and path.stat().st_size)
    keys = [str(path.relative_to(options.folder)) for path in found]
    keys = [key for key in keys if parent(key) is None or parent(key)[0] not in keys]  # type: ignore[index]
    keys = keys[:: max(1, len(keys) // options.most)] if options.most else keys
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="strict-corpus-") as scratch, localstack.running() as endpoint:
        resources = make(endpoint, names(f"corpus-{uuid4().hex[:8]}"))
        with StrictAws(endpoint=endpoint, queue=resources.intake.url) as aws:
            aws.script.seconds = 0.2
            ended = through(options.folder, keys, aws, resources, Path(scratch))
            code = report(ended, aws, time.monotonic() - began)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""What the real command publishes of files: its manifests, and the tracks below them."""

import glob
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from scripts.proofs.clips import UnreadableError
from service.commands.process import BUCKET
from service.core import places
from service.core.manifest import Manifest
from service.core.record import Record, Role, StepRecord
from service.core.tracks import AudioTrack, VideoTrack

#: What is proven is how it looks and sounds; whether it may be seen, and what is said in it, are proven elsewhere.
RECIPE = """
[moderation]
provider = "off"

[captions]
provider = "off"
"""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of one file; `root` is the folder that public addresses are relative to."""

    key: str
    root: Path
    manifest: Manifest | None
    error: str | None

    @property
    def ready(self) -> bool:
        """Whether a page can show it."""
        return self.manifest is not None and self.manifest.status == "ready"

    @property
    def status(self) -> str:
        """As in the manifest."""
        return "failed" if self.error or not self.manifest else str(self.manifest.status)

    @property
    def reason(self) -> tuple[str, str]:
        """Code and words where it is not ready."""
        why = self.manifest.reason if self.manifest else None
        return (why.code, why.message) if why else ("internal", self.error or "it has no manifest")

    def product(self, role: Role, *, suffix: str = "") -> Path | None:
        """The first file of a role, if there is one."""
        serving = self.manifest.serving if self.manifest else None
        found = (one.url for one in (serving.products if serving else ()) if one.role is role)
        return next((self.root / unquote(url).lstrip("/") for url in found if url.endswith(suffix)), None)

    def renditions(self) -> list[tuple[VideoTrack, Path]]:
        """Every rung and its file, the largest first."""
        found = [(step.video, path / step.video.file) for step, path in self._steps() if step.video]
        return sorted(found, key=lambda one: -one[0].height)

    def sounds(self) -> list[tuple[AudioTrack, Path]]:
        """Every sound track and its file, in the order of their names."""
        found = [(step.audio, path / step.audio.file) for step, path in self._steps() if step.audio]
        return sorted(found, key=lambda one: one[0].file)

    def _steps(self) -> list[tuple[StepRecord, Path]]:
        at = places.Places(name=places.name(BUCKET, self.key, several_buckets=False))
        files = (path for path in self.root.glob(f"{glob.escape(at.versions)}*/*.json") if places.is_record(str(path)))
        records = [Record.model_validate_json(path.read_bytes()) for path in files]
        return [(step, self.root / record.folder) for record in records for step in record.steps]


def process(files: Mapping[str, Path], folder: Path, *, recipe: str = RECIPE) -> dict[str, Published]:
    """What `media-worker process` makes of these files, by key, in `folder`, which must be new.

    :raises UnreadableError: when it ends without a word of any file.
    """
    uploads, root, said = folder / "uploads", folder / "out", folder / "recipe.toml"
    for key, path in files.items():
        (uploads / key).parent.mkdir(parents=True, exist_ok=True)
        (uploads / key).symlink_to(path)
    said.write_text(recipe)
    argv: list[str | Path] = [
        sys.executable,
        "-P",
        "-m",
        "service",
        "process",
        uploads,
        "--out",
        root,
        "--recipe",
        said,
        "--json",
    ]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)  # it ends with 1 if one of them is not ready
    if not done.stdout:
        raise UnreadableError(f"media-worker process ended with {done.returncode}, and said nothing")
    return {one["key"]: _published(one, root) for one in json.loads(done.stdout)}


def _published(ended: Mapping[str, object], root: Path) -> Published:
    manifest = Manifest.model_validate(ended["manifest"]) if ended["manifest"] else None
    error = str(ended["error"]) if ended["error"] else None
    return Published(key=str(ended["key"]), root=root, manifest=manifest, error=error)

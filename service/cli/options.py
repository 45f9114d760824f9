"""What several commands take, and where they print."""

import getpass
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

err = Console(stderr=True)
out = Console()

AsJson = Annotated[bool, typer.Option("--json", help="For machines: JSON on stdout, nothing else.")]
Bucket = Annotated[str | None, typer.Option(help="Its bucket; default: the first input bucket.")]
Jobs = Annotated[int, typer.Option(help="Files at once.", min=1)]
MemoryMb = Annotated[int, typer.Option(help="Most memory of one decoder, in MB.", min=256)]
Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of files.")]
PublicUrl = Annotated[str, typer.Option(help="What addresses in manifests begin with.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A recipe; default: the shipped one.")]
WhisperModel = Annotated[
    Path | None,
    typer.Option(
        envvar="MEDIA_WHISPER_MODEL", help="Folder of a faster-whisper model; default: tiny.en, which knows English."
    ),
]
WrittenTo = Annotated[Path | None, typer.Option("--out", help="A folder that `process` wrote to, in place of S3.")]

JOBS = os.cpu_count() or 1
MEMORY_MB = 3072


def print_json(document: object) -> None:
    """On stdout."""
    sys.stdout.write(json.dumps(document, indent=1, default=str, ensure_ascii=False) + "\n")


def who() -> str:
    """Whoever is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return f"user {os.getuid()}"

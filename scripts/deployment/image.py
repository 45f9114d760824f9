"""The image: built from a commit with what is there, pushed, and from then on called by its digest.

A tag is the commit and what the image was built for, so that a commit that has been pushed is not built again. A
working tree with changes is no commit: its tag has the time in it.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.deployment.errors import Trouble
from scripts.deployment.templates import ROOT

Engine = Literal["docker", "podman", "buildah"]

_ENGINES: tuple[Engine, ...] = ("docker", "podman", "buildah")
PLATFORMS = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an image is built from: `commit` is empty outside of git."""

    commit: str
    clean: bool


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One image: whether the models for moderation and captions are in it, and which processor it is for."""

    source: Source
    architecture: str
    local: bool
    version: str

    def tag(self, now: str) -> str:
        """Never `latest`: it names what is in the image, and the repository lets nobody move it.

        :param now: the time, for what is no commit.
        """
        commit = self.source.commit[:12] or "tree"
        parts = [commit, self.architecture.lower(), "" if self.local else "remote", "" if self.source.clean else now]
        return "-".join(filter(None, parts))


def build_argv(engine: Engine, wanted: Wanted, name: str) -> list[str]:
    """The command that builds; OCI's own format has no health check."""
    revision = wanted.source.commit + ("" if wanted.source.clean else "-dirty") or "unknown"
    arguments = {"VERSION": wanted.version, "REVISION": revision}
    arguments |= {} if wanted.local else {"LOCK": "requirements.lock"}
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    start = {
        "docker": ["docker", "build"],
        "podman": ["podman", "build", "--format", "docker"],
        "buildah": ["buildah", "bud", "--format", "docker", "--layers"],
    }[engine]
    return [*start, "--platform", PLATFORMS[wanted.architecture], "--tag", name, *words, str(ROOT)]


def login_argv(engine: Engine, registry: str) -> list[str]:
    """The command that logs in; the password comes by standard input, out of everybody's sight."""
    return [engine, "login", "--username", "AWS", "--password-stdin", registry]


def push_argv(engine: Engine, name: str, digest_file: Path, *, plain_http: bool = False) -> list[str]:
    """The command that pushes; podman and buildah write the digest into a file, docker prints it."""
    if engine == "docker":
        return ["docker", "push", name]
    verify = ["--tls-verify=false"] if plain_http else []
    return [engine, "push", *verify, "--digestfile", str(digest_file), name]


def digest_of(engine: Engine, printed: str, digest_file: Path) -> str:
    """What the push gave.

    :raises Trouble: when it gave none.
    """
    if engine == "docker":
        found = _DIGEST.findall(printed)
        digest = found[-1] if found else ""
    else:
        digest = digest_file.read_text().strip() if digest_file.exists() else ""
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise Trouble(f"{engine} push said no digest.", "Push it by hand, and name it: --image REPOSITORY@sha256:…")
    return digest


# ---- doing ---------------------------------------------------------------------------------------------------------


def source() -> Source:
    """The commit of this tree, and whether it is all there is."""
    commit = _quiet(["git", "-C", str(ROOT), "rev-parse", "HEAD"])
    changed = _quiet(["git", "-C", str(ROOT), "status", "--porcelain"])
    return Source(commit=(commit or "").strip(), clean=bool(commit) and changed == "")


def version() -> str:
    """Of this project."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def engine() -> Engine:
    """What builds here.

    :raises Trouble: naming what could.
    """
    for name in _ENGINES:
        if shutil.which(name) and _answers(name):
            return name
    raise Trouble(
        "Nothing here builds images: no docker, podman or buildah answers.",
        "Install one (apt-get install buildah), or name an image that is pushed: --image REPOSITORY@sha256:…",
    )


def _answers(name: Engine) -> bool:
    """Buildah works in a bare container too: in a chroot, and where nothing is to be laid over, with copies."""
    if name == "buildah":
        os.environ.setdefault("BUILDAH_ISOLATION", "chroot")
        if "STORAGE_DRIVER" not in os.environ and _quiet(["buildah", "info"]) is None:
            os.environ["STORAGE_DRIVER"] = "vfs"
    return _quiet([name, "info"]) is not None


def pushed(ecr: Any, repository: str, tag: str) -> str | None:
    """The digest that a tag has in the repository, None where it is not there."""
    return _found(ecr, repository, {"imageTag": tag})


def _found(ecr: Any, repository: str, image: Mapping[str, str]) -> str | None:
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[image])["imageDetails"]
    except ecr.exceptions.ImageNotFoundException:
        return None
    return str(found[0]["imageDigest"])


def require(ecr: Any, uri: str, images: Iterable[str]) -> None:
    """Refuses what the repository has no more; an image from elsewhere is nobody's business here.

    :raises Trouble: naming it.
    """
    for name in images:
        where, _, digest = name.partition("@")
        if where == uri and _found(ecr, uri.partition("/")[2], {"imageDigest": digest}) is None:
            raise Trouble(
                f"{name} is not in the repository any more, which keeps three images.",
                "Check out its commit, and deploy that: it is built again.",
            )


def build_and_push(ecr: Any, uri: str, wanted: Wanted, *, tell: Callable[[str], None]) -> str:
    """The image by its digest, REPOSITORY@sha256:…

    :param uri: of the repository, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME.
    :raises Trouble: when it can't be built or pushed.
    """
    tag = wanted.tag(time.strftime("%Y%m%d%H%M%S", time.gmtime()))
    if digest := pushed(ecr, uri.partition("/")[2], tag):
        tell(f"image {tag} is in the repository already: {digest}")
        return f"{uri}@{digest}"
    builder, name = engine(), f"{uri}:{tag}"
    tell(f"building {name} with {builder}")
    _loud(build_argv(builder, wanted, name), "build")
    user, _, password = base64.b64decode(_token(ecr)).decode().partition(":")
    assert user == "AWS"  # as ECR's guide says
    _loud(login_argv(builder, uri.partition("/")[0]), "login", given=password)
    return f"{uri}@{push(builder, name)}"


def push(builder: Engine, name: str, *, plain_http: bool = False) -> str:
    """The digest that the registry gave."""
    with tempfile.TemporaryDirectory(prefix="media-deploy-") as folder:
        file = Path(folder) / "digest"
        printed = _loud(push_argv(builder, name, file, plain_http=plain_http), "push")
        return digest_of(builder, printed, file)


def _token(ecr: Any) -> str:
    return str(ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"])


def _quiet(argv: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout


def _loud(argv: Sequence[str], what: str, *, given: str = "") -> str:
    """What a command prints, shown as it comes.

    :raises Trouble: for an exit code other than 0.
    """
    plain = os.environ | {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}  # they would make the digest an index's
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=plain) as child:
        assert child.stdin
        assert child.stdout
        if given:
            child.stdin.write(given)
        child.stdin.close()
        printed = []
        for line in child.stdout:
            sys.stderr.write(line)
            printed.append(line)
    if child.wait():
        raise Trouble(
            f"{argv[0]} {what} failed: the lines above say why.", "Mend that, and run the same command again."
        )
    return "".join(printed)

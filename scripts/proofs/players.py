"""Five looped clips through the real command, then played in chromium by hls.js and by shaka-player."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from scripts.proofs import clips, looped, published
from scripts.proofs.looped import SECONDS, Kind
from scripts.proofs.published import Published
from service.core.record import Role
from tests.players import player
from tests.players.player import Report, Thumbnail

_PLAYS = (
    ("hls.js", player.play_hls, Role.HLS),
    ("shaka HLS", player.play_hls_in_shaka, Role.HLS),
    ("shaka DASH", player.play_dash, Role.DASH),
)
_PARTS = ("first", "second", "third")  # what the captions say, each for a third of the clip
_SLACK = 0.2  # seconds that a loop may be longer or shorter than it should be
_OFF = 16.0  # levels of 255 that a thumbnail may be away from its picture: it is small, and a JPEG
_STALLED = "bufferStalledError"  # a slow machine's, and hls.js gets over it


@dataclass(frozen=True, kw_only=True)
class Played:
    """One clip in one player, and what is wrong with that."""

    kind: str
    source: str
    player: str
    report: Report | None
    thumbnails: tuple[Thumbnail, ...]
    wrong: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All clips in all players."""

    played: tuple[Played, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return bool(self.played) and not any(one.wrong for one in self.played)


def prove(folder: Path, scratch: Path) -> Findings:
    """Loop, process and play.

    :raises NoSuchClipError: when the corpus has not all kinds.
    """
    made = looped.write(folder, scratch / "looped")
    files = {key: path for key, (_, _, path) in made.items()}
    captions = {f"{key}.en.vtt": scratch / "captions.vtt" for key in files}
    (scratch / "captions.vtt").write_text(_captions())
    ended = published.process({**files, **captions}, scratch)
    with player.chromium() as browser:
        played = [
            one
            for key, (kind, sample, path) in made.items()
            for one in _all(browser, kind, sample.key, clips.read(path), ended[key])
        ]
    return Findings(played=tuple(played))


def _captions() -> str:
    lasts = SECONDS / len(_PARTS)
    cues = (
        f"00:{number * lasts:06.3f} --> 00:{(number + 1) * lasts:06.3f}\n{part}" for number, part in enumerate(_PARTS)
    )
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _all(browser: Browser, kind: Kind, source: str, clip: clips.Clip, made: Published) -> Iterator[Played]:
    if not made.ready:
        wrong = (": ".join(made.reason),)
        yield Played(kind=kind.name, source=source, player="", report=None, thumbnails=(), wrong=wrong)
        return
    for name, play, role in _PLAYS:
        path = _below(made, role)
        report = play(browser, made.root, path)
        of_shaka = clip.video is not None and play is not player.play_hls  # which has none of its own
        shown, missing = _thumbnails(browser, made, path) if of_shaka else ((), ())
        said = (*_wrong(report, kind, clip), *missing)
        yield Played(kind=kind.name, source=source, player=name, report=report, thumbnails=shown, wrong=said)


def _below(made: Published, role: Role) -> str:
    found = made.product(role)
    assert found
    return str(found.relative_to(made.root))


def _thumbnails(browser: Browser, made: Published, path: str) -> tuple[tuple[Thumbnail, ...], tuple[str, ...]]:
    """Of a time near the start, in the middle and near the end."""
    times = (0.5, SECONDS / 2, SECONDS - 1)
    try:
        shown = player.thumbnails(browser, made.root, path, _below(made, Role.STORYBOARD), times)
    except RuntimeError as error:
        return (), (f"no thumbnails: {error}",)
    return shown, tuple(_unlike(shown))


def _unlike(shown: tuple[Thumbnail, ...]) -> Iterator[str]:
    for one in shown:
        if not one.start <= one.at < one.start + one.seconds:
            yield f"the thumbnail for {one.at} s is of {one.start} s"
        if one.off > _OFF:
            yield f"the thumbnail for {one.at} s is {one.off:.0f} levels off"


def _wrong(report: Report, kind: Kind, clip: clips.Clip) -> Iterator[str]:
    yield from report.errors
    yield from (note for note in report.notes if not note.startswith(_STALLED))
    if abs(report.duration - SECONDS) > _SLACK:
        yield f"it lasts {report.duration:.2f} s"
    if not (report.started > 0 and report.sought_middle > SECONDS / 2 and report.sought_end > SECONDS - 1.2):
        yield "it does not start or seek"
    if not report.ended:
        yield "it does not end"
    if report.levels < kind.rungs:
        yield f"it has {report.levels} rungs"
    if report.levels > 1 and not (report.switched_down and report.switched_up):
        yield "it does not change rung"
    if [texts for _, texts in report.active] != [("second",), ("third",)]:
        yield f"its captions are {report.active}"
    yield from _seen_and_heard(report, clip)


def _seen_and_heard(report: Report, clip: clips.Clip) -> Iterator[str]:
    if report.seen != (clip.video is not None) or report.heard != (clip.sound is not None):
        yield f"seen: {report.seen}, heard: {report.heard}"
    if clip.video is not None and (report.width < report.height) != (clip.width < clip.height):
        yield f"it is shown in {report.width}x{report.height}"

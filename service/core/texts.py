"""Subtitles that a source carries itself: which of them become captions, and how they are taken out.

They are taken out by a command of their own: one line of text that is larger than FFmpeg's buffer ends its command, and
no film is to fail for that.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import ffmpeg

from service.core import languages, webvtt
from service.core.captions import Cue
from service.core.command import SOURCE, compiled, guarded, stripped, unheard
from service.core.media import Clip, TextStream
from service.core.recipe import Limits
from service.core.step import Embedded

_MOST = 8  # tracks of a clip, as of sounds
#: Of a track: ten hours of speech. FFmpeg may go beyond it by a megabyte, and the reader of captions takes it all.
_MOST_BYTES = webvtt.MAX_INPUT // 2
_OWN_CLOCK = frozenset({"mov", "matroska"})  # containers in which no other track has a say in when this one begins
#: What ASS draws with `\p1`, of which FFmpeg leaves the strokes as if they were said: `m 0 0 l 100 0 100 100`.
_DRAWING = re.compile(r"[mn]( -?[0-9.]+){2}( [mnlbspc]| -?[0-9.]+)+")


def wanted(clip: Clip) -> tuple[Embedded, ...]:
    """A step for each track, in the source's order.

    A track of forced subtitles, for what is said in a foreign language only, is left out where its language has
    another one: nobody could tell them apart. A lone one is most often a whole one, marked so that players show it.
    """
    tongues = [(track, languages.canonical(track.language or "")) for track in clip.texts]
    whole = {tongue for track, tongue in tongues if not track.forced}
    kept = [(track, tongue) for track, tongue in tongues if not track.forced or tongue not in whole][:_MOST]
    spoken = [tongue for _, tongue in kept]
    return tuple(_step(track, tongue, number=1 + spoken[:at].count(tongue)) for at, (track, tongue) in enumerate(kept))


def _step(track: TextStream, tongue: str | None, *, number: int) -> Embedded:
    return Embedded(stream=track.index, language=tongue, number=number, title=track.title)


def file(step: Embedded) -> str:
    """What `extract` writes, in ffmpeg's words: not to be trusted."""
    return f"text-{step.stream}.vtt"


def extract(clip: Clip, steps: Sequence[Embedded], limits: Limits) -> list[str]:
    """One ffmpeg command that writes each track as WebVTT, on the clock of the published tracks.

    What is more than `_MOST_BYTES` is cut off.
    """
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    options = {"c:s": "webvtt", "fs": _MOST_BYTES, **stripped()}
    written = [ffmpeg.output(source[str(step.stream)], file(step), f="webvtt", **options) for step in steps]
    rest = [] if set(clip.container.split(",")) & _OWN_CLOCK else unheard(source, clip, [])
    return compiled(ffmpeg.merge_outputs(*written, *rest))


def spoken(cues: Sequence[Cue]) -> tuple[Cue, ...]:
    """The same without lines that are drawings."""
    kept = (replace(cue, lines=tuple(line for line in cue.lines if not _DRAWING.fullmatch(line))) for cue in cues)
    return tuple(cue for cue in kept if cue.lines)

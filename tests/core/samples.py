"""Values that tests of the core start from: the shipped recipe's rules, a phone's clip, a photograph."""

import json
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from service.core import recipe
from service.core.media import AudioStream, Clip, Picture, Timeline, VideoStream
from service.core.recipe import Limits, Rules
from service.core.sniff import StreamFile

SHIPPED = (files("service") / "recipe.toml").read_text()
RULES = recipe.read("", shipped=SHIPPED).general
MOV = StreamFile(demuxers=("mov",), certain=True)

PHONE_PICTURE = VideoStream(
    index=1,
    codec="h264",
    width=1080,
    height=1920,
    frame_rate=Fraction(30_000, 1001),
    bit_rate=6_000_000,
    interlaced=False,
    transfer="bt709",
)
PHONE_SOUND = AudioStream(index=0, codec="aac", channels=1, sample_rate=44_100, language="en", default=True)
PHONE = Clip(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size=7_600_000,
    duration=10.0,
    bit_rate=6_080_000,
    video=PHONE_PICTURE,
    audio=(PHONE_SOUND,),
    streams=2,
    probe_score=100,
    sniffed=MOV,
    timeline=Timeline(duration=10.0, packets=300, longest_gap=0.034, reach=10.0),
)
SONG = replace(PHONE, video=None, streams=1, timeline=replace(PHONE.timeline, packets=430))
PHOTO = Picture(formats=("JPEG", "MPO"), width=4000, height=3000, frames=1, animated=False, alpha=False)
ANIMATION = Picture(formats=("GIF",), width=1600, height=900, frames=20, animated=True, alpha=True)


def rules(text: str) -> Rules:
    """The shipped rules with the changes of a TOML text."""
    return recipe.read(text, shipped=SHIPPED).general


def limits(**changed: float) -> Limits:
    """The shipped limits with changes."""
    return Limits.model_validate(RULES.limits.model_dump() | changed)


def probed(name: str) -> dict[str, Any]:
    """What ffprobe 5.1 said of a real file, trimmed to what describes the streams."""
    return dict(json.loads((Path(__file__).parents[1] / f"data/probe/{name}.json").read_text()))

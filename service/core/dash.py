"""The DASH manifest over all renditions, as text: on-demand profile, one file a representation.

Section numbers are those of ISO/IEC 23009-1:2022. Players read the index (sidx) of each file themselves.
"""

from collections.abc import Sequence
from fractions import Fraction
from xml.etree import ElementTree as ET

from service.core.tracks import AudioTrack, CaptionTrack, VideoTrack, by_sound, language, names, uri

_PROFILE = "urn:mpeg:dash:profile:isoff-on-demand:2011"
_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"
_ROLE = "urn:mpeg:dash:role:2011"
_CHANNELS = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011"
_BUFFER_SECONDS = 4  # what `bandwidth`, the peak of a segment, is enough for (5.3.5.2)
_CAPTION_BITS = 1_000  # a second; the attribute is mandatory, and a WebVTT file never has more


def manifest(
    videos: Sequence[VideoTrack],
    audios: Sequence[AudioTrack],
    subtitles: Sequence[CaptionTrack] = (),
    *,
    duration: float,
) -> str:
    """A static MPD of one period that lasts `duration` seconds: a set of pictures, one for each sound and caption."""
    mpd = ET.Element("MPD", xmlns=_NAMESPACE, profiles=_PROFILE, type="static")
    mpd.set("mediaPresentationDuration", f"PT{duration:.3f}S")
    mpd.set("minBufferTime", f"PT{_BUFFER_SECONDS}S")
    period = ET.SubElement(mpd, "Period", id="0", start="PT0S")
    if videos:
        _pictures(period, videos)
    sounds = by_sound(audios)
    for at, (sound, name) in enumerate(zip(sounds, names([sound[0] for sound in sounds], "Audio"), strict=True)):
        _sound(period, at, sound, name)
    for at, (track, name) in enumerate(zip(subtitles, names(subtitles, "Captions"), strict=True)):
        _caption(period, at, track, name)
    ET.indent(mpd)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(mpd, encoding="unicode")}\n'


def _pictures(period: ET.Element, videos: Sequence[VideoTrack]) -> None:
    adaptation = _adaptation(period, "video", "video/mp4")
    for at, video in enumerate(videos):
        representation = _representation(adaptation, f"video-{at + 1}", video)
        representation.set("width", str(video.width))
        representation.set("height", str(video.height))
        representation.set("frameRate", str(Fraction(video.frame_rate)))
        representation.set("sar", "1:1")


def _sound(period: ET.Element, at: int, sound: Sequence[AudioTrack], name: str) -> None:
    adaptation = _adaptation(period, "audio", "audio/mp4")
    _describe(adaptation, language(sound[0]), name, "alternate" if at else "main")
    for place, track in enumerate(sound):
        representation = _representation(adaptation, f"audio-{at + 1}-{place + 1}", track)
        representation.set("audioSamplingRate", str(track.sample_rate))
        channels = ET.Element("AudioChannelConfiguration", schemeIdUri=_CHANNELS, value=str(track.channels))
        representation.insert(0, channels)  # the schema has it before BaseURL (5.3.7)


def _caption(period: ET.Element, at: int, track: CaptionTrack, name: str) -> None:
    adaptation = ET.SubElement(period, "AdaptationSet", contentType="text", mimeType="text/vtt")
    _describe(adaptation, language(track), name, "caption")
    representation = ET.SubElement(adaptation, "Representation", id=f"text-{at + 1}", bandwidth=str(_CAPTION_BITS))
    ET.SubElement(representation, "BaseURL").text = uri(track, track.file)


def _adaptation(period: ET.Element, kind: str, mime: str) -> ET.Element:
    """A set whose fragments all begin with a key frame, and at the same times in each representation (5.3.3)."""
    adaptation = ET.SubElement(period, "AdaptationSet", contentType=kind, mimeType=mime)
    adaptation.set("subsegmentAlignment", "true")
    adaptation.set("subsegmentStartsWithSAP", "1")
    return adaptation


def _describe(adaptation: ET.Element, spoken: str | None, name: str, role: str) -> None:
    if spoken:
        adaptation.set("lang", spoken)
    ET.SubElement(adaptation, "Label").text = name
    ET.SubElement(adaptation, "Role", schemeIdUri=_ROLE, value=role)


def _representation(adaptation: ET.Element, name: str, track: VideoTrack | AudioTrack) -> ET.Element:
    """Byte ranges are from the first to the last byte (5.3.9.2)."""
    representation = ET.SubElement(adaptation, "Representation", id=name, codecs=track.codec)
    representation.set("bandwidth", str(track.peak))
    ET.SubElement(representation, "BaseURL").text = uri(track, track.file)
    index = f"{track.sidx_offset}-{track.sidx_offset + track.sidx_bytes - 1}"
    base = ET.SubElement(representation, "SegmentBase", indexRange=index)
    ET.SubElement(base, "Initialization", range=f"0-{track.init_bytes - 1}")
    return representation

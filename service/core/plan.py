"""Decides what is still to do: the steps that the rules ask for, less those done, grouped by shared decode.

Planning is asked again after each group: what a group found (captions, or none) decides what the next one makes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from service.core import (
    copies,
    covers,
    ladder,
    languages,
    pieces,
    posters,
    preview,
    sizes,
    step,
    storyboard,
    texts,
    waveform,
)
from service.core.command import SAMPLE_RATE
from service.core.copies import Ladder
from service.core.covers import Uploaded
from service.core.media import AudioStream, Clip, Media, Picture, VideoStream
from service.core.products import SUFFIXES
from service.core.recipe import Images, Rules
from service.core.record import StepRecord
from service.core.step import (
    Copy,
    Embedded,
    Package,
    Piece,
    Placeholder,
    Poster,
    Preview,
    Progressive,
    Rendition,
    Sound,
    Sprites,
    Step,
    Storyboard,
    Subtitles,
    Transcript,
    Variant,
    Waveform,
)

#: The longest side of a WebP file (RFC 9649 section 2.6); other formats are held to it too.
_MAX_SIDE = 16_383
_MAX_ANIMATED_WIDTH = 1280  # above it an animation weighs more than the page it is on
_MOST_SOUNDS = 8  # tracks of a clip: dubs and descriptions; films have more of them, sites do not


@dataclass(frozen=True, kw_only=True)
class Named:
    """A step and its digest."""

    digest: str
    step: Step


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One decode of a picture: its variants and its placeholder."""

    picture: Picture
    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Remux:
    """No decode: the source's own picture as its largest rung."""

    clip: Clip
    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Encode:
    """One decode of a clip: the rungs, the pictures and the sound tracks.

    Of a long clip, whose rungs are made in pieces, the pictures are `sparse`: keyframes alone are decoded for them.
    Beside a copy, rungs have to have its `rhythm`; where there are none, every frame is `watched` all the same: who
    decodes it is the one to tell that it is damaged.
    """

    clip: Clip
    steps: tuple[Named, ...]
    sparse: bool = False
    rhythm: str | None = None
    watched: bool = False


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One decode of a part of a long clip: one piece, in all rungs that are still to do."""

    clip: Clip
    piece: Piece
    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Join:
    """No decode: the rungs that these `pieces` are parts of, by the digests of their steps, in order.

    Beside a copy, they have to have its `rhythm`.
    """

    clip: Clip
    pieces: tuple[Named, ...]
    steps: tuple[Named, ...]
    rhythm: str | None = None


@dataclass(frozen=True, kw_only=True)
class Assemble:
    """No decode of the source: what is put together from tracks that are made already."""

    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Adopt:
    """Captions that lie beside the source: one file each, and no decode of the source."""

    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Subtitles that the source carries as text: a file for each track, and no decode of anything else."""

    clip: Clip
    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Vet:
    """What lies beside the source to be its poster, looked at before anything is made of it."""

    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Redraw:
    """That picture, drawn: no decode of the source."""

    steps: tuple[Named, ...]


@dataclass(frozen=True, kw_only=True)
class Listen:
    """One sound track, heard by a machine: the one step that nothing waits for."""

    clip: Clip
    steps: tuple[Named, ...]


Making = Draw | Remux | Encode | Cut | Join | Assemble | Adopt | Extract | Redraw
Group = Making | Vet


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All steps that make up the outcome, in order, and the groups that are still to do; `later`, once it is public.

    `against` says why the picture of a video is not copied, and `futile` is the digest of a copy that was made of it.
    """

    steps: tuple[Named, ...]
    groups: tuple[Group, ...]
    later: Listen | None = None
    against: tuple[str, ...] = ()
    futile: str | None = None


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the source's surroundings say: the language that its metadata declares, captions and a poster beside it."""

    language: str | None = None
    subtitles: tuple[Subtitles, ...] = ()
    poster: Uploaded | None = None


NOTHING_BESIDE = Beside()


def make(
    media: Media,
    rules: Rules,
    *,
    version: str,
    done: Mapping[str, StepRecord],
    beside: Beside = NOTHING_BESIDE,
    whole: bool = False,
) -> Plan:
    """The plan for `media` under `rules`; `done` holds the steps that records of this version list, by digest.

    :param whole: whether even a long video is encoded in one go: it can't be begun anywhere, as was found out.
    """
    match media:
        case Picture():
            steps = _named(_picture_steps(media, rules.images), version)
            return _plan(steps, [Draw(picture=media, steps=_missing(steps, done))])
        case Clip():
            return _clip_plan(media, rules, _Known(version=version, done=done, beside=beside, whole=whole))


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What is known of a version besides what it is."""

    version: str
    done: Mapping[str, StepRecord]
    beside: Beside
    whole: bool


def _clip_plan(clip: Clip, rules: Rules, known: _Known) -> Plan:
    version, done, beside = known.version, known.done, known.beside
    uploaded = _named(beside.subtitles if clip.sounds or clip.video else (), version)
    carried = _named(_embedded(clip, uploaded, done), version)
    written = (*uploaded, *carried)
    heard = _named(_transcripts(clip, rules, beside, [done.get(named.digest) for named in written]), version)
    captions = [named.digest for named in (*written, *heard) if named.digest in done and done[named.digest].captions]
    looked, drawn = _uploaded_poster(clip, rules, known)
    shown = any(named.digest not in done or not done[named.digest].refused for named in drawn)
    others = [one for one in _clip_steps(clip, rules) if not (shown and isinstance(one, Poster))]
    found = _ladder(clip, rules, known, watched=bool(others))
    decoded = _named([*found.rungs, *others], version)
    copied = [named for named in decoded if isinstance(named.step, Copy)]
    encoded = [named for named in decoded if not isinstance(named.step, Copy)]
    assembled = _named(_assembly(decoded, rules, captions), version)
    groups: list[Group] = [
        Adopt(steps=_missing(uploaded, done)),
        Extract(clip=clip, steps=_missing(carried, done)),
        Vet(steps=_missing(looked, done)),
        Redraw(steps=_missing(drawn, done)),
        Remux(clip=clip, steps=_missing(copied, done)),
        *_beside_copy(_encodes(clip, _missing(encoded, done), known), decoded, done),
        Assemble(steps=_missing(assembled, done)),
    ]
    unheard = _missing(heard, done)
    later = Listen(clip=clip, steps=unheard) if unheard else None
    planned = _plan((*decoded, *looked, *drawn, *assembled, *written, *heard), groups, later)
    return replace(planned, against=found.against, futile=found.futile)


def _ladder(clip: Clip, rules: Rules, known: _Known, *, watched: bool) -> Ladder:
    if clip.video is None:
        return Ladder(rungs=())
    return copies.choose(
        clip,
        rules.video,
        frame_rate=_frame_rate(clip, rules),
        bit_rate=_bit_rate(clip),
        watched=watched,
        version=known.version,
        done=known.done,
    )


def _beside_copy(groups: Sequence[Group], decoded: Sequence[Named], done: Mapping[str, StepRecord]) -> list[Group]:
    """The groups with what they have to know of a copy: its rhythm, once it is there, and whether it is all rungs."""
    copied = [named.digest for named in decoded if isinstance(named.step, Copy)]
    if not copied:
        return list(groups)
    rhythm = next((done[digest].rhythm for digest in copied if digest in done), None)
    alone = not any(isinstance(named.step, Rendition) for named in decoded)
    return [_told(group, rhythm, watched=alone) for group in groups]


def _told(group: Group, rhythm: str | None, *, watched: bool) -> Group:
    match group:
        case Encode():
            return replace(group, rhythm=rhythm, watched=watched)
        case Join():
            return replace(group, rhythm=rhythm)
        case _:
            return group


def _encodes(clip: Clip, missing: tuple[Named, ...], known: _Known) -> list[Group]:
    """One decode for all; of a long video one a piece, pictures and sound apart: they do not need every frame."""
    rungs = [named for named in missing if isinstance(named.step, Rendition)]
    if not rungs or known.whole or not pieces.are_worth_it(clip):
        return [Encode(clip=clip, steps=missing)]
    cut = _named(pieces.cut(clip, [named.step for named in rungs if isinstance(named.step, Rendition)]), known.version)
    return [
        Encode(clip=clip, steps=tuple(named for named in missing if named not in rungs), sparse=True),
        *(
            Cut(clip=clip, piece=named.step, steps=(named,))
            for named in _missing(cut, known.done)
            if isinstance(named.step, Piece)
        ),
        Join(clip=clip, pieces=cut, steps=tuple(rungs)),
    ]


def _plan(steps: tuple[Named, ...], groups: Sequence[Group], later: Listen | None = None) -> Plan:
    return Plan(steps=steps, groups=tuple(group for group in groups if group.steps), later=later)


def _uploaded_poster(clip: Clip, rules: Rules, known: _Known) -> tuple[tuple[Named, ...], tuple[Named, ...]]:
    """The look at a poster that lies beside the source; and once it is seen and allowed, the poster itself."""
    cover = covers.cover(clip, known.beside.poster, rules)
    if cover is None:
        return (), ()
    (looked,) = _named([cover], known.version)
    seen = known.done.get(looked.digest)
    picture = covers.allowed(seen, rules) if seen else None
    drawn = [covers.poster(cover, looked.digest, picture, rules)] if picture else []
    return (looked,), _named(drawn, known.version)


def _embedded(clip: Clip, uploaded: Sequence[Named], done: Mapping[str, StepRecord]) -> list[Embedded]:
    """Those in languages of which no captions lie beside the source: who uploads some means them to be shown."""
    there = [named.step for named in uploaded if named.digest not in done or done[named.digest].captions]
    taken = [one.language for one in there if isinstance(one, Subtitles)]
    return [one for one in texts.wanted(clip) if not any(languages.alike(one.language, tag) for tag in taken)]


def _transcripts(clip: Clip, rules: Rules, beside: Beside, written: Sequence[StepRecord | None]) -> list[Transcript]:
    """What a machine writes down, where nobody has: whoever uploads captions that can be read has the word."""
    if rules.captions.provider == "off" or not clip.sounds:
        return []
    if any(record is None or record.captions for record in written):
        return []
    language = beside.language or rules.captions.language
    languages = () if language else rules.captions.languages
    stream = _best(clip.sounds).index
    return [Transcript(provider=rules.captions.provider, stream=stream, language=language, languages=languages)]


def group_digest(group: Group | Listen) -> str:
    """Names a group by its steps: what its record and its folder are called."""
    return step.fingerprint(sorted(named.digest for named in group.steps))


def _named(steps: Sequence[Step], version: str) -> tuple[Named, ...]:
    return tuple(Named(digest=step.digest(one, version=version), step=one) for one in steps)


def _missing(steps: Sequence[Named], done: Collection[str]) -> tuple[Named, ...]:
    return tuple(named for named in steps if named.digest not in done)


def _picture_steps(picture: Picture, images: Images) -> list[Step]:
    steps: list[Step] = [
        _variant(picture, images, width=width, format_=format_)
        for format_ in images.formats
        for width in _widths(picture, images, animated=_animates(picture, format_))
    ]
    return [*steps, Placeholder()] if images.placeholder else steps


def _animates(picture: Picture, format_: step.ImageFormat) -> bool:
    return picture.animated and format_ == "webp"


def _widths(picture: Picture, images: Images, *, animated: bool) -> list[int]:
    """The configured widths below the picture's own, and its own (or the largest configured) on top.

    None whose height would be out of bounds: a long strip has fewer variants, not several that are the same.
    """
    tallest = max(1, picture.width * _MAX_SIDE // picture.height)
    largest = min(picture.width, images.widths[-1], tallest, _MAX_ANIMATED_WIDTH if animated else _MAX_SIDE)
    return [width for width in images.widths if width < largest] + [largest]


def _variant(picture: Picture, images: Images, *, width: int, format_: step.ImageFormat) -> Variant:
    return Variant(
        name=f"{width}.{SUFFIXES[format_]}",
        width=width,
        height=min(_MAX_SIDE, max(1, round(picture.height * width / picture.width))),
        format=format_,
        quality=getattr(images.quality, format_),
        animated=_animates(picture, format_),
        background=images.background,
    )


def _clip_steps(clip: Clip, rules: Rules) -> list[Step]:
    """All that is decoded for, but the rungs."""
    steps: list[Step] = []
    if clip.video:
        steps += _clip_pictures(clip, clip.video, rules)
    sounds = _sounds(clip, rules)
    steps += sounds
    if sounds and not clip.video and rules.audio.waveform:
        parts = waveform.samples_per_pixel(clip.seconds, SAMPLE_RATE)
        steps.append(Waveform(sound=sounds[0], samples_per_pixel=parts))
    return steps


def _clip_pictures(clip: Clip, video: VideoStream, rules: Rules) -> list[Step]:
    steps: list[Step] = [_poster(clip, video, rules)]
    if rules.video.storyboard:
        steps.append(Sprites(layout=storyboard.layout(clip.heard_until, video.width, video.height)))
    if rules.video.preview:
        at, seconds = preview.span(clip.seconds)
        width, height = sizes.within(video.width, video.height, preview.SIDE)
        steps.append(Preview(at=at, seconds=seconds, width=width, height=height))
    return steps


def _frame_rate(clip: Clip, rules: Rules) -> Fraction:
    assert clip.video
    packets = clip.timeline.packets if clip.timeline else 0
    most = rules.video.max_frame_rate
    return ladder.frame_rate(clip.video.frame_rate, packets=packets, duration=clip.seconds, at_most=most)


def _bit_rate(clip: Clip) -> int | None:
    """The picture's bit rate: as declared, else what the whole file comes to (too much rather than too little)."""
    if clip.video and clip.video.bit_rate:
        return clip.video.bit_rate
    return round(clip.size * 8 / clip.seconds) if clip.seconds > ladder.SHORTEST else clip.bit_rate


def _poster(clip: Clip, video: VideoStream, rules: Rules) -> Poster:
    """As wide as the poster may be, and as images are."""
    largest = min(video.width, rules.video.poster_width)
    widths = [largest, *(width for width in reversed(rules.images.widths) if width < largest)]
    return Poster(
        at=posters.times(clip.seconds),
        sizes=tuple((width, min(_MAX_SIDE, max(1, round(video.height * width / video.width)))) for width in widths),
        formats=rules.images.formats,
        quality=tuple(getattr(rules.images.quality, format_) for format_ in rules.images.formats),
    )


def _best(tracks: Sequence[AudioStream]) -> AudioStream:
    """The track marked as default, else the first."""
    return next((track for track in tracks if track.default), tracks[0])


def _sounds(clip: Clip, rules: Rules) -> list[Sound]:
    """Every track, the best one first; players offer the others to choose from."""
    if not clip.sounds:
        return []
    best = _best(clip.sounds)
    tracks = [best, *(track for track in clip.sounds if track is not best)][:_MOST_SOUNDS]
    return [_sound(track, f"audio-{at}" if at else "audio", rules) for at, track in enumerate(tracks)]


def _sound(track: AudioStream, name: str, rules: Rules) -> Sound:
    return Sound(
        name=name,
        stream=track.index,
        channels=min(2, track.channels),
        bit_rate=rules.audio.bit_rate,
        language=track.language,
        loudness=rules.audio.loudness or None,
        true_peak=rules.audio.true_peak,
    )


def _assembly(decoded: Sequence[Named], rules: Rules, captions: Sequence[str]) -> list[Step]:
    rungs = [named for named in decoded if isinstance(named.step, Copy | Rendition)]
    sounds = [named for named in decoded if isinstance(named.step, Sound)]
    progressive = _progressive(rungs, sounds[0].digest if sounds else None, rules.video.progressive_height)
    tracks = tuple(named.digest for named in (*rungs, *sounds))
    boards = [
        Storyboard(layout=named.step.layout, sprites=named.digest)
        for named in decoded
        if isinstance(named.step, Sprites)
    ]
    return [progressive, Package(tracks=tracks, captions=tuple(captions)), *boards]


def _progressive(rungs: Sequence[Named], audio: str | None, height: int) -> Progressive:
    """Of the largest rung up to `height` on its short side, else of the smallest there is."""
    sizes = [(named.digest, named.step) for named in rungs if isinstance(named.step, Copy | Rendition)]
    fitting = [(digest, rung) for digest, rung in sizes if min(rung.width, rung.height) <= height] or sizes[-1:]
    for digest, rung in fitting:
        return Progressive(video=digest, audio=audio, width=rung.width, height=rung.height)
    return Progressive(video=None, audio=audio, width=None, height=None)

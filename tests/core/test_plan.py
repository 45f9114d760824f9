"""What is planned for pictures, videos and sound, and that nothing is planned twice."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import plan
from service.core.media import AudioStream, Clip, Media, Picture, Timeline
from service.core.plan import NOTHING_BESIDE, Adopt, Assemble, Beside, Cut, Draw, Encode, Join, Named, Plan
from service.core.products import expected
from service.core.recipe import Rules
from service.core.record import StepRecord
from service.core.step import (
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
from service.core.storyboard import Layout
from service.core.tracks import CaptionTrack
from tests.core.samples import ANIMATION, PHONE, PHONE_PICTURE, PHONE_SOUND, PHOTO, RULES, SONG, rules

Kind = TypeVar("Kind")

MUTE = 'captions.provider = "off"\n'
PLAIN = rules(MUTE)


def planned(
    media: Media,
    wanted: Rules = PLAIN,
    *,
    done: Mapping[str, StepRecord] | None = None,
    beside: Beside = NOTHING_BESIDE,
) -> Plan:
    """The plan for one version of a source."""
    return plan.make(media, wanted, version="v", done=done or {}, beside=beside)


def records(steps: Iterable[Named], *, heard: bool = True) -> dict[str, StepRecord]:
    """What is known of these steps when they are done; captions that were `heard` have a track."""
    track = CaptionTrack(file="captions.en.vtt", playlist="captions.en.m3u8", language="en")
    return {
        named.digest: StepRecord(
            digest=named.digest,
            kind=type(named.step).__name__,
            captions=track if heard and isinstance(named.step, Transcript | Subtitles) else None,
        )
        for named in steps
    }


def names(found: Plan) -> list[str]:
    """The kinds of steps, in order; of what has a name, the name."""
    return [getattr(named.step, "name", type(named.step).__name__) for named in found.steps]


def sizes(picture: Picture, wanted: Rules = PLAIN) -> list[tuple[str, int, int]]:
    """The variants of a picture, in order."""
    steps = [named.step for named in planned(picture, wanted).steps]
    return [(one.format, one.width, one.height) for one in steps if isinstance(one, Variant)]


LADDER = ["1080p", "720p", "480p", "360p", "240p"]


def only(kind: type[Kind], found: Plan) -> list[Kind]:
    """The steps of one kind."""
    return [named.step for named in found.steps if isinstance(named.step, kind)]


def test_video():
    """One decode makes the rungs, all pictures and the sound; what needs no decode is put together after it."""
    found = planned(PHONE)
    decode, assemble = found.groups
    pictures = ["Poster", "Sprites", "Preview"]
    assert [*LADDER, *pictures, "audio", "Progressive", "Package", "Storyboard"] == names(found)
    assert Encode(clip=PHONE, steps=found.steps[:-3]) == decode
    assert Assemble(steps=found.steps[-3:]) == assemble


@pytest.mark.parametrize(
    ("recipe", "fewer"),
    [
        ("storyboard = false", {"Sprites", "Storyboard"}),
        ("preview = false", {"Preview"}),
        ("storyboard = false\npreview = false", {"Sprites", "Storyboard", "Preview"}),
    ],
)
def test_pictures_that_nobody_wants(recipe: str, fewer: set[str]):
    """Neither they nor what is put together from them; the rest is the same steps."""
    every, some = planned(PHONE), planned(PHONE, rules(f"{MUTE}[video]\n{recipe}"))
    assert [named for named in every.steps if type(named.step).__name__ not in fewer] == list(some.steps)
    assert fewer == {*names(every)} - {*names(some)}


def test_storyboard():
    """Small frames of all that is played, the tiles as the picture lies; the WebVTT file names the step of its sheets.

    Sound may go on after the picture, and a player's seek bar with it.
    """
    clip = replace(PHONE, timeline=replace(PHONE.timeline, reach=20.0, end=36_020.0))
    found = planned(clip)
    layout = Layout(seconds=20.0, width=90, height=160, columns=10, rows=2, count=20)
    assert [Sprites(layout=layout)] == only(Sprites, found)
    (sprites,) = [named.digest for named in found.steps if isinstance(named.step, Sprites)]
    assert [Storyboard(layout=layout, sprites=sprites)] == only(Storyboard, found)


@pytest.mark.parametrize(
    ("size", "expected_size"), [((1080, 1920), (180, 320)), ((1920, 1080), (320, 180)), ((100, 60), (100, 60))]
)
def test_preview(size: tuple[int, int], expected_size: tuple[int, int]):
    """Three seconds from behind the introduction, 320 pixels on its longer side, never enlarged."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=size[0], height=size[1]))
    width, height = expected_size
    assert [Preview(at=3.0, seconds=3.0, width=width, height=height)] == only(Preview, planned(clip))


def test_package_names_its_tracks():
    """The package is over all rungs and the sound, the plain file over one rung and the sound, by digest."""
    found = planned(PHONE)
    digests = dict(zip(names(found), [named.digest for named in found.steps], strict=True))
    rungs = [digests[name] for name in LADDER]
    assert [Package(tracks=(*rungs, digests["audio"]))] == only(Package, found)
    expected_file = Progressive(video=digests["720p"], audio=digests["audio"], width=720, height=1280)
    assert [expected_file] == only(Progressive, found)


def test_silent_video():
    """A video without sound has none in its plain file nor in its package."""
    found = planned(replace(PHONE, audio=()))
    assert [] == only(Sound, found)
    assert [None] == [one.audio for one in only(Progressive, found)]
    assert [5] == [len(one.tracks) for one in only(Package, found)]


def test_sound():
    """Sound alone is one track and its waveform in one decode, one plain file and one package."""
    found = planned(SONG)
    sound = Sound(name="audio", stream=0, channels=1, bit_rate=128_000, language="en", loudness=-16.0, true_peak=-1.5)
    assert ["audio", "Waveform", "Progressive", "Package"] == names(found)
    assert [sound, Waveform(sound=sound, samples_per_pixel=240)] == [named.step for named in found.steps[:2]]
    digest = found.steps[0].digest
    assert Progressive(video=None, audio=digest, width=None, height=None) == found.steps[2].step
    assert Package(tracks=(digest,)) == found.steps[3].step
    assert (Encode(clip=SONG, steps=found.steps[:2]), Assemble(steps=found.steps[2:])) == found.groups


@pytest.mark.parametrize(("clip", "drawn"), [(SONG, 1), (PHONE, 0), (replace(PHONE, audio=()), 0)])
def test_waveform(clip: Clip, drawn: int):
    """Of audio uploads alone, where the recipe wants it: a video has something else to show."""
    assert drawn == len(only(Waveform, planned(clip)))
    assert [] == only(Waveform, planned(clip, rules(f"{MUTE}[audio]\nwaveform = false")))


def test_waveform_of_the_best_sound():
    """One of several is drawn: that which is heard first."""
    tracks = (replace(PHONE_SOUND, index=5, default=False), replace(PHONE_SOUND, index=6))
    found = planned(replace(SONG, audio=tracks))
    assert [6] == [one.sound.stream for one in only(Waveform, found)]
    assert only(Sound, found)[0] == only(Waveform, found)[0].sound


@pytest.mark.parametrize(
    ("recipe", "loudness", "true_peak"),
    [
        ("", -16.0, -1.5),
        ("loudness = -23", -23.0, -1.5),
        ("loudness = false", None, -1.5),
        ("true_peak = -3", -16.0, -3.0),
    ],
)
def test_loudness(recipe: str, loudness: float | None, true_peak: float):
    """Every track is brought to the recipe's loudness, or to none; another one makes all sound anew."""
    tracks = (PHONE_SOUND, replace(PHONE_SOUND, index=2, default=False))
    found = only(Sound, planned(replace(PHONE, audio=tracks), rules(f"{MUTE}[audio]\n{recipe}")))
    assert [(loudness, true_peak)] * 2 == [(one.loudness, one.true_peak) for one in found]


@pytest.mark.parametrize(
    ("height", "expected_name"), [(720, "720p"), (1080, "1080p"), (4000, "1080p"), (400, "360p"), (100, "240p")]
)
def test_progressive_height(height: int, expected_name: str):
    """The plain file is of the largest rung up to the configured height, or of the smallest there is."""
    found = planned(PHONE, rules(f"{MUTE}[video]\nprogressive_height = {height}"))
    digests = {named.digest: name for named, name in zip(found.steps, names(found), strict=True)}
    assert [expected_name] == [digests[one.video] for one in only(Progressive, found) if one.video]


@pytest.mark.parametrize(
    ("defaults", "streams"),
    [
        ([False, False, False], [5, 6, 7]),
        ([False, True, False], [6, 5, 7]),
        ([True, True, True], [5, 6, 7]),
        ([False, False, True], [7, 5, 6]),
    ],
)
def test_best_sound(defaults: list[bool], streams: list[int]):
    """Of several sound tracks the one marked as default comes first, else the first; the others follow in order.

    The first is the plain file's, and all are in the package, behind the rungs.
    """
    tracks = tuple(replace(PHONE_SOUND, index=5 + at, default=default) for at, default in enumerate(defaults))
    found = planned(replace(PHONE, audio=tracks))
    assert streams == [one.stream for one in only(Sound, found)]
    assert ["audio", "audio-1", "audio-2"] == [one.name for one in only(Sound, found)]
    digests = [named.digest for named in found.steps if isinstance(named.step, Sound)]
    assert [digests[0]] == [one.audio for one in only(Progressive, found)]
    assert [tuple(digests)] == [one.tracks[len(LADDER) :] for one in only(Package, found)]


def test_most_sounds():
    """Eight tracks are offered, the best of them in any case."""
    tracks = tuple(replace(PHONE_SOUND, index=at, default=at == 11) for at in range(2, 12))
    found = only(Sound, planned(replace(PHONE, audio=tracks)))
    assert [11, 2, 3, 4, 5, 6, 7, 8] == [one.stream for one in found]
    assert ["audio", *(f"audio-{at}" for at in range(1, 8))] == [one.name for one in found]


def test_each_sound_keeps_its_language_and_channels():
    """Players offer them by what they are."""
    french = replace(PHONE_SOUND, index=2, channels=6, language="fr", default=False)
    silent = replace(PHONE_SOUND, index=3, default=False)
    clip = replace(PHONE, audio=(PHONE_SOUND, french, silent), timeline=replace(PHONE.timeline, streams=(0, 1, 2)))
    assert [("en", 1), ("fr", 2)] == [(one.language, one.channels) for one in only(Sound, planned(clip))]


@pytest.mark.parametrize(("channels", "kept"), [(1, 1), (2, 2), (6, 2), (24, 2)])
def test_channels(channels: int, kept: int):
    """Surround becomes stereo, and mono stays mono."""
    track = replace(PHONE_SOUND, channels=channels)
    assert [kept] == [one.channels for one in only(Sound, planned(replace(SONG, audio=(track,))))]


@pytest.mark.parametrize(
    ("seconds", "at"),
    [
        (0.0, (0.0, 0.0)),
        (0.04, (0.0, 0.003)),
        (1.0, (0.0, 0.08, 0.337, 0.593, 0.85)),
        (10.0, (0.0, 0.8, 2.083, 3.367, 4.65, 5.933, 7.217, 8.5)),
        (5400.0, (0.0, 432.0, 1125.0, 1818.0, 2511.0, 3204.0, 3897.0, 4590.0)),
    ],
)
def test_poster_times(seconds: float, at: tuple[float, ...]):
    """The poster is chosen from the first frame and from some behind the titles and before the credits."""
    clip = replace(PHONE, timeline=replace(PHONE.timeline, duration=seconds))
    assert [at] == [one.at for one in only(Poster, planned(clip))]


@pytest.mark.parametrize(
    ("size", "poster_sizes"),
    [
        ((1080, 1920), [(1080, 1920), (640, 1138), (320, 569)]),
        ((1920, 1080), [(1280, 720), (640, 360), (320, 180)]),
        ((640, 360), [(640, 360), (320, 180)]),
        ((4096, 1), [(1280, 1), (640, 1), (320, 1)]),
        ((17, 7), [(17, 7)]),
    ],
)
def test_poster_sizes(size: tuple[int, int], poster_sizes: list[tuple[int, int]]):
    """The widths of images below the poster's own; never enlarged, and with the picture's aspect."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=size[0], height=size[1]))
    assert [tuple(poster_sizes)] == [one.sizes for one in only(Poster, planned(clip))]


@pytest.mark.parametrize(
    ("recipe", "widths", "formats", "quality"),
    [
        ("[video]\nposter_width = 1920", [1080, 640, 320], ("webp", "jpeg"), (80, 80)),
        ("[video]\nposter_width = 640", [640, 320], ("webp", "jpeg"), (80, 80)),
        ("[video]\nposter_width = 500", [500, 320], ("webp", "jpeg"), (80, 80)),
        ("[video]\nposter_width = 100", [100], ("webp", "jpeg"), (80, 80)),
        ("[images]\nwidths = [100, 700]", [1080, 700, 100], ("webp", "jpeg"), (80, 80)),
        ("[images]\nformats = ['jpeg']\nquality = { jpeg = 60 }", [1080, 640, 320], ("jpeg",), (60,)),
    ],
)
def test_poster_rules(recipe: str, widths: list[int], formats: tuple[str, ...], quality: tuple[int, ...]):
    """The largest is the recipe's width for posters; the rest is as it is of images, formats and quality too."""
    (found,) = only(Poster, planned(PHONE, rules(f"{MUTE}{recipe}")))
    assert widths == [width for width, _ in found.sizes]
    assert (formats, quality) == (found.formats, found.quality)


@pytest.mark.parametrize(
    ("clip", "most"),
    [
        (replace(PHONE, video=replace(PHONE_PICTURE, bit_rate=1_000_000)), 1_300_000),
        (replace(PHONE, video=replace(PHONE_PICTURE, bit_rate=None), size=1_250_000), 1_300_000),
        (
            replace(
                PHONE,
                video=replace(PHONE_PICTURE, bit_rate=None),
                timeline=None,
                duration=None,
                bit_rate=1_000_000,
            ),
            1_300_000,
        ),
        (
            replace(PHONE, video=replace(PHONE_PICTURE, bit_rate=None), timeline=None, duration=None, bit_rate=None),
            5_000_000,
        ),
    ],
)
def test_source_bit_rate(clip: Clip, most: int):
    """The source's bit rate bounds the ladder: the picture's own, else the whole file's, else nobody knows."""
    assert most == planned(clip).steps[0].step.max_bit_rate


def test_picture():
    """Every format has every width that the picture has, from the smallest; the placeholder comes last."""
    found = planned(PHOTO)
    widths = (320, 640, 1280, 1920)
    assert [*(f"{one}.webp" for one in widths), *(f"{one}.jpg" for one in widths), "Placeholder"] == names(found)
    assert (Draw(picture=PHOTO, steps=found.steps),) == found.groups
    smallest = Variant(
        name="320.webp", width=320, height=240, format="webp", quality=80, animated=False, background="#ffffff"
    )
    assert smallest == found.steps[0].step


@pytest.mark.parametrize(
    ("size", "expected_sizes"),
    [
        ((4000, 3000), [(320, 240), (640, 480), (1280, 960), (1920, 1440)]),
        ((1920, 1080), [(320, 180), (640, 360), (1280, 720), (1920, 1080)]),
        ((1000, 500), [(320, 160), (640, 320), (1000, 500)]),
        ((320, 100), [(320, 100)]),
        ((319, 100), [(319, 100)]),
        ((1, 1), [(1, 1)]),
        ((5000, 1), [(320, 1), (640, 1), (1280, 1), (1920, 1)]),
        ((2000, 60_000), [(320, 9600), (546, 16_380)]),
        ((100, 1_000_000), [(1, 10_000)]),
        ((1, 1_000_000), [(1, 16_383)]),
    ],
)
def test_variant_sizes(size: tuple[int, int], expected_sizes: list[tuple[int, int]]):
    """Never enlarged, never beyond what WebP holds, no size twice."""
    picture = replace(PHOTO, width=size[0], height=size[1])
    assert [("webp", *one) for one in expected_sizes] + [("jpeg", *one) for one in expected_sizes] == sizes(picture)


def test_animation():
    """An animation moves as WebP up to 1280 pixels, and stands still as JPEG."""
    found = [named.step for named in planned(ANIMATION).steps if isinstance(named.step, Variant)]
    expected_variants = [("320.webp", True), ("640.webp", True), ("1280.webp", True)]
    expected_variants += [("320.jpg", False), ("640.jpg", False), ("1280.jpg", False), ("1600.jpg", False)]
    assert expected_variants == [(one.name, one.animated) for one in found]


def test_picture_rules():
    """Formats, qualities, background and placeholder are the recipe's."""
    wanted = rules(
        '[images]\nwidths = [10]\nformats = ["jpeg"]\nplaceholder = false\nbackground = "#000000"\nquality.jpeg = 50'
    )
    only = Variant(name="10.jpg", width=10, height=8, format="jpeg", quality=50, animated=False, background="#000000")
    assert [only] == [named.step for named in planned(PHOTO, wanted).steps]


def test_version_names_the_steps():
    """Another version of the source shares no step with this one."""
    for media in (PHONE, SONG, PHOTO):
        digests = [{n.digest for n in plan.make(media, RULES, version=v, done={}).steps} for v in ("v", "w")]
        assert digests[0].isdisjoint(digests[1])


def test_wider_recipe_costs_one_variant():
    """A new width in the recipe costs one encode a format: everything else is done already."""
    done = records(planned(PHOTO).steps)
    found = planned(PHOTO, rules("[images]\nwidths = [320, 640, 1280, 1920, 2560]"), done=done)
    assert [["2560.webp", "2560.jpg"]] == [[named.step.name for named in group.steps] for group in found.groups]


def test_new_rung_is_packaged():
    """A new rung costs its encode, a new package and nothing else: the plain file's rung is the same."""
    done = records(planned(PHONE).steps)
    ladder = ", ".join(f"{{ height = {h}, max_bit_rate = {b} }}" for h, b in ((1080, 5_000_000), (720, 2_800_000)))
    found = planned(PHONE, rules(f"{MUTE}[video]\nladder = [{ladder}]"), done=done)
    assert [[Package]] == [[type(named.step) for named in group.steps] for group in found.groups]


@pytest.mark.parametrize(
    ("before", "todo"),
    [
        ("video.storyboard = false", [[Sprites], [Storyboard]]),
        ("video.preview = false", [[Preview]]),
        ("audio.loudness = false", [[Sound], [Progressive, Package]]),
    ],
)
def test_what_the_recipe_asks_for_now(before: str, todo: list[list[type[Step]]]):
    """A new wish costs its own steps and what is put together from them, and no rung."""
    done = records(planned(PHONE, rules(MUTE + before)).steps)
    found = planned(PHONE, done=done)
    assert todo == [[type(named.step) for named in group.steps] for group in found.groups]


def test_all_done():
    """When everything is done there is no group left, and the steps still say what makes up the outcome."""
    first = planned(PHONE)
    again = planned(PHONE, done=records(first.steps))
    assert (first.steps, (), None) == (again.steps, again.groups, again.later)


def test_long_video():
    """Rungs in pieces; beside them one decode of keyframes alone makes all pictures, and measures every sound."""
    seconds = 900.0
    tracks = (PHONE_SOUND, replace(PHONE_SOUND, index=2, default=False))
    timeline = replace(PHONE.timeline, duration=seconds, packets=27_000, reach=seconds, end=seconds)
    clip = replace(PHONE, duration=seconds, timeline=timeline, audio=tracks)
    found = planned(clip)
    beside, *cut, join, assemble = found.groups
    assert ([Cut] * 3, Join, Assemble) == ([type(one) for one in cut], type(join), type(assemble))
    of_it = tuple(n for n in found.steps if isinstance(n.step, Poster | Sprites | Preview | Sound))
    assert Encode(clip=clip, steps=of_it, sparse=True) == beside
    assert [Poster, Sprites, Preview, Sound, Sound] == [type(named.step) for named in of_it]
    assert LADDER == [named.step.name for named in join.steps if isinstance(named.step, Rendition)]
    assert [Progressive, Package, Storyboard] == [type(named.step) for named in assemble.steps]


def test_a_long_video_as_a_whole_has_one_decode_of_every_frame():
    """It is not sparse where there are rungs in it."""
    timeline = replace(PHONE.timeline, duration=900.0, packets=27_000, reach=900.0, end=900.0)
    clip = replace(PHONE, duration=900.0, timeline=timeline)
    decode, _ = plan.make(clip, PLAIN, version="v", done={}, whole=True).groups
    assert Encode(clip=clip, steps=planned(clip).steps[:-3], sparse=False) == decode


SHORTEST = replace(
    PHONE, video=replace(PHONE_PICTURE, bit_rate=None), timeline=replace(PHONE.timeline, duration=5e-324)
)
_SIDE = st.integers(1, 20_000)
_PICTURES = st.builds(
    Picture,
    formats=st.just(("PNG",)),
    width=_SIDE,
    height=_SIDE,
    frames=st.integers(1, 50),
    animated=st.booleans(),
    alpha=st.booleans(),
)
_SOUNDS = st.builds(
    AudioStream,
    index=st.integers(0, 9),
    codec=st.just("aac"),
    channels=st.integers(1, 64),
    sample_rate=st.just(48_000),
    language=st.none() | st.just("en"),
    default=st.booleans(),
)
_VIDEOS = st.builds(
    replace,
    st.just(PHONE_PICTURE),
    width=_SIDE,
    height=_SIDE,
    frame_rate=st.fractions(1, 240, max_denominator=1001),
    bit_rate=st.none() | st.integers(0, 10**12),
)
_TIMELINES = st.builds(
    Timeline,
    duration=st.floats(0, 21_600),
    packets=st.integers(1, 10**6),
    longest_gap=st.just(0.1),
    reach=st.just(21_600.0),
)
_CLIPS = st.builds(
    replace,
    st.just(PHONE),
    video=_VIDEOS,
    audio=st.lists(_SOUNDS, max_size=12).map(tuple),
    timeline=_TIMELINES | st.none(),
    duration=st.none() | st.floats(0.001, 21_600),
    size=st.integers(1, 10**11),
)
_SONGS = st.builds(replace, st.just(SONG), audio=st.lists(_SOUNDS, min_size=1, max_size=3).map(tuple))
_MEDIA = st.one_of(_PICTURES, _CLIPS, _SONGS)


_BESIDE = st.builds(
    Beside,
    language=st.none() | st.just("de"),
    subtitles=st.lists(st.sampled_from(["de", "en", "fr"]), max_size=3, unique=True).map(
        lambda tags: tuple(Subtitles(key=f"a.mp4.{tag}.vtt", etag="e", language=tag) for tag in sorted(tags))
    ),
)


@given(media=_MEDIA, wanted=st.sampled_from([PLAIN, RULES]), beside=_BESIDE, data=st.data())
def test_done_and_planned_are_all(media: Media, wanted: Rules, beside: Beside, data: st.DataObject):
    """Whatever was done is never planned again, and done and planned together are everything, in the same order."""
    whole = planned(media, wanted, beside=beside)
    digests = [named.digest for named in whole.steps]
    assert len(digests) == len(set(digests))
    done = data.draw(st.frozensets(st.sampled_from([*digests, "of another recipe"])))
    known = records(named for named in whole.steps if named.digest in done)
    rest = planned(media, wanted, done=known, beside=beside)
    groups = [*rest.groups, *([rest.later] if rest.later else [])]
    todo = {named.digest for group in groups for named in group.steps if not isinstance(named.step, Piece)}
    assert {named.digest for named in rest.steps} - set(known) == todo
    assert all(group.steps for group in groups)
    unchanged = [named for named in rest.steps if not isinstance(named.step, Package | Transcript)]
    assert [named for named in whole.steps if not isinstance(named.step, Package | Transcript)] == unchanged
    assert whole == planned(media, wanted, beside=beside)


@given(media=_MEDIA, wanted=st.sampled_from([PLAIN, RULES]), beside=_BESIDE, heard=st.booleans())
def test_planning_comes_to_an_end(media: Media, wanted: Rules, beside: Beside, *, heard: bool):
    """A group at a time, as it is done; whatever is found, nothing is planned twice, and all is done at last."""
    done: dict[str, StepRecord] = {}
    for _ in range(6 + sum(isinstance(group, Cut) for group in planned(media, wanted).groups) + 2):
        found = planned(media, wanted, done=done, beside=beside)
        group = found.groups[0] if found.groups else found.later
        if group is None:
            break
        assert not {named.digest for named in group.steps} & set(done)
        done |= records(group.steps, heard=heard)
    assert (found.groups, found.later) == ((), None)
    assert {named.digest for named in found.steps} <= set(done)
    captions = tuple(named.digest for named in found.steps if done[named.digest].captions)
    assert all(one.step.captions == captions for one in found.steps if isinstance(one.step, Package))


@given(_MEDIA)
def test_files_of_a_plan_do_not_collide(media: Media):
    """Files that lie in one folder have names of their own, and so have the aliases of a page."""
    whole = planned(media)
    for group in whole.groups:
        files = [one.name for named in group.steps for one in expected(named.step)]
        assert len(files) == len(set(files))
    entries = [one.entry for named in whole.steps for one in expected(named.step) if one.entry]
    aliases = [entry.alias for entry in entries if entry.alias]
    assert len(aliases) == len(set(aliases))


@given(_PICTURES)
def test_any_picture(picture: Picture):
    """Variants of any picture fit into WebP, are never enlarged, and ascend within a format."""
    found = sizes(picture)
    assert found
    for _, width, height in found:
        assert 1 <= width <= min(picture.width, 1920)
        assert 1 <= height <= min(picture.height, 16_383)
    for format_ in ("webp", "jpeg"):
        widths = [width for one, width, _ in found if one == format_]
        assert sorted(set(widths)) == widths


@given(_CLIPS)
@example(replace(SHORTEST, size=10**11))
def test_any_video(clip: Clip):
    """Any video within the limits has rungs whose rate is allowed, a poster inside it, a plain file and a package."""
    steps = [named.step for named in planned(clip).steps]
    rungs = [one for one in steps if isinstance(one, Rendition)]
    assert rungs
    assert all(0 < Fraction(one.frame_rate) <= 60 for one in rungs)
    posters = [one for one in steps if isinstance(one, Poster)]
    assert [True] == [all(0 <= at <= max(clip.seconds, 0.001) for at in one.at) for one in posters]
    assert [True] == [all(1 <= width <= 1280 and height >= 1 for width, height in one.sizes) for one in posters]
    widths = [width for one in posters for width, _ in one.sizes]
    assert sorted(set(widths), reverse=True) == widths
    names = [one.name for one in steps if isinstance(one, Sound)]
    assert len(names) == min(8, len(clip.sounds)) == len(set(names))
    assert [Progressive, Package, Storyboard] == [type(one) for one in steps[-3:]]


def test_group_digest():
    """A group is named by its steps, in any order, and by nothing else."""
    (group,) = planned(PHOTO).groups
    backwards = replace(group, picture=ANIMATION, steps=group.steps[::-1])
    fewer = replace(group, steps=group.steps[1:])
    assert plan.group_digest(group) == plan.group_digest(backwards)
    assert plan.group_digest(group) != plan.group_digest(fewer)


def test_placeholder_by_recipe():
    """The placeholder is a step of its own."""
    assert Placeholder() == planned(PHOTO).steps[-1].step


ENGLISH = Subtitles(key="a.mp4.en.vtt", etag="e1", language="en")
GERMAN = Subtitles(key="a.mp4.de.vtt", etag="e2", language="de")


@pytest.mark.parametrize(
    ("declared", "recipe", "language", "languages"),
    [
        (None, "", None, ()),
        (None, 'captions.language = "fr"', "fr", ()),
        ("de", 'captions.language = "fr"', "de", ()),
        ("de", 'captions.languages = ["en-US", "fr-FR"]', "de", ()),
        (None, 'captions.languages = ["en-US", "fr-FR"]', None, ("en-US", "fr-FR")),
    ],
)
def test_language(declared: str | None, recipe: str, language: str | None, languages: tuple[str, ...]):
    """The upload's own word comes first, then the recipe's; what is declared is not identified."""
    found = planned(PHONE, rules(recipe), beside=Beside(language=declared))
    assert [Transcript(provider="whisper", stream=0, language=language, languages=languages)] == only(Transcript, found)


def test_listening_is_later():
    """Nothing waits for it: it is no group, and the package is made without it at first."""
    found = planned(PHONE, RULES)
    assert found.later
    assert (PHONE, found.steps[-1:]) == (found.later.clip, found.later.steps)
    assert [Encode, Assemble] == [type(group) for group in found.groups]
    assert [()] == [one.captions for one in only(Package, found)]


@pytest.mark.parametrize("heard", [True, False])
def test_the_package_follows_what_was_heard(*, heard: bool):
    """With cues there is a new package that names them; where nobody speaks the old one stays."""
    first = planned(PHONE, RULES)
    again = planned(PHONE, RULES, done=records(first.steps, heard=heard))
    assert again.later is None
    transcript = first.steps[-1].digest
    assert [(transcript,) if heard else ()] == [one.captions for one in only(Package, again)]
    assert [[Package]] * heard == [[type(named.step) for named in group.steps] for group in again.groups]


@pytest.mark.parametrize("media", [PHOTO, ANIMATION, replace(PHONE, audio=())], ids=["photo", "animation", "silent"])
def test_nothing_to_hear(media: Media):
    """What has no sound is not listened to."""
    found = planned(media, RULES)
    assert (None, []) == (found.later, only(Transcript, found))


def test_off_is_off():
    """Where the recipe wants no captions nobody listens; uploaded ones are shown all the same."""
    found = planned(PHONE, PLAIN, beside=Beside(subtitles=(ENGLISH,)))
    assert (None, [], [ENGLISH]) == (found.later, only(Transcript, found), only(Subtitles, found))


def test_uploaded_captions_come_first():
    """They are read before anything is encoded, and the machine is not asked where they can be read."""
    beside = Beside(subtitles=(GERMAN, ENGLISH))
    first = planned(PHONE, RULES, beside=beside)
    assert [Adopt, Encode, Assemble] == [type(group) for group in first.groups]
    assert None is first.later
    again = planned(PHONE, RULES, done=records(first.groups[0].steps), beside=beside)
    assert [tuple(named.digest for named in first.groups[0].steps)] == [one.captions for one in only(Package, again)]
    assert (None, []) == (again.later, only(Transcript, again))


def test_captions_that_cannot_be_read_are_none():
    """Then the machine is asked after all; one of two that can be read is enough."""
    beside = Beside(subtitles=(GERMAN, ENGLISH))
    german, english = planned(PHONE, RULES, beside=beside).groups[0].steps
    neither = records([german, english], heard=False)
    assert planned(PHONE, RULES, done=neither, beside=beside).later
    one = planned(PHONE, RULES, done=neither | records([english]), beside=beside)
    assert (None, [(english.digest,)]) == (one.later, [package.captions for package in only(Package, one)])


@pytest.mark.parametrize(
    ("now", "todo"),
    [
        ((), []),
        ((replace(ENGLISH, etag="e9"),), [Subtitles]),
        ((GERMAN, ENGLISH), [Subtitles]),
    ],
    ids=["deleted", "replaced", "joined"],
)
def test_captions_that_change_change_the_package(now: tuple[Subtitles, ...], todo: list[type[Step]]):
    """No track of the picture or the sound is made again; without captions the first package is good again."""
    first = planned(PHONE, beside=Beside(subtitles=(ENGLISH,)))
    done = records(first.steps)
    done |= records(planned(PHONE, done=done, beside=Beside(subtitles=(ENGLISH,))).steps)
    found = planned(PHONE, done=done, beside=Beside(subtitles=now))
    assert todo == [type(named.step) for group in found.groups for named in group.steps]
    done |= records(found.steps[-len(now) :] if now else ())
    again = planned(PHONE, done=done, beside=Beside(subtitles=now))
    assert [Package] * len(todo) == [type(named.step) for group in again.groups for named in group.steps]
    assert [len(now)] == [len(one.captions) for one in only(Package, again)]


def test_best_sound_is_listened_to():
    """The track that is encoded is the one that is heard."""
    tracks = (replace(PHONE_SOUND, index=5, default=False), replace(PHONE_SOUND, index=6))
    assert [6] == [one.stream for one in only(Transcript, planned(replace(PHONE, audio=tracks), RULES))]

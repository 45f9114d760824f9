"""What is planned for pictures, videos and sound, and that nothing is planned twice."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import plan
from service.core.media import AudioStream, Clip, Media, Picture, Timeline
from service.core.plan import NOTHING_BESIDE, Adopt, Assemble, Beside, Cut, Draw, Encode, Named, Plan
from service.core.products import expected
from service.core.recipe import Rules
from service.core.record import StepRecord
from service.core.step import (
    Package,
    Piece,
    Placeholder,
    Poster,
    Progressive,
    Rendition,
    Sound,
    Step,
    Subtitles,
    Transcript,
    Variant,
)
from service.core.tracks import CaptionTrack
from tests.core.samples import ANIMATION, PHONE, PHONE_PICTURE, PHONE_SOUND, PHOTO, RULES, SONG, rules

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


def test_video():
    """One decode makes the rungs, the poster and the sound; playlists and a plain file are put together after it."""
    found = planned(PHONE)
    decode, assemble = found.groups
    assert ["1080p", "720p", "480p", "360p", "240p", "Poster", "audio", "Progressive", "Package"] == names(found)
    assert isinstance(decode, Encode)
    assert PHONE == decode.clip
    assert Assemble(steps=found.steps[-2:]) == assemble
    assert found.steps == decode.steps + assemble.steps


def test_package_names_its_tracks():
    """The package is over all rungs and the sound, the plain file over one rung and the sound, by digest."""
    found = planned(PHONE)
    digests = dict(zip(names(found), [named.digest for named in found.steps], strict=True))
    rungs = [digests[name] for name in ("1080p", "720p", "480p", "360p", "240p")]
    assert Package(tracks=(*rungs, digests["audio"])) == found.steps[-1].step
    expected_file = Progressive(video=digests["720p"], audio=digests["audio"], width=720, height=1280)
    assert expected_file == found.steps[-2].step


def test_silent_video():
    """A video without sound has none in its plain file nor in its package."""
    found = planned(replace(PHONE, audio=()))
    assert "audio" not in names(found)
    assert found.steps[-2].step.audio is None
    assert 5 == len(found.steps[-1].step.tracks)


def test_sound():
    """Sound alone is one track, one plain file and one package."""
    found = planned(SONG)
    sound = Sound(name="audio", stream=0, channels=1, bit_rate=128_000, language="en")
    assert ["audio", "Progressive", "Package"] == names(found)
    assert sound == found.steps[0].step
    digest = found.steps[0].digest
    assert Progressive(video=None, audio=digest, width=None, height=None) == found.steps[1].step
    assert Package(tracks=(digest,)) == found.steps[2].step


@pytest.mark.parametrize(
    ("height", "expected_name"), [(720, "720p"), (1080, "1080p"), (4000, "1080p"), (400, "360p"), (100, "240p")]
)
def test_progressive_height(height: int, expected_name: str):
    """The plain file is of the largest rung up to the configured height, or of the smallest there is."""
    found = planned(PHONE, rules(f"{MUTE}[video]\nprogressive_height = {height}"))
    digests = {named.digest: name for named, name in zip(found.steps, names(found), strict=True)}
    assert expected_name == digests[found.steps[-2].step.video]


@pytest.mark.parametrize(
    ("defaults", "stream"), [([False, False], 5), ([False, True], 6), ([True, True], 5), ([True, False], 5)]
)
def test_best_sound(defaults: list[bool], stream: int):
    """Of several sound tracks the one marked as default is taken, else the first."""
    tracks = tuple(replace(PHONE_SOUND, index=5 + at, default=default) for at, default in enumerate(defaults))
    sounds = [named.step for named in planned(replace(PHONE, audio=tracks)).steps if isinstance(named.step, Sound)]
    assert [stream] == [one.stream for one in sounds]


@pytest.mark.parametrize(("channels", "kept"), [(1, 1), (2, 2), (6, 2), (24, 2)])
def test_channels(channels: int, kept: int):
    """Surround becomes stereo, and mono stays mono."""
    track = replace(PHONE_SOUND, channels=channels)
    assert kept == planned(replace(SONG, audio=(track,))).steps[0].step.channels


@pytest.mark.parametrize(
    ("seconds", "at"), [(0.0, 0.0), (0.04, 0.004), (10.0, 1.0), (50.0, 5.0), (7200.0, 5.0), (3.33333, 0.333)]
)
def test_poster_time(seconds: float, at: float):
    """The poster is from a tenth into the video, at most five seconds."""
    clip = replace(PHONE, timeline=replace(PHONE.timeline, duration=seconds))
    assert [at] == [named.step.at for named in planned(clip).steps if isinstance(named.step, Poster)]


@pytest.mark.parametrize(
    ("size", "poster"),
    [((1080, 1920), (1080, 1920)), ((1920, 1080), (1280, 720)), ((4096, 1), (1280, 1)), ((17, 7), (17, 7))],
)
def test_poster_size(size: tuple[int, int], poster: tuple[int, int]):
    """A poster is never enlarged, and keeps the picture's aspect."""
    clip = replace(PHONE, video=replace(PHONE_PICTURE, width=size[0], height=size[1]))
    assert [poster] == [(s.step.width, s.step.height) for s in planned(clip).steps if isinstance(s.step, Poster)]


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


def test_all_done():
    """When everything is done there is no group left, and the steps still say what makes up the outcome."""
    first = planned(PHONE)
    again = planned(PHONE, done=records(first.steps))
    assert Plan(steps=first.steps, groups=()) == again


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
    audio=st.lists(_SOUNDS, max_size=3).map(tuple),
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
    assert [True] == [0 <= one.at <= max(clip.seconds, 0.001) for one in posters]
    assert [True] == [1 <= one.width <= 1280 and one.height >= 1 for one in posters]
    assert [Progressive, Package] == [type(one) for one in steps[-2:]]


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


def only(kind: type[Step], found: Plan) -> list[Step]:
    """The steps of one kind."""
    return [named.step for named in found.steps if isinstance(named.step, kind)]


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

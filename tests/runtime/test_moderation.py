"""May it be shown? Whatever a judge answers or fails with, and wherever a worker dies: nothing is seen before that."""

import asyncio
import json
import math
import re
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.manifest import Status
from service.core.outcome import Misconfigured, Overspent, Reason, Throttled, Transient, Unavailable, Unscreened
from service.core.recipe import Recipe
from service.core.record import Label, Ticket
from service.runtime import progress
from tests.fakes import FakeScribe, FakeUploads, Wire, film, photo
from tests.runtime.site import TOOL_CALLS, Site, job, places, received, rules
from tests.runtime.test_interruptions import Death, Failure

KEY = "a.jpg"
ON = rules(moderation="local")
OFF = rules()
STRICT = rules(moderation="local", more='moderation.local.rules = [{ label = "Explicit", review = 20, block = 30 }]')
WARY = rules(moderation="local", more='moderation.local.rules = [{ label = "Explicit", review = 20 }]')
LAX = rules(moderation="local", more='moderation.local.rules = [{ label = "Explicit", review = 99 }]')
HARMLESS = 60  # percent: below it every shipped rule for the local judge lets pass
EVERYTHING = (*TOOL_CALLS, "look", "frames", "fetch")


def explicit(confidence: float) -> tuple[Label, ...]:
    """What a judge says."""
    return (Label(name="Explicit", confidence=confidence),)


ALLOWED, REVIEWED, BLOCKED = explicit(1.0), explicit(70.0), explicit(95.0)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Site:
    return Site(scratch=tmp_path)


def says(site: Site, labels: tuple[Label, ...]) -> None:
    """From now on the judge sees this in everything."""
    site.judge.labels = lambda _file: labels


def state(site: Site) -> tuple[str, str | None]:
    """The status and the reason that the page is told."""
    found = site.manifest(KEY)
    assert found
    return found.status, found.reason.code if found.reason else None


async def fails_with(site: Site, error: BaseException, *, count: int = 1, key: str = KEY) -> Wire:
    """A worker whose every look fails."""

    async def before(call: str) -> None:
        if call.startswith("look"):
            raise error

    wire = Wire(before=before)
    with suppress(type(error), Unscreened):
        await site.deliver(job(key), received(count=count), wire=wire, recipe=ON)
    return wire


@dataclass(kw_only=True)
class Watch:
    """Looks at all that is public after every call, and compares it with what the records say."""

    site: Site
    former: frozenset[str] = frozenset()
    served: object = None
    words: frozenset[str] = frozenset()
    seen: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, site: Site, *words: str) -> "Watch":
        """What is public now may stay so."""
        found = site.manifest(KEY)
        served = found.serving if found else None
        return cls(site=site, former=frozenset(site.public(KEY)), served=served, words=frozenset(words))

    def wire(self, trouble: Wire | None = None) -> Wire:
        """What a worker's calls go over, who may have other trouble as well."""
        trouble = trouble or Wire()

        async def after(call: str) -> None:
            self.look(call)
            await trouble.after(call)

        return Wire(before=trouble.before, after=after)

    def look(self, call: str) -> None:
        """Nothing new is public unless it was allowed, and the page tells nothing of what was seen."""
        if self._allowed():
            return
        assert self.site.public(KEY) <= self.former, f"{call} made something public"
        found = self.site.manifest(KEY)
        if found:
            assert found.status is not Status.READY or found.serving == self.served, call
            assert found.serving in (None, self.served), call
            told = found.model_copy(update={"serving": None}).model_dump_json()
            assert not [word for word in ("thumbhash", "color", "confidence", *self.words) if word in told]

    def _allowed(self) -> bool:
        """Whether a record, or a reviewer, allows the newest version: read as it lies there."""
        begin, objects = places(KEY).versions, self.site.store.objects
        documents = [json.loads(objects[key]) for key in objects if key.startswith(begin)]
        if any(one.get("says") == "allow" for one in documents):
            return True
        screenings = [step["screening"] for one in documents for step in one.get("steps", ()) if step["screening"]]
        return any(_harmless(one) for one in screenings)


def _harmless(screening: dict[str, object]) -> bool:
    looks = screening["looks"]
    assert isinstance(looks, list)
    sure = [label["confidence"] for look in looks for label in look["labels"]]
    return bool(looks) and bool(screening["complete"]) and all(0 <= one < HARMLESS for one in sure)


_NAMES = st.sampled_from(["Explicit", "Violence", "Blood & Gore", "label of 2027", "☃ \u202e", "x" * 300])
_LABELS = st.builds(
    Label,
    name=_NAMES,
    parent=st.sampled_from(["", "Explicit", "nobody knows"]),
    confidence=st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 59.9, 60.0, 90.0, 100.0, 1e308])
    | st.floats(0, 100),
    level=st.none() | st.integers(-1, 9),
)
_ERRORS: tuple[BaseException, ...] = (
    Throttled("slow down"),
    Unavailable("down"),
    Misconfigured("AccessDenied"),
    Overspent("spend.day"),
    RuntimeError("a mistake of ours"),
    asyncio.CancelledError(),
)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One delivery: what the judge says, at which of its looks it fails, and at which call the worker dies."""

    labels: tuple[Label, ...]
    model: str
    error: BaseException | None
    at_look: int
    dies_at: int
    again: bool


_TURNS = st.builds(
    Turn,
    labels=st.lists(_LABELS, max_size=3).map(tuple),
    model=st.sampled_from(["fake-1", "fake-2", ""]),
    error=st.none() | st.sampled_from(_ERRORS),
    at_look=st.integers(1, 2),
    dies_at=st.integers(1, 40),
    again=st.booleans(),
)


async def _turn(site: Site, watch: Watch, turn: Turn, number: int) -> None:
    """A judge that hangs ends as a worker that is cancelled: see `_ERRORS`."""
    looks = 0
    death = Death(number=turn.dies_at).wire()

    async def before(call: str) -> None:
        nonlocal looks
        await death.before(call)
        looks += call.startswith("look")
        if call.startswith("look") and turn.error and looks >= turn.at_look:
            raise turn.error

    says(site, turn.labels)
    site.judge.model = turn.model
    message = received("message" if turn.again else f"other {number}", count=number if turn.again else 1)
    wire = watch.wire(Wire(before=before, after=death.after))
    working = asyncio.ensure_future(site.deliver(job(KEY), message, wire=wire, recipe=ON))
    await asyncio.wait([working])
    error = None if working.cancelled() else working.exception()
    if error is not None and not isinstance(error, Unscreened | Transient | RuntimeError):
        raise error


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    body=st.sampled_from([photo(note="newer"), film(note="newer")]),
    replaces=st.booleans(),
    turns=st.lists(_TURNS, min_size=1, max_size=4),
)
def test_nothing_is_public_without_an_allow(*, body: bytes, replaces: bool, turns: list[Turn]) -> None:
    """After every call of every worker, whatever the judge says or fails with, dies or comes again."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        site = Site(scratch=Path(folder))
        runner.run(_history(site, body, turns, replaces=replaces))


async def _history(site: Site, body: bytes, turns: list[Turn], *, replaces: bool) -> None:
    if replaces:
        site.uploads.put(KEY, photo(note="former", width=500))
        await site.process(KEY, received("former"), recipe=OFF)
    watch = Watch.begin(site, *{label.name for turn in turns for label in turn.labels} - {"x"})
    site.uploads.put(KEY, body)
    for number, turn in enumerate(turns, start=1):
        await _turn(site, watch, turn, number)
    says(site, last := turns[-1].labels)
    for identity in ["message", *(f"other {number}" for number in range(1, len(turns) + 1))]:
        message = received(identity, count=len(turns) + 1)
        await site.deliver(job(KEY), message, wire=watch.wire(), recipe=ON)
    harmless = [
        all(0 <= label.confidence < HARMLESS for label in labels) for labels in (*(t.labels for t in turns), last)
    ]
    if not any(harmless):
        assert site.public(KEY) <= watch.former
        assert state(site)[0] in {Status.QUARANTINED, Status.REJECTED}
    if state(site)[0] == Status.REJECTED:
        assert set() == site.public(KEY)
    site.check(KEY, ready=False)


# -- wherever the worker dies -------------------------------------------------------------------------------------


async def _delivered(site: Site, wire: Wire, *, count: int) -> BaseException | None:
    working = asyncio.ensure_future(site.deliver(job(KEY), received(count=count), wire=wire, recipe=ON))
    await asyncio.wait([working])
    return asyncio.CancelledError() if working.cancelled() else working.exception()


def _seen(site: Site) -> object:
    """What a page, its owner and a reviewer see in the end: all but moments, attempts, and which frames were enough."""
    found = site.manifest(KEY)
    assert found
    listed = {re.sub(r"-\w{10}\.\d+/|\d+(?=\.jpg)", "", key) for key in site.public(KEY) | site.held(KEY)}
    assert f"{KEY}@{found.revision}" in site.told
    return *state(site), found.serving is None, listed, len(site.records(KEY))


async def _first_picture(site: Site) -> None:
    site.uploads.put(KEY, photo())


async def _first_film(site: Site) -> None:
    site.uploads.put(KEY, film())


async def _replacement(site: Site) -> None:
    site.uploads.put(KEY, photo(note="former", width=500))
    await site.process(KEY, received("former"), recipe=OFF)
    site.uploads.put(KEY, photo(note="newer"))


TROUBLE: dict[str, Callable[[int], Death | Failure]] = {
    "dies": lambda number: Death(number=number),
    "fails": lambda number: Failure(number=number, had_effect=number % 2 == 0),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
@pytest.mark.parametrize(
    ("begin", "labels"),
    [
        (_first_picture, REVIEWED),
        (_first_film, REVIEWED),
        (_replacement, REVIEWED),
        (_first_film, BLOCKED),
        (_replacement, BLOCKED),
    ],
    ids=["picture held", "film held", "replacement held", "film blocked", "replacement blocked"],
)
async def test_a_worker_that_ends_at_any_call(
    begin: Callable[[Site], Awaitable[None]],
    labels: tuple[Label, ...],
    trouble: Callable[[int], Death | Failure],
    tmp_path: Path,
) -> None:
    """Nothing is public on the way, and the next delivery ends as if nothing had been: no frame is shown twice."""
    calm = Site(scratch=tmp_path)
    says(calm, labels)
    await begin(calm)
    await _delivered(calm, Wire(), count=1)
    number = 0
    while True:
        number += 1
        site = Site(scratch=tmp_path)
        says(site, labels)
        await begin(site)
        watch, cut = Watch.begin(site, "Explicit"), trouble(number)
        error = await _delivered(site, watch.wire(cut.wire()), count=1)
        if not cut.came:
            break
        assert error is not None or trouble is TROUBLE["fails"], f"call {number} ended the attempt"
        screened = [record for record in site.records(KEY) if record.steps[0].screening]
        wire = watch.wire()
        assert await _delivered(site, wire, count=2) is None
        assert _seen(calm) == _seen(site), f"after call {number}"
        assert not screened or 0 == wire.count("look")
        site.check(KEY, ready=False)
    assert number > 10


# -- a verdict ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [photo(), film(), film(width=0)], ids=["picture", "film", "sound"])
async def test_what_is_harmless_is_published(body: bytes, site: Site) -> None:
    """Every frame was looked at before anything was made; sound shows nothing, and nobody is asked."""
    says(site, ALLOWED)
    site.uploads.put(KEY, body)
    wire = await site.process(KEY, recipe=ON)
    site.check(KEY)
    looks = [at for at, call in enumerate(wire.calls) if call.startswith("look")]
    makes = [
        at for at, call in enumerate(wire.calls) if call.startswith(("draw", "run video", "upload", "write media"))
    ]
    assert max(looks, default=-1) < min(makes)
    assert (body != film(width=0)) == bool(looks)
    assert set() == site.held(KEY)


async def test_a_review_makes_everything_out_of_sight(site: Site) -> None:
    """All files lie in the quarantine, beside a ticket that says because of what, and which frames to look at."""
    says(site, REVIEWED)
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=ON)
    assert (Status.QUARANTINED, "moderation_review") == state(site)
    assert set() == site.public(KEY)
    ticket = Ticket.model_validate_json(site.store.objects[places(KEY).ticket])
    assert ("uploads", KEY) == (ticket.bucket, ticket.key)
    assert [("Explicit", 70.0)] == [(one.label, one.confidence) for one in ticket.because]
    assert 2 == len(ticket.frames)
    assert set(ticket.frames) < site.held(KEY)
    moderation = site.outcome(KEY).moderation
    assert moderation
    assert {"Explicit"} == {one.label for one in moderation.because}
    assert {"index.m3u8", "video.mp4"} < {key.rpartition("/")[2] for key in site.held(KEY)}
    assert not [key for key in site.held(KEY) if "/~/" in key and not key.endswith("waiting.json")]
    site.check(KEY, ready=False)


async def test_what_is_blocked_is_not_made(site: Site) -> None:
    """It costs no encode; what was seen is kept, with the frames as evidence."""
    says(site, BLOCKED)
    site.uploads.put(KEY, film())
    wire = await site.process(KEY, recipe=ON)
    assert (Status.REJECTED, "moderation_blocked") == state(site)
    assert (set(), []) == (site.public(KEY), [call for call in wire.calls if call.startswith(("run video", "draw"))])
    (record,) = site.records(KEY)
    assert record.steps[0].screening
    assert {record.folder + file.name for file in record.steps[0].files} == site.held(KEY) != set()
    moderation = site.outcome(KEY).moderation
    assert moderation
    assert "block" == moderation.says
    site.check(KEY, ready=False)


@pytest.mark.parametrize("labels", [REVIEWED, explicit(math.nan), explicit(math.inf)], ids=["sure", "nan", "inf"])
async def test_a_duplicate_of_what_waits_costs_two_calls(labels: tuple[Label, ...], site: Site) -> None:
    """Nobody is asked again, nothing is told again; a record of what is no number can be read."""
    says(site, labels)
    site.uploads.put(KEY, photo())
    await site.process(KEY, recipe=ON)
    before = site.objects()
    wire = await site.process(KEY, received("another"), recipe=ON)
    assert ([f"read {places(KEY).manifest}", f"head {KEY}"], before) == (wire.calls, site.objects())
    await site.process(KEY, received("again"), recipe=ON, type_="reprocess")
    assert {Status.QUARANTINED, Status.REJECTED} >= {state(site)[0]}


@pytest.mark.parametrize("bucket", ["unversioned", "versioned"])
async def test_a_replacement_that_waits_leaves_what_was_served(bucket: str, tmp_path: Path) -> None:
    """The former is shown on; when it is blocked the former goes with it, files, records and all."""
    site = Site(scratch=tmp_path, uploads=FakeUploads(versioned=bucket == "versioned"))
    site.uploads.put(KEY, photo(note="former", width=500))
    await site.process(KEY, received("former"), recipe=ON)
    former, public = site.ready(KEY).serving, site.public(KEY)
    says(site, REVIEWED)
    site.uploads.put(KEY, photo(note="newer"))
    await site.process(KEY, received("newer"), recipe=ON)
    found = site.manifest(KEY)
    assert found
    assert ((Status.QUARANTINED, "moderation_review"), former, public) == (state(site), found.serving, site.public(KEY))
    site.check(KEY, ready=False)
    says(site, BLOCKED)
    site.uploads.put(KEY, photo(note="newest"))
    await site.process(KEY, received("newest"), recipe=ON)
    found = site.manifest(KEY)
    assert found
    assert ((Status.REJECTED, "moderation_blocked"), None, set()) == (state(site), found.serving, site.public(KEY))
    assert 1 == len(site.records(KEY))
    site.check(KEY, ready=False)


# -- nobody can be asked ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [Throttled("slow"), Unavailable("down"), Misconfigured("denied"), Overspent("spend.day")], ids=repr
)
@pytest.mark.parametrize("body", [photo(), film()], ids=["picture", "film"])
async def test_while_nobody_can_be_asked_it_waits(body: bytes, error: Exception, site: Site) -> None:
    """The page is told once, however often it is tried; then somebody answers, and it is published."""
    site.uploads.put(KEY, body)
    for count in (1, 2, 3):
        before = site.objects()
        wire = await fails_with(site, error, count=count)
        assert (Status.QUARANTINED, "moderation_unavailable") == state(site)
        assert (set(), True) == (site.public(KEY), wire.count("look") > 0)
        assert count == 1 or (before == site.objects() and 0 == wire.count("write", "overwrite", "upload", "tell"))
        site.check(KEY, ready=False)
    assert [f"{KEY}@1"] == site.told
    said = site.outcome(KEY)
    assert ("moderation_unavailable", True) == (said.reason, str(error) in (said.message or ""))
    await site.deliver(job(KEY), received(count=4), recipe=ON)
    assert 2 == site.ready(KEY).revision
    site.check(KEY)


async def test_a_mistake_of_ours_while_it_waits_is_counted(site: Site) -> None:
    """Or a judge that is paid for would be asked every few seconds, for ever; trouble after it is public is not."""
    site.uploads.put(KEY, photo())
    await fails_with(site, Unavailable("down"))
    error = RuntimeError("a mistake of ours")
    pipeline = site.pipeline(recipe=ON)
    assert [1, 2, 3] == [await pipeline.note_failure(job(KEY), received(), error) for _ in range(3)]
    await pipeline.give_up(job(KEY), received())
    assert (Status.QUARANTINED, "moderation_unavailable") == state(site)
    await site.process(KEY, received(count=2), recipe=ON)
    assert [1, 1] == [await pipeline.note_failure(job(KEY), received(), error) for _ in range(2)]
    site.check(KEY)


async def test_a_provider_that_is_not_at_hand_is_never_clean(site: Site) -> None:
    """The recipe names a judge that this worker lacks."""
    site.uploads.put(KEY, photo())
    with pytest.raises(Unscreened, match="rekognition is not at hand"):
        await site.process(KEY, recipe=rules(moderation="rekognition"))
    assert ((Status.QUARANTINED, "moderation_unavailable"), set()) == (state(site), site.public(KEY))


async def test_what_is_deleted_while_it_waits_is_gone(site: Site) -> None:
    """Ticket, records and all; for a review the same, with what was made."""
    for labels in (None, REVIEWED):
        site.uploads.put(KEY, photo(note=str(labels)))
        if labels:
            says(site, labels)
            await site.process(KEY, recipe=ON)
        else:
            await fails_with(site, Unavailable("down"))
        assert places(KEY).ticket in site.held(KEY)
        site.uploads.delete(KEY)
        await site.process(KEY, received("delete"), recipe=ON)
        assert {places(KEY).manifest} == set(site.store.objects)
        assert (Status.DELETED, None) == state(site)


@pytest.mark.parametrize("waits", ["unavailable", "review"])
@pytest.mark.parametrize("body", [photo(note="newer"), photo(fault="damaged"), b"text"], ids=["good", "bad", "text"])
async def test_what_is_replaced_while_it_waits_is_off_the_list(body: bytes, waits: str, site: Site) -> None:
    """Whatever comes after it, nobody has to look at the former any more."""
    site.uploads.put(KEY, photo(note="former"))
    if waits == "review":
        says(site, REVIEWED)
        await site.process(KEY, recipe=ON)
    else:
        await fails_with(site, Unavailable("down"))
    says(site, ALLOWED)
    site.uploads.put(KEY, body)
    await site.process(KEY, received("newer"), recipe=ON)
    assert places(KEY).ticket not in site.store.objects
    assert state(site)[0] in {Status.READY, Status.REJECTED}
    site.check(KEY, ready=False)


async def test_a_judge_that_never_answers_ends_with_the_job(site: Site) -> None:
    """The wall clock ends it, and nothing is public."""
    site.uploads.put(KEY, photo())

    async def never(call: str) -> None:
        if call.startswith("look"):
            await asyncio.Event().wait()

    pipeline = replace(site.pipeline(Watch.begin(site).wire(Wire(before=never)), ON), job_seconds=0.05)
    await pipeline.process(job(KEY), received())
    assert set() == site.public(KEY)
    assert Status.READY != state(site)[0]


async def test_a_page_that_is_told_how_far_it_is_tells_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`processing` is written while the judge looks: neither what it is nor what it looks like."""
    monkeypatch.setattr(progress, "_FIRST_AFTER", 0.0)
    monkeypatch.setattr(progress, "_THEN_EVERY", 0.001)
    site.uploads.put(KEY, film())
    says(site, REVIEWED)

    async def slowly(call: str) -> None:
        if call.startswith(("look", "run")):
            await asyncio.sleep(0.01)

    wire = Watch.begin(site, "Explicit").wire(Wire(before=slowly))
    await site.deliver(job(KEY), received(), wire=wire, recipe=ON)
    assert wire.calls.count(f"write {places(KEY).manifest}") > 1
    assert (Status.QUARANTINED, "moderation_review") == state(site)
    again = Wire(before=slowly)
    await site.deliver(job(KEY, "reprocess"), received("again"), wire=again, recipe=rules(640, moderation="local"))
    assert 0 == again.count("write") - sum(call.startswith("write records/") for call in again.calls)


# -- nobody is asked twice ----------------------------------------------------------------------------------------


async def _reprocessed(site: Site, recipe: Recipe) -> Wire:
    return await site.process(KEY, received("reprocess"), recipe=recipe, type_="reprocess")


@pytest.mark.parametrize("body", [photo(), film()], ids=["picture", "film"])
@pytest.mark.parametrize("labels", [ALLOWED, REVIEWED, BLOCKED], ids=["allow", "review", "block"])
async def test_one_more_width_asks_nobody(body: bytes, labels: tuple[Label, ...], site: Site) -> None:
    """What was seen is in the record: the verdict is made of that."""
    says(site, labels)
    site.uploads.put(KEY, body)
    await site.process(KEY, recipe=ON)
    before = state(site)
    says(site, BLOCKED if labels == ALLOWED else ALLOWED)
    wire = await _reprocessed(site, rules(320, 640, 800, moderation="local"))
    assert (before, 0, 0) == (state(site), wire.count("look"), wire.count("frames"))
    site.check(KEY, ready=False)


async def test_stricter_rules_hold_what_is_served(site: Site) -> None:
    """It is shown on until a person has looked at it; with still stricter ones it is withdrawn, and nobody is asked."""
    says(site, explicit(40.0))
    site.uploads.put(KEY, film())
    await site.process(KEY, recipe=ON)
    former, public = site.ready(KEY).serving, site.public(KEY)
    wire = await _reprocessed(site, WARY)
    found = site.manifest(KEY)
    assert found
    assert ((Status.QUARANTINED, "moderation_review"), former, public) == (state(site), found.serving, site.public(KEY))
    assert 0 == wire.count(*EVERYTHING)
    wire = await _reprocessed(site, STRICT)
    found = site.manifest(KEY)
    assert found
    assert ((Status.REJECTED, "moderation_blocked"), None, set()) == (state(site), found.serving, site.public(KEY))
    assert 0 == wire.count(*EVERYTHING)
    site.check(KEY, ready=False)


@pytest.mark.parametrize("body", [photo(), film()], ids=["picture", "film"])
async def test_laxer_rules_release_by_copy(body: bytes, site: Site) -> None:
    """Nothing is decoded, made or asked again, and the quarantine is empty."""
    says(site, REVIEWED)
    site.uploads.put(KEY, body)
    await site.process(KEY, recipe=ON)
    wire = await _reprocessed(site, LAX)
    assert 0 == wire.count(*EVERYTHING)
    assert set() == site.held(KEY)
    site.check(KEY)


async def test_another_judge_is_another_question(site: Site) -> None:
    """What one provider saw says nothing about what the other would: the page waits, and serves on."""
    site.uploads.put(KEY, photo())
    await site.process(KEY, recipe=ON)
    with pytest.raises(Unscreened):
        await _reprocessed(site, rules(moderation="rekognition"))
    found = site.manifest(KEY)
    assert found
    assert found.serving
    assert Reason.MODERATION_UNAVAILABLE == state(site)[1]
    await _reprocessed(site, ON)
    site.check(KEY)


async def test_what_waits_is_not_listened_to(tmp_path: Path) -> None:
    """No second is sent anywhere before somebody has allowed it."""
    site = Site(scratch=tmp_path, scribe=FakeScribe(name="transcribe", unit="transcribe_minute", away=True))
    site.uploads.put(KEY, film())
    says(site, REVIEWED)
    wire = await site.process(KEY, recipe=rules(moderation="local", captions="transcribe"))
    assert (0, {}) == (wire.count("find", "listen"), site.scribe.begun)

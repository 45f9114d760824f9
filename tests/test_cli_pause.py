"""`pause` and `resume`: what workers read, what lanes may have meanwhile, and that half of either can be repeated."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations

import pytest

from scripts.resources import Client, Resources
from service.aws.scaling import Lane
from service.commands import pause as pausing
from service.commands.pause import STOPPED, Changed, Queue, Switch
from service.core import places
from service.core.outcome import Crowded, Misconfigured, Unavailable
from service.core.record import Capacity, Pause, Paused
from service.tables import pauses as tables
from tests.fakes import FakeStore, Wire
from tests.test_cli import run

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
ALL = tuple(Queue)
BEFORE: dict[Lane, Capacity] = {"light": Capacity(fewest=1, most=8), "heavy": Capacity(fewest=0, most=10)}
ONE = Capacity(fewest=0, most=1)


@dataclass(kw_only=True)
class FakeLanes:
    """A deployment: what scaling may start, and what runs."""

    wire: Wire = field(default_factory=Wire)
    capacities: dict[Lane, Capacity] = field(default_factory=lambda: dict(BEFORE))
    running: dict[Lane, int] = field(default_factory=lambda: dict[Lane, int]({"light": 2, "heavy": 3}))

    def target(self, lane: Lane) -> str:
        """Its id."""
        return f"service/media-prod/media-prod-{lane}"

    async def capacity(self, lane: Lane) -> Capacity:
        """What scaling may start."""
        async with self.wire.call("capacity", lane):
            return self.capacities[lane]

    async def limit(self, lane: Lane, to: Capacity) -> None:
        """What it may start from now on."""
        async with self.wire.call("limit", lane):
            self.capacities[lane] = to

    async def bring(self, lane: Lane, within: Capacity) -> None:
        """Start or stop tasks."""
        async with self.wire.call("bring", lane):
            self.running[lane] = min(within.most, max(within.fewest, self.running[lane]))


@dataclass(kw_only=True)
class Place:
    """A bucket and a deployment, and commands over them."""

    store: FakeStore = field(default_factory=FakeStore)
    lanes: FakeLanes = field(default_factory=FakeLanes)

    @property
    def switch(self) -> Switch:
        """An operator's."""
        return Switch(store=self.store, lanes=self.lanes)

    @property
    def document(self) -> Pause:
        """What workers read."""
        return Pause.model_validate_json(self.store.objects[places.pause()])

    async def pause(self, *queues: Queue, by: str = "Ann") -> list[Changed]:
        """As the command does."""
        await self.switch.pause(queues, by=by, why=None, now=NOW)
        return await self.switch.stop(queues)

    async def resume(self, *queues: Queue) -> Pause:
        """As the command does."""
        return await self.switch.resume(queues, await self.switch.start(queues))


@pytest.mark.parametrize(
    ("paused", "light", "heavy"),
    [
        ("", BEFORE["light"], BEFORE["heavy"]),
        ("intake", STOPPED, BEFORE["heavy"]),
        ("heavy", BEFORE["light"], STOPPED),
        ("backfill", BEFORE["light"], ONE),
        ("heavy backfill", BEFORE["light"], STOPPED),
        ("intake heavy backfill", STOPPED, STOPPED),
    ],
)
def test_what_lanes_may_have(paused: str, light: Capacity, heavy: Capacity) -> None:
    """No task for a queue that is paused; one while the backfill alone is, whose messages count as work."""
    found = [pausing.allowed(lane, paused.split(), had) for lane, had in BEFORE.items()]
    assert [light, heavy] == found


@pytest.mark.parametrize(
    ("found", "remembered", "expected"),
    [
        (BEFORE["heavy"], None, BEFORE["heavy"]),
        (STOPPED, BEFORE["heavy"], BEFORE["heavy"]),
        (ONE, BEFORE["heavy"], BEFORE["heavy"]),
        (Capacity(fewest=0, most=20), BEFORE["heavy"], Capacity(fewest=0, most=20)),
        (STOPPED, None, None),
    ],
)
def test_what_a_lane_had(found: Capacity, remembered: Capacity | None, expected: Capacity | None) -> None:
    """Never what a pause has set; what was deployed since, rather than what was remembered."""
    assert expected == pausing.former(found, remembered)


async def test_there_and_back() -> None:
    """Exactly what lanes had before; tasks that there always have to be are started at once."""
    place = Place()
    await place.pause(*ALL)
    assert set(ALL) == set(place.document.queues)
    assert {"light": STOPPED, "heavy": STOPPED} == place.lanes.capacities
    assert {"light": 0, "heavy": 0} == place.lanes.running
    assert Pause() == await place.resume(*ALL)
    assert (BEFORE, {"light": 1, "heavy": 0}) == (place.lanes.capacities, place.lanes.running)


@pytest.mark.parametrize("first", [queues for n in (1, 2, 3) for queues in combinations(ALL, n)])
@pytest.mark.parametrize("second", [queues for n in (1, 2, 3) for queues in combinations(ALL, n)])
async def test_any_order(first: tuple[Queue, ...], second: tuple[Queue, ...]) -> None:
    """However queues are paused, again and one by one, lanes have what they may, and in the end what they had."""
    place = Place()
    await place.pause(*first)
    await place.pause(*second)
    left = set(first) | set(second)
    for queue in (*second, *first):
        expected = {lane: pausing.allowed(lane, left, had) for lane, had in BEFORE.items()}
        assert (expected, left) == (place.lanes.capacities, set(place.document.queues))
        left.discard(queue)
        await place.resume(queue)
    assert (BEFORE, Pause()) == (place.lanes.capacities, place.document)


async def test_a_second_pause_tells_of_the_first() -> None:
    """Who paused it, and when."""
    place = Place()
    await place.pause(Queue.HEAVY)
    await place.pause(*ALL, by="Bob")
    assert ["Ann", "Bob", "Bob"] == [place.document.queues[one].by for one in ("heavy", "intake", "backfill")]


def dying(number: int, of: list[Wire], when: str = "before") -> Callable[[], None]:
    """Each call fails from that one on, before or after its effect; what is given ends that."""
    calls: list[str] = []

    async def die(call: str) -> None:
        calls.append(call)
        if len(calls) >= number:
            raise Unavailable(call)

    def mend() -> None:
        for wire in of:
            setattr(wire, when, Wire().before)

    for wire in of:
        setattr(wire, when, die)
    return mend


@pytest.mark.parametrize("queues", [ALL, (Queue.BACKFILL,), (Queue.INTAKE, Queue.BACKFILL)])
@pytest.mark.parametrize("command", ["pause", "resume"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 14))
async def test_half_a_command_can_be_repeated(number: int, when: str, command: str, queues: tuple[Queue, ...]) -> None:
    """It ends at any call: the second one ends as if there had been one, and nothing of before is forgotten."""
    place = Place()
    if command == "resume":
        await place.pause(*queues)
    mend = dying(number, [place.store.wire, place.lanes.wire], when)
    try:
        await (place.pause(*queues) if command == "pause" else place.resume(*queues))
    except Unavailable:
        mend()
        await (place.pause(*queues) if command == "pause" else place.resume(*queues))
    mend()
    if command == "pause":
        expected = {lane: pausing.allowed(lane, queues, had) for lane, had in BEFORE.items()}
        assert (expected, set(queues)) == (place.lanes.capacities, set(place.document.queues))
        await place.resume(*queues)
    assert (BEFORE, Pause()) == (place.lanes.capacities, place.document)


async def test_a_deployment_meanwhile_is_kept() -> None:
    """What it gave to a lane is what a resume leaves."""
    place = Place()
    await place.pause(*ALL)
    place.lanes.capacities["heavy"] = Capacity(fewest=0, most=20)
    await place.resume(*ALL)
    assert BEFORE | {"heavy": Capacity(fewest=0, most=20)} == place.lanes.capacities


async def test_a_lane_that_was_stopped_by_hand() -> None:
    """Nobody knows what it had, and that is told."""
    place = Place()
    place.lanes.capacities["light"] = STOPPED
    (changed,) = await place.pause(Queue.INTAKE)
    assert (STOPPED, None) == (changed.now, changed.former)
    (changed,) = await place.switch.start([Queue.INTAKE])
    (line,) = [str(one) for one in tables.resumed_lines(Pause(), [], [changed])]
    assert "set them with `aws application-autoscaling register-scalable-target`" in line


async def test_workers_are_told_although_lanes_cannot_be_stopped() -> None:
    """The document comes first."""
    place = Place()
    dying(1, [place.lanes.wire])
    with pytest.raises(Unavailable):
        await place.pause(*ALL)
    assert set(ALL) == set(place.document.queues)


async def test_lanes_are_not_forgotten() -> None:
    """A resume that knows of no deployment would leave its lanes stopped."""
    place = Place()
    await place.pause(*ALL)
    switch = Switch(store=place.store, lanes=None)
    with pytest.raises(Misconfigured, match="say --stage prod"):
        await switch.start(ALL)


async def test_two_operators_at_once() -> None:
    """Neither undoes what the other says; whoever never comes to write is told."""
    place = Place()
    other = Switch(store=FakeStore(objects=place.store.objects), lanes=None)

    async def first(call: str) -> None:
        place.store.wire.before = Wire().before
        await other.pause([Queue.HEAVY], by="Bob", why=None, now=NOW)

    async def always(call: str) -> None:
        if call.startswith("write"):
            place.store.objects[places.pause()] += b" "

    place.store.wire.after = first
    await place.switch.pause([Queue.INTAKE], by="Ann", why=None, now=NOW)
    assert {"intake", "heavy"} == set(place.document.queues)
    place.store.wire.before, place.store.wire.after = always, Wire().after
    with pytest.raises(Crowded, match="try again"):
        await place.switch.pause([Queue.BACKFILL], by="Ann", why=None, now=NOW)


def test_what_is_told() -> None:
    """Plainly: what waits, what runs, what it costs."""
    pause = Pause(queues={"backfill": Paused(since=NOW, by="A\x1bnn", why="a\nball")})
    assert "backfill: paused since 2026-01-02 03:04 UTC by A?nn: a?ball" == str(
        next(tables.paused_lines(pause, ["backfill"]))
    )
    capped = Changed(lane="heavy", now=ONE, former=BEFORE["heavy"])
    told = "\n".join(map(str, tables.stopped_lines([capped])))
    assert told.startswith("heavy lane: 1 task at most (0 to 10 before)")
    assert "ten cents an hour" in told
    assert "MEDIA_DRAIN_SECONDS" in told
    lines = [str(one) for one in tables.resumed_lines(pause, ["heavy"], [capped])]
    assert [
        "heavy: workers receive again within half a minute",
        "heavy lane: 1 task at most, as long as other queues of it are paused",
        "backfill: still paused since 2026-01-02 03:04 UTC by A?nn: a?ball",
    ] == lines


# ---- the real command line on LocalStack ----


@pytest.fixture(name="environment")
def _environment(resources: Resources) -> dict[str, str]:
    return resources.environment("/")


def doctored(environment: dict[str, str], **settings: str) -> tuple[bool, str]:
    """What `doctor` says of pauses."""
    document = run("doctor", "--json", **environment, **settings).document
    (found,) = [one for one in document if one["check"] == "pauses"]
    return found["well"], found["detail"]


def test_of_a_bucket(environment: dict[str, str], resources: Resources, client_of: Callable[[str], Client]) -> None:
    """Paused, told by doctor, resumed in part, resumed; machines are told the same."""
    assert (True, "no queue is paused") == doctored(environment)
    ended = run("pause", "--why", "we move", "--by", "Ann", **environment)
    assert (0, "") == (ended.code, ended.err)
    lines = ended.out.splitlines()
    assert ["intake", "heavy", "backfill"] == [line.partition(": paused since ")[0] for line in lines[:3]]
    assert lines[0].endswith(" UTC by Ann: we move")
    assert lines[-1].startswith("No stage was named: ")
    well, detail = doctored(environment)
    assert not well
    assert "intake: paused since " in detail
    assert " by Ann (we move): media-worker resume intake; heavy: " in detail
    document = run("resume", "intake", "--json", **environment).document
    assert ({"heavy", "backfill"}, {}) == (set(document["queues"]), document["lanes"])
    stored = client_of("s3").get_object(Bucket=resources.published, Key=places.pause())["Body"].read()
    assert {"heavy", "backfill"} == set(Pause.model_validate_json(stored).queues)
    ended = run("resume", **environment)
    assert (0, ["heavy: workers receive again within half a minute"]) == (ended.code, ended.out.splitlines()[1:2])
    assert (True, "no queue is paused") == doctored(environment)


def test_who_paused_it(environment: dict[str, str]) -> None:
    """Whoever is logged in, where nobody is named."""
    document = run("pause", "heavy", "--json", **environment).document
    assert ["heavy"] == list(document["queues"])
    assert document["queues"]["heavy"]["by"]


def test_no_such_queue(environment: dict[str, str]) -> None:
    """Wrong use."""
    ended = run("pause", "light", **environment)
    assert (2, True) == (ended.code, "'intake', 'heavy', 'backfill'" in ended.err)

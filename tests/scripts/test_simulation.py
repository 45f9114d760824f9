"""The model of the lanes: nothing is lost or free, no metric is early, and what docs/scaling.md claims holds."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripts.simulation import __main__ as simulate
from scripts.simulation import figures, jobs, plot, scaling, site, template
from scripts.simulation.figures import Figures
from scripts.simulation.jobs import Job, Scenario
from scripts.simulation.lane import Lane
from scripts.simulation.policy import PROFILES, SMALL, Policy, Step, by_cpu, oracle
from scripts.simulation.scaling import Autoscaler, Sample
from scripts.simulation.site import NeverEndsError, Run
from scripts.simulation.tasks import Running, Task
from scripts.simulation.world import Clock, World

NOTHING = Scenario(name="nothing", jobs=(), horizon=30 * jobs.DAY)
POLICIES = (SMALL, PROFILES["private"], by_cpu(SMALL), oracle(SMALL))


@cache
def ran(policy: Policy, name: str, seed: int) -> Run:
    return site.run(policy, jobs.SCENARIOS[name](seed), seed=seed)


def figures_of(policy: Policy, name: str = "burst", seed: int = 1) -> Figures:
    return figures.of(ran(policy, name, seed))


def samples(*backlogs: int, running: int = 1, cpu: float = 0.0) -> list[Sample]:
    return [Sample(available=0, visible=one, inflight=0, running=running, cpu=cpu) for one in backlogs]


@st.composite
def small_scenarios(draw: st.DrawFn, kinds: Sequence[jobs.Kind] = ("image", "video")) -> Scenario:
    """Up to twelve uploads within two hours, some of them old ones."""
    gaps = draw(st.lists(st.floats(0, 1200), max_size=12))
    found, at = [], 0.0
    for number, gap in enumerate(gaps):
        at += gap
        kind = draw(st.sampled_from(kinds))
        work = draw(st.floats(0.5, 4) if kind == "image" else st.floats(10, 4000))
        cores = jobs.IMAGE_CORES if kind == "image" else 16
        backfill = kind == "image" and draw(st.booleans())
        found.append(Job(number=number, at=at, kind=kind, work=work, cores=cores, backfill=backfill))
    return Scenario(name="small", jobs=tuple(found))


# ---- what holds whatever arrives


@settings(max_examples=40, deadline=None)
@given(small_scenarios(), st.sampled_from(POLICIES), st.integers(0, 9))
def test_conservation(scenario: Scenario, policy: Policy, seed: int) -> None:
    """Every job is done exactly once, not before it arrived, and not faster than its work allows."""
    run = site.run(policy, scenario, seed=seed)
    assert [job.number for job in scenario.jobs] == [one.number for one in run.jobs]
    for job, one in zip(scenario.jobs, run.jobs, strict=True):
        assert job.at <= one.begun
        assert one.done - one.begun >= job.work / min(job.cores, 2) - 1e-6


@settings(max_examples=40, deadline=None)
@given(small_scenarios(), st.floats(1, 60), st.integers(0, 9))
def test_spot_loses_no_job(scenario: Scenario, reclaims: float, seed: int) -> None:
    """Tasks that are reclaimed all the time give their jobs back; each is done once all the same."""
    work = tuple(replace(job, work=min(job.work, 60.0)) for job in scenario.jobs)  # or it would never fit
    spotty = replace(SMALL, light=replace(SMALL.light, spot=1.0), heavy=replace(SMALL.heavy, spot=1.0))
    run = site.run(spotty, replace(scenario, jobs=work), world=World(reclaims=reclaims), seed=seed)
    assert [job.number for job in scenario.jobs] == [one.number for one in run.jobs]


@settings(max_examples=40, deadline=None)
@given(small_scenarios(kinds=("image",)), st.sampled_from(POLICIES), st.integers(0, 9))
def test_no_policy_beats_the_oracle(scenario: Scenario, policy: Policy, seed: int) -> None:
    """First come, first served, nothing finishes all jobs sooner than tasks that were there before them."""
    ours = site.run(policy, scenario, seed=seed)
    best = site.run(oracle(policy), scenario, seed=seed)
    assert figures.of(best).drained <= figures.of(ours).drained + 1e-6


@settings(max_examples=40, deadline=None)
@given(small_scenarios(), st.sampled_from(POLICIES), st.integers(0, 9))
def test_work_is_paid_for(scenario: Scenario, policy: Policy, seed: int) -> None:
    """No task works unpaid, or more than its vCPUs can do; the maximum is never exceeded."""
    run = site.run(policy, scenario, seed=seed)
    busy = sum(one.busy * (policy.light if one.lane == "light" else policy.heavy).size.vcpu for one in run.sessions)
    assert sum(job.work for job in scenario.jobs) <= busy + 1e-6
    assert all(one.busy <= one.end - one.start + 1e-6 for one in run.sessions)
    peak = figures.of(run).peak
    leaving = 1 if scenario.jobs else 0  # a task that takes its leave may overlap the one that replaces it
    assert peak["light"] <= policy.light.maximum + leaving
    assert peak["heavy"] <= policy.heavy.maximum + leaving


def test_same_seed_same_run() -> None:
    """A seed decides everything, arrivals and delays alike; another seed decides otherwise."""
    first, again = (site.run(SMALL, jobs.burst(3), seed=3) for _ in range(2))
    assert first == again
    assert site.run(SMALL, jobs.burst(4), seed=4) != first


def test_policies_get_the_same_work() -> None:
    """A job's size is drawn with the job, not by who does it."""
    ours, best = ran(SMALL, "burst", 1), ran(oracle(SMALL), "burst", 1)
    assert ours.scenario == best.scenario


# ---- money


def test_nothing_costs_nothing_in_the_small_profile() -> None:
    """A month without an upload has no task."""
    run = site.run(SMALL, NOTHING)
    assert (0, 0.0) == (len(run.sessions), figures.of(run).cost)


def test_private_profile_pays_for_the_task_that_is_always_on() -> None:
    """The light lane's one task, on demand, for a month."""
    private = PROFILES["private"]
    assert NOTHING.horizon * private.light.size.price() == pytest.approx(
        figures.of(site.run(private, NOTHING)).cost, rel=1e-4
    )


def test_a_minute_is_billed_at_least() -> None:
    """A task of ten seconds costs what one of a minute does."""
    session = figures.Session(lane="light", start=0, end=10, busy=1)
    assert 60 * SMALL.light.size.price() == pytest.approx(figures.cost(SMALL, session))


def test_price_of_a_task() -> None:
    """2 vCPU and 4 GB on demand in us-east-1; Spot at three tenths."""
    assert (2 * 0.04048 + 4 * 0.004445) / 3600 == pytest.approx(SMALL.heavy.size.price())
    assert 0.3 * SMALL.heavy.size.price() == pytest.approx(SMALL.heavy.size.price(spot=True))


# ---- the acceptance


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_burst_keeps_up_with_the_oracle(seed: int) -> None:
    """A burst takes at most 1.3 times the oracle's drain time, for at most 1.15 times its cost."""
    ours, best = figures_of(SMALL, seed=seed), figures_of(oracle(SMALL), seed=seed)
    assert best.drained <= ours.drained <= simulate.MOST_DRAIN * best.drained
    assert best.cost <= ours.cost <= simulate.MOST_COST * best.cost


def test_private_profile_drains_as_soon() -> None:
    """With Spot and a light lane that is always on, whose rest costs what no oracle pays, the drain time holds."""
    private = PROFILES["private"]
    ours, best = figures_of(private), figures_of(oracle(private))
    assert best.drained <= ours.drained <= simulate.MOST_DRAIN * best.drained


@pytest.mark.parametrize("name", ["burst", "trickle"])
def test_oracle_is_never_worse(name: str) -> None:
    """In the named scenarios nobody is cheaper or faster than who knows the arrivals."""
    best = figures_of(oracle(SMALL), name)
    for policy in (SMALL, by_cpu(SMALL)):
        ours = figures_of(policy, name)
        assert best.drained <= ours.drained
        assert best.images.p95 <= ours.images.p95
        assert best.cost <= ours.cost


def test_backfill_does_not_stand_before_live_uploads() -> None:
    """Films that arrive while old pictures wait begin when the next picture is done, not when the last is."""
    scenario = jobs.backfill(1, images=5000, a_day=2000, hours=0.5)
    run = site.run(SMALL, scenario)
    old = max(one.begun for one in run.jobs if one.backfill)
    during = [one.begun - one.at for one in run.jobs if one.kind == "video" and 300 < one.at < old - 60]
    assert during
    assert max(during) < 120


@pytest.mark.skipif(not (template.ECS / "scaling.yaml").exists(), reason="there are no templates")
@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_templates_have_the_numbers_that_were_simulated(profile: str) -> None:
    """ecs/scaling.yaml and ecs/lane.yaml, resolved, are the policy that docs/scaling.md has the figures of."""
    assert PROFILES[profile] == template.policy(profile)


# ---- the parts


def test_no_alarm_before_its_metric() -> None:
    """Without the event, the first task is ordered when two minutes' datapoints are in, no sooner."""
    unwoken = replace(SMALL, light=replace(SMALL.light, woken=False))
    picture = Scenario(name="one", jobs=(Job(number=0, at=100.0, kind="image", work=1, cores=1),))
    for seed in range(20):
        [session] = site.run(unwoken, picture, seed=seed).sessions
        assert 100 + 60 + World().metric_delay[0] <= session.start <= 100 + 2 * 60 + 120 + 60


@pytest.mark.parametrize("gap", range(0, 300, 20))
def test_stale_alarm_spares_the_task_that_was_just_woken(gap: int) -> None:
    """An upload soon after the last task went: the idle minutes before do not stop its task while it starts."""
    first = Job(number=0, at=0.0, kind="video", work=300, cores=16)
    gone = site.run(SMALL, Scenario(name="one", jobs=(first,)), seed=gap).end
    second = replace(first, number=1, at=gone + gap)
    run = site.run(SMALL, Scenario(name="two", jobs=(first, second)), seed=gap)
    assert run.jobs[1].begun - second.at <= World().wake + World().start[1] + 1


def test_event_wakes_within_seconds() -> None:
    """With it, the task is ordered at once, and it is the only one."""
    picture = Scenario(name="one", jobs=(Job(number=0, at=100.0, kind="image", work=1, cores=1),))
    [session] = site.run(SMALL, picture).sessions
    assert 100 + World().wake == session.start


def test_sleeping_queue_is_a_quarter_of_an_hour_late() -> None:
    """A queue that nobody touched for six hours, and no event: the alarm hears of the upload 15 minutes later."""
    lazy = replace(SMALL, light=replace(SMALL.light, woken=False, kept_active=False))
    picture = Scenario(name="one", jobs=(Job(number=0, at=8 * jobs.HOUR, kind="image", work=1, cores=1),))
    [session] = site.run(lazy, picture).sessions
    assert 8 * jobs.HOUR + World().asleep_delay <= session.start


def test_tracking_alone_never_starts_for_one_film() -> None:
    """A backlog of one is not above a target of one: without a step from zero the film waits for ever."""
    bare = replace(SMALL, heavy=replace(SMALL.heavy, out=None, woken=False))
    film = Scenario(name="one", jobs=(Job(number=0, at=0.0, kind="video", work=100, cores=16),))
    with pytest.raises(NeverEndsError, match="1 jobs"):
        site.run(bare, film)


def test_scale_in_spares_the_busy() -> None:
    """Asked to have no task, a lane stops the idle ones at once and each busy one after its job."""
    clock, over = Clock(), []
    lane = Lane(
        "heavy", SMALL.heavy, world=World(), clock=clock, seed=1, begun=lambda _: None, done=lambda j, _: over.append(j)
    )
    lane._want(3, at_once=True)
    lane.put(Job(number=0, at=0.0, kind="video", work=600, cores=16))
    while clock.now < 10:
        clock.step()
    lane._want(0)
    assert 1 == len(lane.alive)
    while not over:
        clock.step()
    assert {} == lane.alive
    assert lane.settled


def test_reclaimed_task_gives_its_job_back() -> None:
    """Spot's notice: 100 seconds later the unfinished film is in the queue again, its work lost."""
    clock, over = Clock(), []
    policy = replace(SMALL.heavy, spot=1.0)
    lane = Lane(
        "heavy",
        policy,
        world=World(reclaims=0),
        clock=clock,
        seed=1,
        begun=lambda _: None,
        done=lambda j, _: over.append(j),
    )
    lane._want(1, at_once=True)
    lane.put(Job(number=0, at=0.0, kind="video", work=600, cores=16))
    while clock.now < 30:
        clock.step()
    noticed = clock.now
    lane._reclaim(lane.tasks[0])
    while not over:
        clock.step()
    assert 2 * (noticed + World().drain) == pytest.approx(lane.lost, rel=0.05)
    assert [True, False] == [task.stopped is not None for task in lane.tasks[:2]] or lane.settled


def test_slots_share_the_processors() -> None:
    """Two encoders on two vCPUs take twice as long as one; a picture beside nothing is not slowed."""
    task = Task(number=0, vcpu=2, ordered=0)
    job = Job(number=0, at=0, kind="video", work=100, cores=16)
    task.begin(0, Running(job=job, left=100, cores=2))
    assert (50, 0) == task.next_end(0)
    task.begin(0, Running(job=replace(job, number=1), left=200, cores=2))
    assert (100, 0) == task.next_end(0)


@pytest.mark.parametrize(("distance", "change"), [(0, 1), (2.9, 1), (3, 4), (9, 10), (1000, 10)])
def test_step_of_a_breach(distance: float, change: int) -> None:
    """The step with the farthest beginning that the breach reaches."""
    assert change == scaling.change_of(
        (Step(beyond=0, change=1), Step(beyond=3, change=4), Step(beyond=9, change=10)), distance
    )


@pytest.mark.parametrize(
    ("running", "percent", "removed"), [(10, -10, 1), (3, -10, 1), (10, -35, 3), (10, -65, 6), (4, -100, 4)]
)
def test_percentages_round_down_to_one_at_least(running: int, percent: int, removed: int) -> None:
    """As PercentChangeInCapacity with a MinAdjustmentMagnitude of 1."""
    assert removed == scaling.percent_of(running, percent)


def test_tracking_needs_three_minutes_above_and_fifteen_below() -> None:
    """Target tracking's own alarms."""
    cpu = by_cpu(SMALL).heavy
    assert 1 == Autoscaler(cpu).decide(0, samples(0, 0, cpu=100), running=1, desired=1)
    assert 2 == Autoscaler(cpu).decide(0, samples(0, 0, 0, cpu=100), running=1, desired=1)
    assert 4 == Autoscaler(cpu).decide(0, samples(*[0] * 14, cpu=10), running=4, desired=4)
    assert 1 == Autoscaler(cpu).decide(0, samples(*[0] * 15, cpu=10), running=4, desired=4)


def test_cooldown_allows_only_a_larger_step() -> None:
    """Within the cooldown of a scale-out the same step waits, a larger one does not."""
    scaler = Autoscaler(replace(SMALL.heavy, tracking=None))
    assert 1 == scaler.decide(0, samples(2, 2, running=0), running=0, desired=0)
    assert 1 == scaler.decide(60, samples(2, 2), running=1, desired=1)
    assert 5 == scaler.decide(60, samples(5, 5), running=1, desired=1)
    assert 6 == scaler.decide(300, samples(2, 2), running=5, desired=5)


def test_idle_alarm_rests_while_no_task_runs() -> None:
    """A service that was just woken is not put back to sleep by minutes in which it had no task."""
    scaler = Autoscaler(SMALL.light)
    assert 1 == scaler.decide(0, samples(0, 0, 0, running=0), running=0, desired=1)
    assert 0 == scaler.decide(0, samples(0, 0, 0, running=1), running=1, desired=1)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.95, 4), (0.25, 1), (0.26, 2), (1, 4)])
def test_quantiles(share: float, value: float) -> None:
    """The nearest rank."""
    assert value == figures.quantile([4, 1, 3, 2], share)


# ---- the command


def test_command_prints_figures_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` alone on stdout, the picture beside it, and 0 because the burst keeps within its bounds."""
    assert 0 == simulate.main(["burst", "--json", "--plot", str(tmp_path / "burst.png")])
    document = json.loads(capsys.readouterr().out)
    assert ["oracle", "ours", "CPU 60 %"] == [one["policy"] for one in document["policies"]]
    with Image.open(tmp_path / "burst.png") as picture:
        assert "PNG" == picture.format


def test_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Queue ages, tasks, cost and waste of the three, and the verdict."""
    assert 0 == simulate.main(["burst", "--seed", "2"])
    said = capsys.readouterr().out
    for words in ("image waits, p95", "video waits, p99", "all done", "most tasks", "cost", "idle share", "fine"):
        assert words in said


def test_course_ends_where_the_figures_do() -> None:
    """What the plot draws last is the cost of the whole, with nothing waiting."""
    run = ran(SMALL, "burst", 1)
    course = figures.course(run, max(one.end for one in run.sessions))
    assert figures.of(run).cost == pytest.approx(course.cost[-1])
    assert (0, 0) == (course.waiting[-1], course.oldest_video[-1])


@pytest.mark.parametrize(("value", "most"), [(0, 1), (0.3, 0.4), (7, 10), (1000, 1000), (41, 50)])
def test_axes_end_at_round_numbers(value: float, most: float) -> None:
    """1, 2, 4, 5 or 10 times a power of ten."""
    assert most == pytest.approx(plot._round_up(value))

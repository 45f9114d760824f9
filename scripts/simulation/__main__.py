"""How the lanes scale, modelled: the policies of ecs/ beside an oracle and beside scaling by CPU.

Where there are no templates in ecs/, the numbers are those of policy.py.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scripts.simulation import figures, jobs, plot, site, sweep, template
from scripts.simulation.figures import Figures
from scripts.simulation.policy import PROFILES, Policy, by_cpu, oracle

MOST_DRAIN, MOST_COST = 1.3, 1.15  # what a burst may take, in multiples of the oracle's


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 if a burst takes more than it may, or a policy leaves jobs undone."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=[*jobs.SCENARIOS, "sweep"], help="what arrives; or every number, varied")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="small", help="(default: %(default)s)")
    parser.add_argument("--defaults", action="store_true", help="the numbers of policy.py, whatever the templates say")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="of a sweep (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="for machines: JSON on stdout, nothing else")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the course of all three")
    given = parser.parse_args(arguments)
    policy = PROFILES[given.profile] if given.defaults else deployed(given.profile)
    if given.what == "sweep":
        return _sweep(policy, given.seeds, as_json=given.json)
    return _scenario(policy, given.what, given.seed, as_json=given.json, png=given.plot)


def deployed(profile: str) -> Policy:
    """The templates' policy, or policy.py's without them."""
    return template.policy(profile) if (template.ECS / "scaling.yaml").exists() else PROFILES[profile]


def _scenario(policy: Policy, name: str, seed: int, *, as_json: bool, png: Path | None) -> int:
    scenario = jobs.SCENARIOS[name](seed)
    runs = [site.run(one, scenario, seed=seed) for one in (oracle(policy), policy, by_cpu(policy))]
    found = [figures.of(run) for run in runs]
    if png:
        end = max(session.end for run in runs for session in run.sessions)
        plot.png(png, f"{name}, seed {seed}", [(run.policy.name, figures.course(run, end)) for run in runs])
    if as_json:
        print(json.dumps({"scenario": name, "seed": seed, "policies": [asdict(one) for one in found]}, indent=1))
    else:
        Console().print(_table(name, found))
    return _verdict(found, quiet=as_json) if name == "burst" else 0


def _verdict(found: Sequence[Figures], *, quiet: bool) -> int:
    best, ours, *_ = found
    drain, cost = ours.drained / best.drained, ours.cost / best.cost
    fine = drain <= MOST_DRAIN and cost <= MOST_COST
    if not quiet:
        print(f"{drain:.2f} times the oracle's drain time (at most {MOST_DRAIN}), ", end="")
        print(f"{cost:.2f} times its cost (at most {MOST_COST}): {'fine' if fine else 'TOO MUCH'}")
    return 0 if fine else 1


def _table(name: str, found: Sequence[Figures]) -> Table:
    table = Table(title=name, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for one in found:
        table.add_column(one.policy, justify="right")
    columns = [_column(one) for one in found]
    for label in columns[0]:
        values = [column[label] for column in columns]
        if any(value not in {"", "0 s", "0 %"} for value in values):
            table.add_row(label, *values)
    return table


def _column(one: Figures) -> dict[str, str]:
    ages = {"image": one.images, "video": one.videos, "backfill": one.backfill}
    waits = {
        f"{kind} waits, {label}": span(value) if age.count else ""
        for kind, age in ages.items()
        for label, value in (("median", age.median), ("p95", age.p95), ("p99", age.p99))
    }
    return waits | {
        "live images done": span(one.images_drained),
        "backfill done": span(one.backfill_drained),
        "all done": span(one.drained),
        "most tasks, light + heavy": f"{one.peak['light']} + {one.peak['heavy']}",
        "cost": f"${one.cost:.2f}",
        "of that light": f"${one.costs['light']:.2f}",
        "idle share of task seconds": f"{one.waste * 100:.0f} %",
        "work lost to Spot, vCPU": span(one.lost),
    }


def span(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _sweep(policy: Policy, seeds: int, *, as_json: bool) -> int:
    rows = {one.name: sweep.row(one, seeds) for one in sweep.variants(policy)}
    if as_json:
        print(json.dumps({name: asdict(row) if row else None for name, row in rows.items()}, indent=1))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("", "drain", "worst", "cost", "worst", "burst", "takes", "image p95", "trickle p95", "a month"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in rows.items():
        table.add_row(name, *(_cells(row) if row else ["never ends"]))
    Console(width=140).print(table)
    return 0


def _cells(row: sweep.Row) -> list[str]:
    ratios = [f"{value:.2f}" for value in (row.drain, row.worst_drain, row.cost, row.worst_cost)]
    burst = [f"${row.dollars:.2f}", span(row.minutes * 60), span(row.images)]
    return [*ratios, *burst, span(row.wait), f"${row.month:.2f}"]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except site.NeverEndsError as error:
        sys.exit(str(error))

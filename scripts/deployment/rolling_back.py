"""`scripts/deploy STAGE --rollback`: the lanes, back to the release before."""

from scripts.deployment import facts, image, releases, stacks
from scripts.deployment.account import Account
from scripts.deployment.console import Asker, tell, title, warn
from scripts.deployment.deploying import execute, smoke
from scripts.deployment.errors import Trouble
from scripts.deployment.formation import Formation
from scripts.deployment.releases import Release
from scripts.deployment.stacks import HEAVY, LIGHT, Part, Standing


def roll_back(account: Account, stage: str, asker: Asker, *, dry_run: bool, smoke_seconds: float) -> None:
    """Image and settings of both lanes; the other stacks stay as they are.

    :raises Trouble: when there is no release before.
    """
    formation = Formation(account.client("cloudformation"), stage, tell=tell)
    standing = formation.standing()
    known = facts.of(stage, standing)
    found = {
        part: releases.read(account.client("ecs"), standing[part].outputs["TaskDefinition"])
        for part in (LIGHT, HEAVY)
        if part in standing and standing[part].works
    }
    targets = releases.together(found)
    if not targets:
        raise Trouble(f"Stage {stage} has no release before this one.", "Deploy an image by its digest: --image …")
    image.require(account.client("ecr"), known["RepositoryUri"], {then.image for then in targets.values()})
    for part, then in targets.items():
        _announce(part, found[part][0], then)
        _one(formation, part, then, standing, asker, dry_run=dry_run)
    if not dry_run:
        if smoke_seconds:
            smoke(account, known, smoke_seconds)
        title(f"Stage {stage} is rolled back.")


def _announce(part: Part, now: Release, then: Release) -> None:
    title(f"Lane {part.lane}: from revision {now.revision} to what revision {then.revision} was")
    for name, value in then.parameters.items():
        if value != now.parameters.get(name):
            tell(f"  {name}: {now.parameters.get(name)} -> {value}")
    if unknown := releases.unknown_settings(now, then):
        warn(
            f"The template gives settings that release did not have: {', '.join(unknown)}. A worker refuses what it "
            "does not know: if tasks end with exit code 2, check out its commit (its image's tag) and deploy that."
        )


def _one(formation: Formation, part: Part, then: Release, standing: Standing, asker: Asker, *, dry_run: bool) -> None:
    found = formation.settled(part)
    assert found
    own = {name: value for name, value in then.parameters.items() if name in found.parameters}
    proposal = formation.propose(
        part,
        stacks.parameters(part, own, {}, {**standing, part: found}) | _placed(found.parameters),
        new=False,
        tags=found.tags,
        template=formation.template(part),
    )
    if proposal is None:
        tell(f"{found.name}: no changes")
        return
    execute(formation, proposal, asker, found, dry_run=dry_run)


def _placed(parameters: "stacks.Given") -> dict[str, str]:
    return {name: parameters[name] for name in ("Stage", "Lane") if name in parameters}

"""`scripts/deploy STAGE`: the bill, each stack's change set, the image, existing buckets, and a smoke test."""

from dataclasses import dataclass
from typing import Any

from scripts.deployment import bill, changes, console, facts, image, listening, stacks
from scripts.deployment.account import Account
from scripts.deployment.console import Asker, tell, title, warn
from scripts.deployment.errors import Trouble, WrongUse
from scripts.deployment.formation import Formation, Proposal
from scripts.deployment.listening import Ear
from scripts.deployment.smoke import Smoke
from scripts.deployment.stacks import EDGE, LIGHT, OPTIONS, STORAGE, Deployed, Given, Part, Standing

BUILD, KEEP = "build", "keep"
_NOT_BUILT = "sha256:" + "0" * 64  # in place of what a dry run does not build


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line says.

    `image` is `build`, `keep` or one by its digest; `smoke_seconds` is 0 for no smoke test.
    """

    stage: str
    given: Given
    image: str = BUILD
    dry_run: bool = False
    smoke_seconds: float = 900


class Deployment:
    """One run."""

    def __init__(self, account: Account, asked: Asked, asker: Asker) -> None:
        self._account, self._asked, self._asker = account, asked, asker
        self._formation = Formation(account.client("cloudformation"), asked.stage, tell=tell)

    def run(self) -> None:
        """From the bill to the smoke test; what is done already is passed over.

        :raises Trouble: where it can't go on; run again, it goes on from there.
        """
        standing = self._formation.standing()
        given = self._with_retained(standing)
        stacks.contradictions(given, standing)
        plan = stacks.plan(given, standing)
        handed = self._first_handed(given, standing)
        _require(plan, given, handed, standing)
        console.bill(bill.idle_month(stacks.resolved(plan, given, handed, standing)), self._profile(given, standing))
        ears = listening.wanted(self._account, self._asked.stage, given, standing, plan)
        changed = self._stacks(plan, given, handed, standing, ears)
        changed = listening.listen(self._account, ears, self._asker, dry_run=self._asked.dry_run) or changed
        if self._asked.dry_run:
            tell("\nNothing was done: this was a dry run.")
        else:
            self._finish(plan, given, changed=changed)

    # ---- before anything is done ----

    def _with_retained(self, standing: Standing) -> Given:
        """The command line, and what an earlier deployment left, which is taken up again."""
        given = self._asked.given
        if STORAGE in standing and standing[STORAGE].works:
            return given
        begun = stacks.begun(standing)
        found = listening.retained(self._account, self._asked.stage)
        if stacks.chosen("Profile", given, standing) != "private" or stacks.KEY in standing:
            found.pop("KeyArn", None)
        found = {name: value for name, value in found.items() if not (given.get(name) or begun.get(name))}
        for name, value in found.items():
            tell(f"{value} is left of an earlier deployment, and is used again ({OPTIONS[name]})")
        return {**given, **found}

    def _first_handed(self, given: Given, standing: Standing) -> dict[str, str]:
        handed = {"Stage": self._asked.stage}
        if self._profile(given, standing) == "private":
            handed["S3PrefixList"] = self._prefix_list()
        return handed

    def _prefix_list(self) -> str:
        """The region's managed prefix list of S3: all that private tasks reach outside of their VPC."""
        name = f"com.amazonaws.{self._account.region}.s3"
        wanted = [{"Name": "prefix-list-name", "Values": [name]}]
        found = self._account.client("ec2").describe_managed_prefix_lists(Filters=wanted)["PrefixLists"]
        if not found:
            raise Trouble(f"{self._account.region} has no prefix list {name}.", "Profile private can't be had there.")
        return str(found[0]["PrefixListId"])

    def _profile(self, given: Given, standing: Standing) -> str:
        return stacks.chosen("Profile", given, standing)

    # ---- stack after stack ----

    def _stacks(
        self, plan: tuple[Part, ...], given: Given, handed: dict[str, str], standing: Standing, ears: list[Ear]
    ) -> bool:
        known, changed = dict(standing), False
        for part in plan:
            if part == LIGHT:
                handed["Image"] = self._image(given, handed, known)
            after, done = self._one(part, given, handed, known, ears)
            changed = changed or done
            if after:
                known[part] = after
                handed |= {f"{part.lane}.{name}" if part.lane else name: one for name, one in after.outputs.items()}
        return changed

    def _one(
        self, part: Part, given: Given, handed: Given, known: dict[Part, Deployed], ears: list[Ear]
    ) -> tuple[Deployed | None, bool]:
        """One stack, brought to what it should be, and whether that took anything."""
        found, dry = self._formation.settled(part), self._asked.dry_run
        if found:
            known[part] = found
        step = changes.step(found.status if found else None)
        parameters = stacks.parameters(part, given, handed, known)
        if step != "update" and dry:
            self._would_make(part, given, handed, known)
            return None, False
        if lacking := stacks.missing(part, parameters):
            return self._unknown(part, lacking, found), False
        tags = self._tags(part, given, known, ears)
        if step == "remake":
            assert found
            self._formation.remove_unmade(part, found)
        proposal = self._formation.propose(part, parameters, new=step != "update", tags=tags)
        if proposal is None:
            tell(f"{part.stack(self._asked.stage)}: no changes")
            return found, False
        return execute(self._formation, proposal, self._asker, found, dry_run=dry), not dry

    def _would_make(self, part: Part, given: Given, handed: Given, known: Standing) -> None:
        [made] = stacks.resolved([part], given, handed, known)
        console.changes(part.stack(self._asked.stage), changes.additions(made), new=True)

    def _unknown(self, part: Part, lacking: list[str], found: Deployed | None) -> Deployed | None:
        if self._asked.dry_run:
            tell(f"{part.stack(self._asked.stage)}: depends on stacks that are not there yet ({', '.join(lacking)})")
            return found
        raise Trouble(
            f"{part.stack(self._asked.stage)} needs {', '.join(lacking)}, which no stack before it gave.",
            "Give it with " + ", ".join(OPTIONS.get(name, f"--set {name}=…") for name in lacking) + ".",
        )

    def _tags(self, part: Part, given: Given, known: Standing, ears: list[Ear]) -> dict[str, str]:
        """Those of a stack stay as they are, or each change of an option would touch every resource."""
        here = known.get(part)
        kept = dict(here.tags) if here and here.works else {}
        if part != STORAGE:
            return kept
        on = listening.turned_on(ears, known)
        return (kept or stacks.tags({**stacks.begun(known), **given})) | stacks.tags({}, eventbridge=on)

    # ---- the image ----

    def _image(self, given: Given, handed: Given, known: Standing) -> str:
        deployed = known[LIGHT].parameters["Image"] if LIGHT in known and known[LIGHT].works else ""
        if self._asked.image == KEEP:
            if not deployed:
                raise WrongUse("--image keep: no image is deployed yet.", "Leave it out, or name one by its digest.")
            return deployed
        if self._asked.image != BUILD:
            return self._asked.image
        wanted = image.Wanted(
            source=image.source(),
            architecture=stacks.chosen("Architecture", given, known) or "X86_64",
            local=_local(given, known),
            version=image.version(),
        )
        if self._asked.dry_run:
            return self._image_of_a_dry_run(wanted, handed, deployed)
        title("The image")
        if not wanted.source.clean:
            warn("The working tree has changes: this image is of no commit.")
        return image.build_and_push(self._account.client("ecr"), handed["RepositoryUri"], wanted, tell=tell)

    def _image_of_a_dry_run(self, wanted: image.Wanted, handed: Given, deployed: str) -> str:
        uri, tag = handed.get("RepositoryUri", ""), wanted.tag("dry-run")
        digest = image.pushed(self._account.client("ecr"), uri.partition("/")[2], tag) if uri else None
        if digest:
            return f"{uri}@{digest}"
        tell(f"image {tag} would be built and pushed")
        return deployed or f"{uri or 'repository'}@{_NOT_BUILT}"

    # ---- afterwards ----

    def _finish(self, plan: tuple[Part, ...], given: Given, *, changed: bool) -> None:
        standing = self._formation.standing()
        known = facts.of(self._asked.stage, standing)
        self._advise(plan, given, standing, known)
        if not changed:
            tell("no changes: everything is as it should be")
            return
        if self._asked.smoke_seconds:
            smoke(self._account, known, self._asked.smoke_seconds)
        title(f"Stage {self._asked.stage} is deployed.")
        tell(f"Uploads go to s3://{known['InputBucket']}/{known.get('InputPrefix', '')}")
        tell(f"Pages fetch from {known['PublicUrl']}")
        if "DashboardUrl" in known:
            tell(f"Dashboard: {known['DashboardUrl']}")

    def _advise(self, plan: tuple[Part, ...], given: Given, standing: Standing, known: Given) -> None:
        """What only a person can do."""
        if EDGE in standing and EDGE not in plan:
            warn(
                f"{EDGE.stack(self._asked.stage)} is not used any more: --public-url took its place. Delete it by hand."
            )
        existing = stacks.chosen("ExistingOutputBucket", given, standing)
        if existing and EDGE in plan and not existing.startswith(f"media-{self._asked.stage}-published-"):
            warn(
                f"The policy of {existing} is yours: let cloudfront.amazonaws.com read {existing}/media/* for "
                f"{known.get('DistributionArn', 'the distribution')} (ecs/storage.yaml, DistributionReadsProducts)."
            )
        if unconfirmed(self._account.client("sns"), known["AlarmsTopicArn"]):
            warn("Nobody gets alarms yet: confirm the subscription in your mail (from AWS Notifications).")


def unconfirmed(sns: Any, topic: str) -> bool:
    """Whether a mail with a link waits for somebody to follow it."""
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
    return any(one["SubscriptionArn"] == "PendingConfirmation" for page in pages for one in page["Subscriptions"])


def execute(
    formation: Formation, proposal: Proposal, asker: Asker, found: Deployed | None, *, dry_run: bool
) -> Deployed | None:
    """Show a change set, ask, and do it; what is not done is withdrawn."""
    console.changes(proposal.stack, proposal.changes, new=proposal.new)
    try:
        if not dry_run:
            asker.agree(f"Deploy {proposal.stack}?")
    except BaseException:
        formation.withdraw(proposal)
        raise
    if dry_run:
        formation.withdraw(proposal)
        return found
    tell(f"{proposal.stack}: deploying")
    done = formation.execute(proposal)
    tell(f"{proposal.stack}: {done.status}")
    return done


def smoke(account: Account, known: Given, seconds: float) -> None:
    """A real picture, there and back."""
    title("Smoke test")
    Smoke(account.client("s3"), known, seconds=seconds, tell=tell).run()


def _local(given: Given, known: Standing) -> bool:
    """Whether the models have to be in the image: it is 580 MB smaller without."""
    moderation = stacks.chosen("ModerationProvider", given, known) or "local"
    return moderation == "local" or (stacks.chosen("CaptionProvider", given, known) or "whisper") == "whisper"


def _require(plan: tuple[Part, ...], given: Given, handed: Given, standing: Standing) -> None:
    """Refuses, before anything is made, what would be missed in the middle.

    :raises WrongUse: naming the option.
    """
    for part in plan:
        known = stacks.parameters(part, given, handed, standing)
        for name in stacks.missing(part, known):
            if name == "AlarmMail":
                raise WrongUse(
                    f"{part.stack(handed['Stage'])} needs a mail address for alarms.", "Give it with --mail."
                )

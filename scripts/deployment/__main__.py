"""`scripts/deploy`: parse, call, print. Exit codes: 0 done, 1 failed, 2 wrong use."""

import sys
from typing import Annotated, Literal, assert_never

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from scripts.deployment import deleting, facts, rolling_back, stacks
from scripts.deployment.account import Account, open_account
from scripts.deployment.console import Asker, err, tell
from scripts.deployment.deploying import BUILD, KEEP, Asked, Deployment
from scripts.deployment.deploying import smoke as run_smoke
from scripts.deployment.errors import Trouble, WrongUse, translated
from scripts.deployment.formation import Formation

_OTHERS = "What a deployment takes"
_Word = str | None

Act = Literal["deploy", "delete", "rollback", "smoke", "env"]


def deploy(
    stage: Annotated[str, typer.Argument(help="Name of the deployment, such as prod: part of every resource's name.")],
    *,
    delete: Annotated[bool, typer.Option("--delete", help="Remove it; buckets and key stay.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Both lanes back to the release before.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Only the smoke test, with a real picture.")] = False,
    env: Annotated[bool, typer.Option("--env", help="Print its settings, for media-worker on this machine.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the bill and the changes, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Delete queues that have messages.")] = False,
    region: Annotated[_Word, typer.Option(help="Else AWS_REGION, or the profile's.")] = None,
    account: Annotated[_Word, typer.Option(help="Refuse any other account than this.")] = None,
    profile: Annotated[_Word, typer.Option(help="small or private (ecs/README.md).", rich_help_panel=_OTHERS)] = None,
    mail: Annotated[_Word, typer.Option(help="Where alarms go.", rich_help_panel=_OTHERS)] = None,
    image: Annotated[str, typer.Option(help="REPO@sha256:…, build or keep.", rich_help_panel=_OTHERS)] = BUILD,
    architecture: Annotated[_Word, typer.Option(help="X86_64 or ARM64.", rich_help_panel=_OTHERS)] = None,
    input_bucket: Annotated[_Word, typer.Option(help="An existing one of uploads.", rich_help_panel=_OTHERS)] = None,
    input_prefix: Annotated[_Word, typer.Option(help="Only uploads below it.", rich_help_panel=_OTHERS)] = None,
    output_bucket: Annotated[_Word, typer.Option(help="An existing one of products.", rich_help_panel=_OTHERS)] = None,
    public_url: Annotated[
        _Word, typer.Option(help="Your distribution: no edge stack.", rich_help_panel=_OTHERS)
    ] = None,
    vpc: Annotated[_Word, typer.Option(help="An existing one.", rich_help_panel=_OTHERS)] = None,
    subnets: Annotated[_Word, typer.Option(help="Two of its subnets: a,b.", rich_help_panel=_OTHERS)] = None,
    key: Annotated[_Word, typer.Option(help="ARN of an existing key.", rich_help_panel=_OTHERS)] = None,
    recipe: Annotated[_Word, typer.Option(help="s3://bucket/key.", rich_help_panel=_OTHERS)] = None,
    moderation: Annotated[_Word, typer.Option(help="local, rekognition or off.", rich_help_panel=_OTHERS)] = None,
    captions: Annotated[_Word, typer.Option(help="whisper, transcribe or off.", rich_help_panel=_OTHERS)] = None,
    max_tasks: Annotated[_Word, typer.Option(help="light=4,heavy=10.", rich_help_panel=_OTHERS)] = None,
    dollars_a_day: Annotated[_Word, typer.Option(help="Beyond it comes a mail.", rich_help_panel=_OTHERS)] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other parameter of ecs/*.yaml, or one lane's: heavy.DiskGiB=60.", rich_help_panel=_OTHERS
        ),
    ] = None,
    smoke_minutes: Annotated[float, typer.Option(help="How long the smoke test waits; 0 for none.", min=0)] = 15,
) -> None:
    """Deploys the stacks of ecs/ as one stage; run again it goes on, and changes only what has changed."""
    options = {
        "Profile": profile,
        "AlarmMail": mail,
        "Architecture": architecture,
        "ExistingInputBucket": input_bucket,
        "InputPrefix": input_prefix,
        "ExistingOutputBucket": output_bucket,
        "PublicUrl": public_url,
        "VpcId": vpc,
        "SubnetIds": subnets,
        "KeyArn": key,
        "Recipe": recipe,
        "ModerationProvider": moderation,
        "CaptionProvider": captions,
        "DollarsADay": dollars_a_day,
    }
    given = {name: value for name, value in options.items() if value is not None}
    given |= most_tasks(max_tasks) | settings(sets or [])
    stacks.check_stage(stage)
    stacks.check(given)
    check_image(image)
    wanted: dict[Act, bool] = {"delete": delete, "rollback": rollback, "smoke": smoke, "env": env}
    acts = [act for act, given_so in wanted.items() if given_so]
    if len(acts) > 1 or (acts and given):
        raise WrongUse(f"--{' and --'.join(acts)}: such an option goes alone.", "Leave out the rest.")
    asked = Asked(stage=stage, given=given, image=image, dry_run=dry_run, smoke_seconds=60 * smoke_minutes)
    try:
        _do(acts[0] if acts else "deploy", open_account(region, account), asked, Asker(yes=yes or dry_run), force=force)
    except KeyboardInterrupt:
        raise Trouble("Stopped.", "What CloudFormation has begun it ends; run the same command to go on.") from None


def _do(act: Act, where: Account, asked: Asked, asker: Asker, *, force: bool) -> None:
    if act == "env":
        _print_environment(where, asked.stage)
        return
    tell(f"account {where.id}, region {where.region}, stage {asked.stage}")
    match act:
        case "delete":
            deleting.delete(where, asked.stage, asker, force=force, dry_run=asked.dry_run)
        case "rollback":
            seconds = asked.smoke_seconds
            rolling_back.roll_back(where, asked.stage, asker, dry_run=asked.dry_run, smoke_seconds=seconds)
        case "smoke":
            run_smoke(where, _known(where, asked.stage), asked.smoke_seconds)
        case "deploy":
            Deployment(where, asked, asker).run()
        case _:
            assert_never(act)


def most_tasks(said: str | None) -> dict[str, str]:
    """`light=4,heavy=10`, as parameters of the lanes.

    :raises WrongUse: when it says something else.
    """
    found = {}
    for one in said.split(",") if said else []:
        lane, equals, number = one.strip().partition("=")
        if lane not in {"light", "heavy"} or not equals:
            raise WrongUse(f"--max-tasks {said}: it has to look like light=4,heavy=10.")
        found[f"{lane}.MaxTasks"] = number
    return found


def settings(said: list[str]) -> dict[str, str]:
    """Each `NAME=VALUE`.

    :raises WrongUse: when it says something else.
    """
    for one in said:
        if "=" not in one:
            raise WrongUse(f"--set {one}: it has to look like NAME=VALUE.")
    return {name: value for name, _, value in (one.partition("=") for one in said)}


def check_image(said: str) -> None:
    """:raises WrongUse: for a tag, which may be moved."""
    if said not in {BUILD, KEEP}:
        stacks.check({"Image": said})


def _print_environment(account: Account, stage: str) -> None:
    for line in facts.lines(facts.environment(account, _known(account, stage))):
        print(line)


def _known(account: Account, stage: str) -> dict[str, str]:
    return facts.of(stage, Formation(account.client("cloudformation"), stage, tell=err.print).standing())


def main() -> None:
    """The script."""
    cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    cli.command()(deploy)
    try:
        cli(prog_name="scripts/deploy")
    except Trouble as trouble:
        _end(trouble)
    except (ClientError, BotoCoreError) as error:
        _end(translated(error))


def _end(trouble: Trouble) -> None:
    err.print(Text(f"deploy: {trouble}"), soft_wrap=True)
    sys.exit(trouble.exit_code)


if __name__ == "__main__":
    main()

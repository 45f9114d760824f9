"""What a stage that stands is: for commands that use it."""

import shlex
from collections.abc import Mapping

from scripts.deployment.account import Account
from scripts.deployment.errors import Trouble
from scripts.deployment.stacks import LIGHT, PARTS, STORAGE, Standing


def of(stage: str, standing: Standing) -> dict[str, str]:
    """Every output, and the light lane's parameters: `InputBucket`, `PublicUrl`, `IntakeUrl` and so on.

    :raises Trouble: where the stage is not whole.
    """
    if any(part not in standing or not standing[part].works for part in (STORAGE, LIGHT)):
        raise Trouble(f"Stage {stage} is not deployed here, or not wholly.", f"scripts/deploy {stage} does that.")
    outputs = {key: value for part in PARTS if part in standing for key, value in standing[part].outputs.items()}
    return outputs | dict(standing[LIGHT].parameters)


def environment(account: Account, known: Mapping[str, str]) -> dict[str, str]:
    """The settings with which `media-worker` on an operator's machine works on this stage and its three queues."""
    told = {
        "AWS_REGION": account.region,
        "MEDIA_STAGE": known["Stage"],
        "MEDIA_QUEUE_URL": known["IntakeUrl"],
        "MEDIA_HEAVY_QUEUE_URL": known["HeavyUrl"],
        "MEDIA_BACKFILL_QUEUE_URL": known["BackfillUrl"],
        "MEDIA_INPUT_BUCKETS": f"{known['InputBucket']}/{known.get('InputPrefix', '')}",
        "MEDIA_OUTPUT_BUCKET": known["OutputBucket"],
        "MEDIA_BUCKET_OWNER": account.id,
        "MEDIA_PUBLIC_URL": known["PublicUrl"],
        "MEDIA_OUTCOME_TARGET": known["OutcomesTopicArn"],
        "MEDIA_RECIPE": known.get("Recipe", ""),
        "MEDIA_REKOGNITION_RATE": known.get("RekognitionRate", ""),
        "MEDIA_TRANSCRIBE_RATE": known.get("TranscribeRate", ""),
    }
    return {name: value for name, value in told.items() if value}


def lines(environment: Mapping[str, str]) -> list[str]:
    """For `env $(…)` and for files that a shell reads."""
    return [f"{name}={shlex.quote(value)}" for name, value in environment.items()]

"""The templates of ecs/ as CloudFormation would see them, all stacks of a profile at once."""

from typing import Any

from scripts.deployment.templates import ACCOUNT, FOLDER, REGION, ROOT, Stack, load, resolve

__all__ = ["ACCOUNT", "FOLDER", "FULL", "KEY", "NAMES", "REGION", "ROOT", "Stack", "load", "resolve", "stacks"]

NAMES = ("key", "storage", "network", "edge", "service", "lane", "scaling", "watch")
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1111"

#: What is switched on, so that every optional part of a template is seen at least once.
FULL = {"ModerationProvider": "rekognition", "CaptionProvider": "transcribe", "Recipe": "s3://recipes/site.toml"}


def stacks(profile: str, **given: Any) -> list[Stack]:
    """All stacks of one profile, the lanes' twice; `given` goes to every template that has the parameter."""
    common = {"Stage": "prod", "Profile": profile, "Image": f"repository@sha256:{'a' * 64}", "LogBucket": "logs"}
    if profile == "private":
        common |= {"KeyArn": KEY, "S3PrefixList": "pl-1"}
    names = [name for name in NAMES if name != "key" or profile == "private"]
    return [
        resolve(name, profile, common | given | lane)
        for name in names
        for lane in ([{"Lane": "light"}, {"Lane": "heavy"}] if name in {"lane", "scaling"} else [{}])
    ]

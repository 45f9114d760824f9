"""What a delivery costs of a job that is published already: counted where its calls arrive."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from scripts.chaos_run.faults import Answer, Call, Fault
from scripts.chaos_run.proxy import proxying
from scripts.resources import Client, Resources
from tests.acceptance.samples import sample
from tests.acceptance.service import Service, running, wait_for
from tests.acceptance.site import Site

AGAIN = 5


@dataclass(kw_only=True)
class Counter:
    """Does nothing to any call, and notes those to S3."""

    calls: list[str] = field(default_factory=list)

    def before(self, call: Call) -> Fault | None:
        """Note it."""
        if "SQS" not in call.operation:
            self.calls.append(call.operation)
        return None

    def after(self, call: Call, answer: Answer) -> Fault | None:
        """Nothing."""
        del call, answer
        return None


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.mark.timeout(120)
def test_a_duplicate_costs_one_get_and_one_head(site: Site, tmp_path: Path) -> None:
    """The page manifest is read and the upload looked at, once each; SQS's calls are not counted."""
    site.upload("picture.jpg", sample(tmp_path, "picture.jpg"))
    counter = Counter()
    with proxying(site.resources.endpoint, counter) as endpoint:
        through = replace(site.resources, endpoint=endpoint)
        with running(through, tmp_path, recipe='moderation.provider = "off"\n') as service:
            site.final("picture.jpg")
            site.empty()
            before = _attempts(service)
            counter.calls.clear()
            for _ in range(AGAIN):
                site.notify("picture.jpg")
            wait_for(lambda: _attempts(service) == before + AGAIN or None, seconds=30, what="the duplicates to end")
    assert sorted(["GET", "HEAD"] * AGAIN) == sorted(counter.calls)


def _attempts(service: Service) -> int:
    return sum(line["key"] == "picture.jpg" for line in service.lines("attempt_ended"))

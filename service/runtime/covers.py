"""Looks at a picture that lies beside a video to be its poster, as strictly as at the video itself."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from service import metrics
from service.core import command, covers
from service.core.outcome import Rejected
from service.core.plan import Named, Vet, group_digest
from service.core.recipe import Rules
from service.core.record import Spent, StepRecord
from service.core.step import Cover
from service.logs import log
from service.runtime.allowance import Account
from service.runtime.desk import Desk
from service.runtime.examine import Examiner
from service.runtime.ledger import Ledger
from service.runtime.moderation import Moderator
from service.runtime.progress import Stopwatch
from service.runtime.reel import NOTHING


@dataclass(frozen=True, kw_only=True)
class Vetting:
    """What an upload goes through: it is examined, then moderated."""

    examiner: Examiner
    moderator: Moderator

    async def vet(self, group: Vet, rules: Rules, desk: Desk, ledger: Ledger, account: Account) -> None:
        """Commit what the picture is and what is seen in it; one that can't be read is noted, and is no failure.

        :raises Unscreened: when nobody could be asked.
        """
        watch = Stopwatch()
        (named,) = group.steps
        try:
            record, spent = await self._looked(named, rules, desk, account)
        except Rejected as error:
            log.warning("poster_refused", because=error.message)
            record, spent = _record(named).model_copy(update={"refused": (error.reason.value,)}), NOTHING
        await ledger.add(group_digest(group), [record], spent, desk.folder)
        metrics.stage_seconds.labels("vet").observe(watch.seconds())
        metrics.cpu_seconds.inc(spent.cpu_seconds)

    async def _looked(self, named: Named, rules: Rules, desk: Desk, account: Account) -> tuple[StepRecord, Spent]:
        """In a folder of its own, whose name nobody could foresee: other uploads have been decoded in the other one."""
        assert isinstance(named.step, Cover)
        folder = Path(tempfile.mkdtemp(dir=desk.folder))
        path = folder / command.SOURCE
        await desk.beside(named.step.key, named.step.etag, path, most=covers.most_bytes(desk.limits))
        picture = covers.still(await self.examiner.examine(folder, path.stat().st_size, desk.limits))
        found = await self.moderator.look(picture, rules, folder, desk.limits, account)
        screening = found.screening if found else None
        record = _record(named).model_copy(update={"picture": picture, "screening": screening})
        return record, found.spent if found else NOTHING


def _record(named: Named) -> StepRecord:
    return StepRecord(digest=named.digest, kind=type(named.step).__name__)

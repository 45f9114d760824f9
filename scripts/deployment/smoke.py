"""A real picture goes the whole way: uploaded, published, fetched as a visitor would, deleted, withdrawn."""

import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from scripts.deployment.errors import Trouble
from service.core.manifest import FINAL, Manifest, Status
from service.core.places import Places, name

_SECONDS_BETWEEN = 2
_FETCH_SECONDS = 20


def picture() -> bytes:
    """A JPEG that no moderation minds."""
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((640, 480)).save(out, "JPEG")
    return out.getvalue()


def where_to_look(stage: str, key: str) -> str:
    """For whoever waits in vain."""
    return (
        f"Look at the log (aws logs tail media-{stage} --since 1h), at the alarms media-{stage}-stalled-light and "
        f"media-{stage}-light-failing, whether the service media-{stage}-light has a running task, and at\n"
        f"env $(scripts/deploy {stage} --env) media-worker show '{key}'"
    )


class Smoke:
    """One test of one stage."""

    def __init__(self, s3: Any, known: Mapping[str, str], *, seconds: float, tell: Callable[[str], None]) -> None:
        self._s3, self._tell, self._seconds = s3, tell, seconds
        self._stage, self._input, self._output = known["Stage"], known["InputBucket"], known["OutputBucket"]
        self._public_url = known["PublicUrl"].rstrip("/")
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        self._key = f"{known.get('InputPrefix', '')}media-worker-smoke-test-{stamp}.jpg"
        self._places = Places(name=name(self._input, self._key, several_buckets=False))

    def run(self) -> None:
        """Through to the end; what was uploaded is deleted, whatever comes.

        :raises Trouble: where it stops, with where to look.
        """
        self._tell(f"smoke test: {self._input}/{self._key}")
        self._s3.put_object(Bucket=self._input, Key=self._key, Body=picture(), ContentType="image/jpeg")
        try:
            manifest, took = self._wait(FINAL - {Status.DELETED}, "published")
            self._tell(f"  {manifest.status} after {took:.1f} s")
            self._look(manifest)
        finally:
            self._s3.delete_object(Bucket=self._input, Key=self._key)
        _, took = self._wait({Status.DELETED}, "withdrawn")
        self._tell(f"  withdrawn {took:.1f} s after it was deleted")

    def _wait(self, wanted: "set[Status] | frozenset[Status]", what: str) -> tuple[Manifest, float]:
        began = time.monotonic()
        while True:
            found = self._manifest()
            took = time.monotonic() - began
            if found and found.status in wanted:
                return found, took
            if took > self._seconds:
                state = f"its manifest says {found.status}" if found else "it has no manifest"
                raise Trouble(
                    f"The picture was not {what} within {self._seconds:.0f} s: {state}.",
                    where_to_look(self._stage, self._key),
                )
            time.sleep(_SECONDS_BETWEEN if took > 20 else 0.5)

    def _manifest(self) -> Manifest | None:
        try:
            body = self._s3.get_object(Bucket=self._output, Key=self._places.manifest)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return Manifest.model_validate_json(body)

    def _look(self, manifest: Manifest) -> None:
        if manifest.status is not Status.READY or not manifest.serving:
            why = f"{manifest.reason.code}, {manifest.reason.message}" if manifest.reason else "without a reason"
            mend = f"It is harmless: look at the recipe's moderation. {where_to_look(self._stage, self._key)}"
            raise Trouble(f"The picture is {manifest.status}: {why}", mend)
        product = manifest.serving.products[0]
        self._tell(f"  {fetched(product.url, product.bytes)}")


def fetched(url: str, size: int) -> str:
    """What a visitor gets.

    :raises Trouble: when the address answers with something else.
    """
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as answer:
            got = len(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        raise Trouble(
            f"{url} answers {error.code}.",
            "The distribution has to read media/* of the output bucket: look at the policies of the bucket (an "
            "existing one's is yours, ecs/README.md) and of its key, and at the distribution's origin.",
        ) from error
    except OSError as error:
        return f"{url} can't be reached from here ({error}); not fetched"
    if got != size:
        raise Trouble(f"{url} has {got} bytes instead of {size}.", "Something between changes files: look at the CDN.")
    return f"{url}: {got} bytes"

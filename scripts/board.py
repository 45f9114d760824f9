"""What became of the demo's uploads, as their bucket tells it."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.page import Upload
from scripts.resources import Client, Resources
from service.core import webvtt
from service.core.manifest import Manifest
from service.core.places import Places, name
from service.core.record import Outcome, Role


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """The captions of an upload: how they begin, how many cues there are, and which model wrote them, if one did."""

    first: str
    cues: int
    model: str | None


class Board:
    """What became of each upload so far."""

    def __init__(self, s3: Client, made: Resources) -> None:
        self._s3, self._made = s3, made
        self.uploads: Sequence[Upload] = ()

    def upload(self, path: Path, key: str) -> None:
        """Puts one file into the bucket, and on the board."""
        self._s3.upload_file(str(path), self._made.uploads, key)
        self.uploads = (*self.uploads, Upload(key=key, manifest_key=self._places(key).manifest))

    def refresh(self) -> Sequence[Upload]:
        """Reads every manifest again."""
        self.uploads = [replace(one, manifest=self._manifest(one.manifest_key)) for one in self.uploads]
        return self.uploads

    def spoken(self, upload: Upload) -> Spoken | None:
        """What the captions say, from the published WebVTT file; the model is in the record, which no page sees."""
        at = self._places(upload.key)
        serving = upload.manifest.serving if upload.manifest else None
        captions = [each for each in serving.products if each.role is Role.CAPTIONS] if serving else []
        files = [each.url for each in captions if each.content_type == "text/vtt"]
        cues = webvtt.parse(self._read(at.key(files[0])) or b"WEBVTT") if files else ()
        if not cues:
            return None
        return Spoken(first=" ".join(cues[0].lines), cues=len(cues), model=self._model(at))

    def _model(self, at: Places) -> str | None:
        listed = self._s3.list_objects_v2(Bucket=self._made.published, Prefix=at.versions).get("Contents", [])
        outcomes = [each for each in listed if each["Key"].endswith("/outcome.json")]
        newest = max(outcomes, key=lambda each: each["LastModified"], default=None)
        outcome = Outcome.model_validate_json(self._read(newest["Key"]) or b"") if newest else None
        return outcome.captions.model if outcome and outcome.captions else None

    def _places(self, key: str) -> Places:
        return Places(name=name(self._made.uploads, key, several_buckets=False))

    def _manifest(self, key: str) -> Manifest | None:
        body = self._read(key)
        return Manifest.model_validate_json(body) if body else None

    def _read(self, key: str) -> bytes | None:
        try:
            with closing(self._s3.get_object(Bucket=self._made.published, Key=key)["Body"]) as body:
                return bytes(body.read())
        except self._s3.exceptions.NoSuchKey:
            return None

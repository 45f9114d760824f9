"""What the product owner wants: limits, image widths, the ladder, per prefix. Read from TOML, refused if unclear."""

import json
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core import taxonomy
from service.core.outcome import Misconfigured

LOWEST_CONFIDENCE = 20.0  #: in percent: providers are asked for no less, so that no rule can speak of less
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$"  #: RFC 5646, section 2.1, without its rare forms

_Language = Annotated[str, Field(pattern=LANGUAGE)]

_SAID = {"extra_forbidden": "there is no such entry", "missing": "is missing", "tuple_type": "has to be a list"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Limits(_Part):
    """What is refused; every number is inclusive."""

    bytes: int = Field(gt=0)
    pixels: int = Field(gt=0, description="width times height of one picture or frame")
    frames: int = Field(gt=0, description="of an animation")
    total_pixels: int = Field(gt=0, description="of an animation: frames times canvas")
    seconds: int = Field(gt=0, le=39_600, description="at most 11 h: a message lives 12 h after its receive")
    streams: int = Field(gt=0, le=1000)
    gap_seconds: float = Field(gt=0, description="longest time without a frame or a sample")


class Quality(_Part):
    """Encoder quality, 1 to 100, by format."""

    webp: int = Field(ge=1, le=100)
    jpeg: int = Field(ge=1, le=95)


class Images(_Part):
    """The responsive set."""

    widths: tuple[int, ...] = Field(min_length=1, strict=False)  # TOML has lists, not tuples
    formats: tuple[Literal["webp", "jpeg"], ...] = Field(min_length=1, strict=False)
    background: str = Field(pattern=r"^#[0-9a-fA-F]{6}$")
    placeholder: bool
    quality: Quality

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.widths) != sorted(set(self.widths)) or self.widths[0] < 1 or self.widths[-1] > 16_383:
            raise ValueError("widths must ascend, from 1 to 16383 (WebP holds no more)")
        if len(set(self.formats)) < len(self.formats):
            raise ValueError("formats must not repeat")
        return self


class Rung(_Part):
    """One step of the ladder: `height` is the short side in pixels, `max_bit_rate` in bits a second."""

    height: int = Field(ge=16, le=4320)
    max_bit_rate: int = Field(ge=50_000)


class Video(_Part):
    """The adaptive ladder and what goes with it."""

    copied: bool = Field(alias="copy", description="a source that complies is its own largest rendition")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower"]
    crf: int = Field(ge=10, le=40)
    gop_seconds: float = Field(ge=0.5, le=4)
    max_frame_rate: int = Field(ge=10, le=120)
    progressive_height: int = Field(ge=16)
    poster_width: int = Field(ge=16, le=16_383)
    storyboard: bool = Field(description="small frames for the seek bar")
    preview: bool = Field(description="three seconds as an animated WebP")
    damaged: Literal["publish", "reject"] = Field(description="a clip of which parts can't be decoded")
    ladder: tuple[Rung, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _descending(self) -> Self:
        heights = [rung.height for rung in self.ladder]
        if heights != sorted(set(heights), reverse=True):
            raise ValueError("ladder must descend in height")
        return self


class Audio(_Part):
    """AAC for every sound track."""

    bit_rate: int = Field(ge=32_000, le=512_000)
    loudness: Annotated[float, Field(ge=-31, le=-5)] | Literal[False] = Field(
        description="LUFS, integrated (EBU R 128), that every sound is brought to; false: it stays as it is"
    )
    true_peak: float = Field(ge=-9, le=0, description="dBTP that no sound is brought above")
    waveform: bool = Field(description="of audio uploads, as JSON and PNG")
    damaged: Literal["publish", "reject"] = Field(description="a sound of which parts can't be decoded")


class Threshold(_Part):
    """From which confidence on, in percent, something waits for a person, or is refused; None: never."""

    review: float | None = Field(default=None, ge=LOWEST_CONFIDENCE, le=100)
    block: float | None = Field(default=None, ge=LOWEST_CONFIDENCE, le=100)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.review is not None and self.block is not None and self.review > self.block:
            raise ValueError("review must not lie above block")
        return self


class Rule(Threshold):
    """What is done about one label, and about those below it that have no rule of their own."""

    label: str = Field(min_length=1, max_length=100)


class Seen(_Part):
    """The rules for what one provider can see."""

    rules: tuple[Rule, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _once(self) -> Self:
        labels = [rule.label for rule in self.rules]
        if repeated := next((label for label in labels if labels.count(label) > 1), None):
            raise ValueError(f'label "{repeated}" has two rules')
        return self


class Moderation(_Part):
    """What may be shown. `off` has to be said."""

    provider: Literal["rekognition", "local", "off"]
    interval_seconds: float = Field(ge=0.2, le=60, description="between the frames of a video that are looked at")
    frames: int = Field(ge=1, le=5000, description="most of one upload; a longer one is looked at less often")
    small: Literal["pad", "skip"] = Field(description="a picture with a side below 80 pixels: no provider takes it")
    patience_seconds: float = Field(
        ge=0, le=3600, description="how long a provider that does not answer is asked again"
    )
    unknown: Threshold = Field(description="what is done about labels that no rule speaks of")
    local: Seen
    rekognition: Seen

    @model_validator(mode="after")
    def _visible(self) -> Self:
        for provider, seen in (("local", self.local), ("rekognition", self.rekognition)):
            for rule in seen.rules:
                if not taxonomy.sees(provider, rule.label):
                    raise ValueError(f'{provider}.rules: "{rule.label}" is nothing that this provider can see')
        return self


class Captions(_Part):
    """What is said in a clip, as text. The language is the upload's own (`x-amz-meta-language`), else this one."""

    provider: Literal["transcribe", "whisper", "off"]
    language: str | None = Field(
        default=None, pattern=LANGUAGE, description="BCP 47, such as en-US; else it is identified"
    )
    languages: tuple[_Language, ...] = Field(default=(), max_length=5, strict=False, description="to choose from")

    @model_validator(mode="after")
    def _several(self) -> Self:
        if len(self.languages) == 1:
            raise ValueError("languages: one is no choice: say language instead")
        return self


class Spend(_Part):
    """Caps in dollars: nothing is bought beyond them. A day is a day in UTC, and counts all that this recipe buys."""

    upload: float = Field(ge=0)
    day: float = Field(ge=0)


class Prices(_Part):
    """Dollars for one unit of each kind."""

    rekognition_image: float = Field(ge=0)
    transcribe_minute: float = Field(ge=0)
    cpu_hour: float = Field(ge=0)


class Rules(_Part):
    """What is made of one upload."""

    limits: Limits
    moderation: Moderation
    images: Images
    video: Video
    audio: Audio
    captions: Captions
    spend: Spend
    prices: Prices

    def digest(self) -> str:
        """Names these rules in outcome records."""
        return sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


class Recipe(_Part):
    """The whole file: what is ignored, the general rules, and those of prefixes (longest match wins)."""

    ignore: tuple[str, ...]
    general: Rules
    prefixes: tuple[tuple[str, Rules], ...]

    def ignores(self, key: str) -> bool:
        """Whether `key` is no upload at all."""
        return any(fnmatchcase(key, pattern) for pattern in self.ignore)

    @property
    def all_rules(self) -> tuple[Rules, ...]:
        """Those that any key may fall under."""
        return (self.general, *(rules for _, rules in self.prefixes))

    def rules(self, key: str) -> Rules:
        """The rules for `key`."""
        matching = [(prefix, rules) for prefix, rules in self.prefixes if key.startswith(prefix)]
        return max(matching, key=lambda match: len(match[0]))[1] if matching else self.general


def read(text: str, *, shipped: str) -> Recipe:
    """Read a recipe; what it leaves out comes from the `shipped` one.

    :raises Misconfigured: naming the entry that is unknown, missing or contradictory.
    """
    document = _merged(_parsed(shipped), _parsed(text))
    ignore, prefixes = document.pop("ignore", ()), document.pop("prefix", [])
    general = _rules(document, where="")
    return Recipe(ignore=_patterns(ignore), general=general, prefixes=_prefixes(prefixes, document))


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"recipe: not valid TOML: {error}") from error


def _patterns(ignore: object) -> tuple[str, ...]:
    if not isinstance(ignore, list | tuple) or not all(isinstance(pattern, str) for pattern in ignore):
        raise Misconfigured("recipe: ignore must be a list of shell patterns")
    return tuple(ignore)


def _prefixes(tables: object, general: Mapping[str, Any]) -> tuple[tuple[str, Rules], ...]:
    found = tuple(_prefix(table, general) for table in (tables if isinstance(tables, list) else [tables]))
    matches = [match for match, _ in found]
    if repeated := next((match for match in matches if matches.count(match) > 1), None):
        raise Misconfigured(f'recipe: prefix "{repeated}": there are two of it')
    return found


def _prefix(table: object, general: Mapping[str, Any]) -> tuple[str, Rules]:
    if not isinstance(table, dict) or not isinstance(table.get("match"), str) or not table["match"]:
        raise Misconfigured('recipe: each [[prefix]] needs match = "some/prefix/"')
    match = table["match"]
    rest = {name: value for name, value in table.items() if name != "match"}
    return match, _rules(_merged(general, rest), where=f'prefix "{match}": ')


def _rules(document: Mapping[str, Any], *, where: str) -> Rules:
    try:
        return Rules.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        entry = ".".join(str(part) for part in first["loc"])
        said = _SAID.get(first["type"], str(first["msg"]).removeprefix("Value error, "))
        raise Misconfigured(f"recipe: {where}{entry}: {said}") from error


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, table by table; lists are replaced whole."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged

"""Rekognition through the real client, against a server that refuses what the real one would."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scripts.resources import REGION
from service.aws import rekognition
from service.aws.rekognition import MAX_BYTES, Rekognition
from service.core.outcome import MediaWorkerError, Misconfigured, Rejected, Throttled, Unavailable
from service.core.recipe import LOWEST_CONFIDENCE
from service.core.record import Label, Look
from service.runtime.tools import Judge, Seen
from tests.strict.server import StrictAws


def client(url: str, *, read_timeout: float = 10) -> AbstractAsyncContextManager[Any]:
    """As the worker has it: one call is one try."""
    retries: Any = {"mode": "standard", "total_max_attempts": 1}
    return get_session().create_client(
        "rekognition",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=AioConfig(connect_timeout=3, read_timeout=read_timeout, retries=retries),
    )


@pytest.fixture
def aws() -> Iterator[StrictAws]:
    """An account; what a correct client never sends is an error of the test."""
    with StrictAws() as account:
        yield account
        assert [] == account.rejected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a red picture in it."""
    Image.new("RGB", (80, 80), (200, 0, 0)).save(tmp_path / "red.jpeg")
    return tmp_path


async def look(aws: StrictAws, folder: Path, file: str = "red.jpeg", *, read_timeout: float = 10) -> Seen:
    """One look with a client of its own."""
    async with client(aws.url, read_timeout=read_timeout) as opened:
        judge: Judge = Rekognition(opened)
        return await judge.look(folder, file)


async def test_labels(aws: StrictAws, folder: Path) -> None:
    """In Rekognition's own words, with the version of its model; asked from the lowest confidence of any rule."""
    violence = {"Name": "Violence", "Confidence": LOWEST_CONFIDENCE}
    weapons = {"Name": "Weapons", "ParentName": "Violence", "Confidence": 97.25, "TaxonomyLevel": 2}
    unlikely = {"Name": "Smoking", "Confidence": LOWEST_CONFIDENCE - 0.5}
    aws.script.labels = {"red": [violence, weapons, unlikely]}
    assert await look(aws, folder) == Seen(
        labels=(
            Label(name="Violence", confidence=LOWEST_CONFIDENCE, level=1),
            Label(name="Weapons", parent="Violence", confidence=97.25, level=2),
        ),
        model="rekognition 7.0",
    )


async def test_nothing_to_be_seen(aws: StrictAws, folder: Path) -> None:
    """A picture without labels."""
    assert Seen(labels=(), model="rekognition 7.0") == await look(aws, folder)


@pytest.mark.parametrize(("version", "level"), [("6.1", None), ("7.0", 1), ("8.2", 1)])
async def test_other_models(aws: StrictAws, folder: Path, version: str, level: int | None) -> None:
    """Names that nobody knows are kept, with levels or without; content types are no labels."""
    aws.script.model = version
    aws.script.labels = {"red": [{"Name": "A label of tomorrow", "Confidence": 50.5}]}
    aws.script.content_types = [{"Name": "Animated", "Confidence": 99.0}]
    seen = await look(aws, folder)
    assert (Label(name="A label of tomorrow", confidence=50.5, level=level),) == seen.labels
    assert f"rekognition {version}" == seen.model


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("ThrottlingException", Throttled),
        ("ProvisionedThroughputExceededException", Throttled),
        ("LimitExceededException", Throttled),
        ("AccessDeniedException", Misconfigured),
        ("UnrecognizedClientException", Misconfigured),
        ("InvalidSignatureException", Misconfigured),
        ("ExpiredTokenException", Misconfigured),
        ("ImageTooLargeException", Unavailable),
        ("InvalidImageFormatException", Unavailable),
        ("InvalidParameterException", Unavailable),
        ("InvalidS3ObjectException", Unavailable),
        ("ResourceNotReadyException", Unavailable),
        ("InternalServerError", Unavailable),
        ("CodeOfTomorrowException", Unavailable),
        ("stall", Unavailable),
        ("cut", Unavailable),
    ],
)
async def test_failures(aws: StrictAws, folder: Path, behaviour: str, expected: type[MediaWorkerError]) -> None:
    """None of them is a picture without labels, and each of them is one call: whoever asks asks again."""
    aws.script.modes = {"DetectModerationLabels": behaviour}
    with pytest.raises(MediaWorkerError) as raised:
        await look(aws, folder, read_timeout=1)
    assert type(raised.value) is expected
    assert {"DetectModerationLabels": 1} == aws.calls


async def test_a_refused_picture(aws: StrictAws, folder: Path) -> None:
    """The error says that it was not judged."""
    aws.script.modes = {"DetectModerationLabels": "ImageTooLargeException"}
    with pytest.raises(Unavailable, match=r"refuses red\.jpeg, so it is not judged"):
        await look(aws, folder)


async def test_nobody_there(folder: Path) -> None:
    """A port that nobody listens at."""
    with StrictAws() as gone:
        pass
    with pytest.raises(Unavailable):
        await look(gone, folder)


async def test_the_largest_picture(aws: StrictAws, folder: Path) -> None:
    """Exactly the limit is sent, as it is."""
    picture = (folder / "red.jpeg").read_bytes()
    (folder / "red.jpeg").write_bytes(picture.ljust(MAX_BYTES, b"\0"))
    await look(aws, folder)
    assert [MAX_BYTES] == [seen["bytes"] for seen in aws.tally.looks]


@pytest.mark.parametrize("size", [0, MAX_BYTES + 1])
async def test_sizes_that_rekognition_does_not_take(aws: StrictAws, tmp_path: Path, size: int) -> None:
    """They are never sent, and no answer."""
    (tmp_path / "red.jpeg").write_bytes(bytes(size))
    with pytest.raises(Unavailable, match="it was not sent"):
        await look(aws, tmp_path)
    assert {} == aws.calls


async def test_a_link_is_no_picture(aws: StrictAws, folder: Path) -> None:
    """A decoder that was taken over could leave one to any file of the worker's."""
    (folder / "link.jpeg").symlink_to(folder / "red.jpeg")
    with pytest.raises(Rejected):
        await look(aws, folder, "link.jpeg")
    assert {} == aws.calls


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """The URL of somebody who says 200 and `body` to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r")[0]))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>a proxy's page</html>",
        b"{}",
        b"[]",
        b'"clean"',
        b'{"ModerationModelVersion": "7.0"}',
        b'{"ModerationLabels": null, "ModerationModelVersion": "7.0"}',
        b'{"ModerationLabels": []}',
        b'{"ModerationLabels": "none", "ModerationModelVersion": "7.0"}',
        b'{"ModerationLabels": 7}',
        b'{"ModerationLabels": [null]}',
        b'{"ModerationLabels": ["Violence"]}',
        b'{"ModerationLabels": [{"Name": "Violence", "Confidence": "much"}]}',
        b'{"ModerationLabels": [{"Name": "Violence", "Confidence": NaN}]}',
        b'{"ModerationLabels": [{"Name": "Violence", "Confidence": -1}]}',
        b'{"ModerationLabels": [' + b"[" * 100_000,
        b'{"ModerationLabels": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        json.dumps({"ModerationLabels": [{"Name": "Violence", "Confidence": 99}] * 1001}).encode(),
    ],
)
async def test_nonsense(folder: Path, body: bytes) -> None:
    """What is no answer is never a picture without labels."""
    async with answering(body) as url, client(url) as opened:
        with pytest.raises(Unavailable):
            await Rekognition(opened).look(folder, "red.jpeg")


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({}, Label(name="unnamed", confidence=100)),
        ({"Name": "Violence"}, Label(name="Violence", confidence=100)),
        ({"Name": "Violence", "Confidence": 100.00000762939453}, Label(name="Violence", confidence=100)),
        ({"Name": "\ud800", "Confidence": 30}, Label(name="?", confidence=30)),
        ({"Name": "long" * 100, "Confidence": 30}, Label(name="long" * 50, confidence=30)),
    ],
)
async def test_labels_that_lack_something(folder: Path, label: dict[str, Any], expected: Label) -> None:
    """What is not said counts as certain; whatever is kept can be written down."""
    body = json.dumps({"ModerationLabels": [label]}).encode()
    async with answering(body) as url, client(url) as opened:
        seen = await Rekognition(opened).look(folder, "red.jpeg")
    assert Seen(labels=(expected,), model="rekognition of an unknown version") == seen


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(
    answer=st.dictionaries(st.sampled_from(["ModerationLabels", "ModerationModelVersion"]), ANYTHING)
    | st.fixed_dictionaries(
        {
            "ModerationLabels": st.lists(
                st.dictionaries(st.sampled_from(["Name", "ParentName", "Confidence", "TaxonomyLevel"]), ANYTHING),
                max_size=3,
            )
        }
    )
)
def test_whatever_is_answered(answer: dict[str, Any]) -> None:
    """It is labels that can be written down and compared with thresholds, or no answer."""
    try:
        seen = rekognition._seen(answer)
    except Unavailable:
        return
    assert answer["ModerationLabels"] or answer["ModerationModelVersion"]
    assert len(answer["ModerationLabels"]) == len(seen.labels)
    assert all(0 <= label.confidence <= 100 for label in seen.labels)
    assert Look.model_validate_json(Look(at=0, labels=seen.labels).to_json()).labels == seen.labels

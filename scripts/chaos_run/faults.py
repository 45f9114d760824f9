"""What can go wrong with one call to AWS: values, and who chooses them."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request; `body` is b"" as long as nobody has read it."""

    method: str
    path: str
    headers: Mapping[str, str]  #: names in small letters
    body: bytes = b""

    @property
    def operation(self) -> str:
        """`SQS.ReceiveMessage`, `PUT`, `GET`, `GET list-type`, …: a service's target, or the method and the query."""
        if target := self.headers.get("x-amz-target"):
            return target.removeprefix("Amazon")
        asked = sorted(set(parse_qs(urlsplit(self.path).query, keep_blank_values=True)) - {"x-id", "versionId"})
        copied = ["copy"] if "x-amz-copy-source" in self.headers else []
        return " ".join([self.method, *copied, *asked[:1]])

    @property
    def gets_an_object(self) -> bool:
        """Whether the answer's body is an object's: S3 keeps a checksum of those, and of nothing else that it says."""
        return self.operation == "GET"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The answer comes later."""

    seconds: float = 0.4


@dataclass(frozen=True, kw_only=True)
class ResetAsking:
    """The connection is reset at this share of the request's body; the service never hears of it."""

    at: float


@dataclass(frozen=True, kw_only=True)
class ResetAnswering:
    """The connection is reset at this share of the answer, whose effect is there; 0: before its first byte."""

    at: float


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An error in the place of the answer; `had_effect` when the service has done it nevertheless."""

    status: int
    code: str
    had_effect: bool = False


@dataclass(frozen=True, kw_only=True)
class Truncated:
    """The connection is closed in the middle of the answer's body, in an orderly way."""


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """One bit of the answer's body is another one."""


@dataclass(frozen=True, kw_only=True)
class Stalled:
    """No answer, and no end; what was asked for is done."""


Fault = Latency | ResetAsking | ResetAnswering | Refused | Truncated | Flipped | Stalled

FAULTS: dict[str, Fault] = {
    "latency": Latency(),
    "reset before it was asked": ResetAsking(at=0),
    "reset while asking": ResetAsking(at=0.5),
    "reset instead of an answer": ResetAnswering(at=0),
    "reset while answering": ResetAnswering(at=0.7),
    "503": Refused(status=503, code="SlowDown"),
    "500": Refused(status=500, code="InternalError"),
    "500 of what was done": Refused(status=500, code="InternalError", had_effect=True),
    "429": Refused(status=429, code="TooManyRequests"),
    "truncated": Truncated(),
    "flipped": Flipped(),
    "stalled": Stalled(),
}


def fits(fault: Fault, call: Call) -> bool:
    """Whether the fault can befall such a call.

    A flipped byte only where a checksum is kept end to end: elsewhere TLS makes it a reset, a fault of its own.
    """
    match fault:
        case Flipped():
            return call.gets_an_object
        case Truncated():
            return call.method != "HEAD"
        case ResetAsking(at=at):
            return not at or call.headers.get("content-length", "0") != "0" or "transfer-encoding" in call.headers
    return True


class Judge(Protocol):
    """Chooses what befalls a call."""

    def before(self, call: Call) -> Fault | None:
        """Asked when the head of a request is there, and of a POST the body too."""

    def after(self, call: Call, answer: Answer) -> Fault | None:
        """Asked when the service has answered a call that nothing befell before."""


class Fair:
    """Nothing befalls anybody."""

    def before(self, call: Call) -> Fault | None:
        """Nothing."""
        del call
        return None

    def after(self, call: Call, answer: Answer) -> Fault | None:
        """Nothing."""
        del call, answer
        return None


@dataclass(kw_only=True)
class Now:
    """One call of `one_in`, by chance; what befell whom is counted."""

    random: Random
    one_in: int
    count: dict[str, int] = field(default_factory=dict)

    def before(self, call: Call) -> Fault | None:
        """Any fault that fits, now and then."""
        if self.random.randrange(self.one_in):
            return None
        name, fault = self.random.choice([(name, one) for name, one in FAULTS.items() if fits(one, call)])
        self.count[name] = self.count.get(name, 0) + 1
        return fault

    def after(self, call: Call, answer: Answer) -> Fault | None:
        """Nothing more."""
        del call, answer
        return None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault, for the call with this signature of one job."""

    signature: str
    fault: Fault


@dataclass(kw_only=True)
class Docket:
    """Knows which job a call is for, by a token in the job's key, and lets one fault befall one call of each.

    A receipt says nothing of its message's key: what was received with which is remembered. `sign` makes a call of one
    job comparable with the same call of another.
    """

    token: Callable[[str], str | None]  #: of a text that names a key
    sign: Callable[[str, str], str]  #: of an operation and what it names
    trials: dict[str, Trial] = field(default_factory=dict)  #: by token
    calls: dict[str, dict[str, Call]] = field(default_factory=dict)  #: by token, and by signature, in their order
    befallen: set[str] = field(default_factory=set)  #: tokens
    errors: set[tuple[str, str]] = field(default_factory=set)  #: tokens and signatures whose answer was an error
    _receipts: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, call: Call) -> Fault | None:
        """The fault that is meant for this very call."""
        with self._lock:
            token = self._of(call)
            if token is None:
                return None
            return self._next(token, self._signature(call), call)

    def after(self, call: Call, answer: Answer) -> Fault | None:
        """Messages: whose they are is only seen now, and the fault befalls all that come together."""
        if answer.status >= 400:
            self._note_error(call)
        if not call.operation.endswith("ReceiveMessage"):
            return None
        with self._lock:
            messages = json.loads(answer.body).get("Messages", []) if answer.status == 200 else []
            found = [self._received(one, call) for one in messages]
            return next((fault for fault in found if fault), None)

    def _note_error(self, call: Call) -> None:
        with self._lock:
            token = self._of(call)
            same = [name for name, one in self.calls.get(token or "", {}).items() if one is call]
            self.errors |= {(token or "", name) for name in same}

    def _received(self, message: Mapping[str, str], call: Call) -> Fault | None:
        token = self.token(message["Body"])
        if token is None:
            return None
        self._receipts[message["ReceiptHandle"]] = token
        return self._next(token, call.operation, call)

    def _of(self, call: Call) -> str | None:
        if "x-amz-target" not in call.headers:
            return self.token(call.path) or self.token(call.body.decode())
        receipt = json.loads(call.body).get("ReceiptHandle")
        return self._receipts.get(receipt) if receipt else self.token(call.body.decode())

    def _signature(self, call: Call) -> str:
        named = "" if "x-amz-target" in call.headers else call.path
        return self.sign(call.operation, named)

    def _next(self, token: str, signature: str, call: Call) -> Fault | None:
        """The n-th call of one signature has a signature of its own."""
        seen = self.calls.setdefault(token, {})
        times = sum(1 for one in seen if one.rpartition(" #")[0] == signature)
        numbered = f"{signature} #{times + 1}"
        seen[numbered] = call
        trial = self.trials.get(token)
        if trial is None or trial.signature != numbered:
            return None
        self.befallen.add(token)
        return trial.fault

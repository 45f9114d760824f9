"""Models that say what a test wants, or misbehave, in the place of the real ones."""

import json
import os
import signal
import time

from tests.tools.stubs.surroundings import describe


def score(request: dict) -> dict:
    """The file's name says what becomes of it."""
    match request["file"]:
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "nothing":
            os._exit(0)
        case "error":
            raise ZeroDivisionError("nobody foresaw this")
        case "empty":
            return {}
    return {"explicit": json.loads(request["file"])}


def listen(request: dict):
    """The sound, or else the request, says what to answer: the parts, or one word for a misdeed."""
    if request.get("broken"):
        raise FileNotFoundError("no model here")

    def serve(request: dict, sounds):
        wanted = json.loads(os.pread(sounds[0], 1_000_000, 0)) if sounds else request["answer"]
        yield from MISDEEDS[wanted]() if isinstance(wanted, str) else wanted

    return serve


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)
    return []


def error():
    raise ZeroDivisionError("nobody foresaw this")


def hang():
    os.write(1, b"libfoo: warning\n")
    time.sleep(60)
    return []


def spin():
    while True:
        pass


def eat():
    held = bytearray(b"x") * 400_000_000
    time.sleep(60 + len(held))
    return []


def flood():
    while True:
        yield {"x": "y" * 1000}


def pid():
    return [{"pid": os.getpid()}]


def surroundings():
    return [describe()]


MISDEEDS = {
    "surroundings": surroundings,
    "crash": crash,
    "error": error,
    "hang": hang,
    "spin": spin,
    "eat": eat,
    "flood": flood,
    "pid": pid,
}

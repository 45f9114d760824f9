"""Functions that a zygote serves in these tests, in the place of the codecs."""

import os
import time
from pathlib import Path

from service.core.outcome import Reason, Rejected
from tests.tools.stubs.surroundings import describe


def echo(request: dict) -> dict:
    return request


def surroundings(_: dict) -> dict:
    return describe()


def reject(_: dict) -> dict:
    raise Rejected(Reason.ENCRYPTED, "this file is encrypted")


def fail(_: dict) -> dict:
    raise ZeroDivisionError("nobody foresaw this")


def exit_early(_: dict) -> dict:
    os._exit(0)


def print_and_echo(request: dict) -> dict:
    os.write(1, b"libfoo: warning\n")
    return request


def die(request: dict) -> dict:
    os.kill(os.getpid(), request["signal"])
    return {}


def write_file(request: dict) -> dict:
    Path("big").write_bytes(bytes(request["bytes"]))
    return {}


def hang(_: dict) -> dict:
    Path("pid").write_text(str(os.getpid()))
    time.sleep(60)
    return {}

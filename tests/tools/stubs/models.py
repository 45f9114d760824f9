"""Models that say what a test wants, or misbehave, in the place of the real ones."""

import json
import os
import signal
import time


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
    """The sound is JSON: the parts of the answer, or one word for a misdeed."""
    if request.get("broken"):
        raise FileNotFoundError("no model here")

    def serve(request: dict, sounds):
        wanted = json.loads(os.pread(sounds[0], 1_000_000, 0)) if sounds else request["answer"]
        match wanted:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "error":
                raise ZeroDivisionError("nobody foresaw this")
            case "hang":
                os.write(1, b"libfoo: warning\n")
                time.sleep(60)
            case "spin":
                while True:
                    pass
            case "eat":
                held = bytearray(os.urandom(1)) * 400_000_000
                time.sleep(60 + len(held))
            case "flood":
                while True:
                    yield {"x": "y" * 1000}
            case "pid":
                yield {"pid": os.getpid()}
            case _:
                yield from wanted

    return serve

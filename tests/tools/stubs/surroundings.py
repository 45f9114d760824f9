"""What a process can see of itself: a program that prints it, and a function that a stub decoder returns."""

import json
import os
import resource
from contextlib import suppress
from pathlib import Path


def describe() -> dict:
    """Everything, in one object."""
    limits = ("CPU", "FSIZE", "NOFILE", "CORE", "AS")
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "environment": dict(os.environ),
        "cwd": str(Path.cwd()),
        "descriptors": descriptors(),
        "limits": {name: list(resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))) for name in limits},
        "umask": os.umask(0),
        "leads its session": os.getsid(0) == os.getpid(),
        "parent": os.getppid(),
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
        "no_new_privs": status["NoNewPrivs"],
        "capabilities": int(status["CapPrm"], 16) | int(status["CapEff"], 16),
        "blocked signals": int(status["SigBlk"], 16),
    }


def descriptors() -> dict:
    """What each open descriptor is, without the one that reads the list."""
    targets = {}
    for fd in list(Path("/proc/self/fd").iterdir()):
        with suppress(FileNotFoundError):
            targets[fd.name] = str(fd.readlink()).split(":")[0]
    return targets


if __name__ == "__main__":
    print(json.dumps(describe()))

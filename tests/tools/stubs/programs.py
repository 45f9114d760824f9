"""Programs that behave as badly as a decoder can: `python -I programs.py NAME`."""

import os
import signal
import sys
import time
from pathlib import Path

MEGABYTE = 1_000_000


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    time.sleep(60)


def flood_errors() -> None:
    for _ in range(300):
        os.write(2, b"error while decoding\n" * 5000)


def leave_one_behind() -> None:
    """In the same session; it holds both pipes."""
    if os.fork() == 0:
        time.sleep(60)
    print("done", flush=True)


def leave_a_daemon_behind() -> None:
    """In a session of its own; it holds both pipes. It is there before it is an orphan, which are killed at sight."""
    if os.fork() == 0:
        os.setsid()
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, b"!")
            time.sleep(60)
        os.read(reader, 1)
        os._exit(0)
    os.wait()


def leave_thirty_behind() -> None:
    for _ in range(30):
        if os.fork() == 0:
            os.setpgid(0, 0)
            time.sleep(60)


def eat_memory() -> None:
    hoard = []
    while True:
        hoard.append(b"x" * (10 * MEGABYTE))
        print(len(hoard) * 10, flush=True)
        time.sleep(0.005)


def eat_memory_in_a_child() -> None:
    if os.fork() == 0:
        os.setsid()
        eat_memory()
    os.wait()


def spin() -> None:
    while True:
        pass


def spin_in_a_child() -> None:
    if os.fork() == 0:
        os.setsid()
        spin()
    os.wait()


def stall() -> None:
    print("progress", flush=True)
    time.sleep(60)


def write_too_much() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # which Python ignores, and no other program does
    with Path("big").open("wb") as file:
        file.writelines(bytes(MEGABYTE) for _ in range(100))


def print_without_end() -> None:
    while True:
        print("y" * 1000)


def print_without_newline() -> None:
    while True:
        print("y" * 1000, end="")


def count() -> None:
    for number in range(1000):
        print(number)
    print("no newline at the end", end="")


if __name__ == "__main__":
    globals()[sys.argv[1]]()

"""A decoder that somebody else has taken over: attacks by name, as functions of a child and as a program.

    python -I hostile.py ATTACK ARGUMENT...

Each says what it got: `refused` with the error's name, or `done`.
"""

import contextlib
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

HEAD = 24  # bytes of the box that says that it is one

libc = ctypes.CDLL(None, use_errno=True)


def connect(port: int) -> None:
    with socket.socket(socket.AF_INET) as canary:
        canary.connect(("127.0.0.1", port))
        canary.sendall(b"here I am")


def ask_a_name_server() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"?", ("127.0.0.1", 53))


def talk_to_the_kernel() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)


def pair_sockets() -> None:
    socket.socketpair()


def read(path: str) -> None:
    assert Path(path).read_bytes()[:1]


def read_its_parents_environment() -> None:
    read(f"/proc/{os.getppid()}/environ")


def read_its_parents_memory() -> None:
    os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY))


def list_its_parents_files() -> None:
    os.listdir(f"/proc/{os.getppid()}/fd")  # noqa: PTH208 - one call


def write(path: str) -> None:
    Path(path).write_text("I was here")


def rename_out(path: str) -> None:
    Path("mine").write_text("I was here")
    Path("mine").rename(path)


def link_to(path: str) -> None:
    Path("in").symlink_to(path)


def link_hard_to(path: str) -> None:
    Path("in").hardlink_to(path)


def make_a_pipe() -> None:
    os.mkfifo("pipe")


def fork() -> None:
    for _ in range(100):  # without end, but for a test that fails
        if os.fork() == 0:
            os._exit(0)


def spawn() -> None:
    os.posix_spawn("/bin/true", ["true"], {})


def make_a_namespace() -> None:
    _call(libc.unshare(0x1000_0000))  # CLONE_NEWUSER


def become_a_shell() -> None:
    os.execv("/bin/sh", ["sh", "-c", "echo done"])


def become_a_shell_by_descriptor() -> None:
    os.execve(os.open("/bin/sh", os.O_RDONLY), ["sh", "-c", "echo done"], {})


def become_a_shell_as_it_was_started() -> None:
    os.dup2(os.open("/bin/sh", os.O_RDONLY), 256)
    os.execve(256, ["sh", "-c", "echo done"], {})


def trace_its_parent() -> None:
    _call(libc.ptrace(0x4206, os.getppid(), 0, 0))  # PTRACE_SEIZE


def signal_its_parent() -> None:
    os.kill(os.getppid(), signal.SIGCONT)  # harmless, should it arrive


def signal_its_group() -> None:
    os.killpg(os.getpgid(os.getppid()), 0)


def hold_its_parent() -> None:
    os.close(os.pidfd_open(os.getppid()))


def be_dumpable() -> None:
    _call(libc.prctl(4, 1, 0, 0, 0))


def outlive_its_parent() -> None:
    _call(libc.prctl(1, 0, 0, 0, 0))  # PR_SET_PDEATHSIG


def leave_its_session() -> None:
    os.setpgid(0, 0)


def lift_its_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU))


def limit_its_parent() -> None:
    resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))


def pin_its_parent() -> None:
    os.sched_setaffinity(os.getppid(), [0])


def be_the_last_to_go() -> None:
    Path("/proc/self/oom_score_adj").write_text("-1000")


def call_each(numbers: dict[str, int]) -> None:
    """Call each without arguments; raises with the first that is not refused by the filter."""
    for name, number in numbers.items():
        if libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
            raise AssertionError(f"{name} gave {ctypes.get_errno()}")
    raise PermissionError(errno.EPERM, "all")


def call_what_is_not_there() -> None:
    _call(libc.syscall(ctypes.c_long(4000), 0))


def call_as_another_machine() -> None:
    """getpid by the table of 32-bit programs: mov eax, 20; int 0x80; ret."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("b814000000cd80c3"))
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()


def kill_its_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def eat_memory() -> None:
    hoard = []
    while True:
        hoard.append(b"x" * 10_000_000)
        time.sleep(0.005)


def send_what_it_finds(port: int) -> None:
    """The environment of whatever process it can look into."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found = (folder / "environ").read_bytes()
            with socket.create_connection(("127.0.0.1", port)) as canary:
                canary.sendall(found)
    raise PermissionError(errno.EACCES, "nothing")


def abort() -> None:
    os.abort()


def use_threads() -> None:
    """No attack: what every codec does."""
    threads = [threading.Thread(target=sum, args=(range(1000),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def work_in_its_folder() -> None:
    """No attack: write, read, rename, delete."""
    Path("one").write_text("1")
    Path("one").rename("two")
    assert Path("two").read_text() == "1"
    Path("two").unlink()


def attempt(request: dict) -> dict:
    """What came of an attack."""
    try:
        globals()[request["attack"]](*request["arguments"])
    except OSError as error:
        return {"got": f"refused: {errno.errorcode[error.errno or 0]}"}
    return {"got": "done"}


def _call(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def decode() -> None:
    """In the place of ffmpeg and ffprobe: the upload says what to try, behind the first bytes of an MP4."""
    if "-version" in sys.argv:
        print("ffmpeg version 0-hostile")
        return
    print(attempt(json.loads(Path("in").read_bytes()[HEAD:])), file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__" and Path(sys.argv[0]).name != "hostile.py":
    decode()
elif __name__ == "__main__":
    print(json.dumps(attempt({"attack": sys.argv[1], "arguments": json.loads(sys.argv[2])})))

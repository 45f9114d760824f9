"""Seccomp filters: compiled by libseccomp, which knows each architecture's system calls by name, installed without it.

Compiling one takes milliseconds and is done once; installing it takes microseconds and is done by each child.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

LIBRARY: Final = "libseccomp.so.2"
OWN_PID: Final = 0x5EC0_0001  # stands for the pid of whoever installs the filter: above all pids (2**22)
EVERY_BIT: Final = 2**64 - 1

# seccomp.h of libseccomp 2.5
ALLOW: Final = 0x7FFF_0000
KILL_PROCESS: Final = 0x8000_0000
ERRNO: Final = 0x0005_0000
ON_OTHER_ARCHITECTURES, DO_NOT_SET_NO_NEW_PRIVS, OPTIMIZE = 2, 3, 8
BINARY_TREE: Final = 2
MASKED_EQUAL: Final = 7
UNKNOWN: Final = -1
MACHINES: Final = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

# linux/seccomp.h. Without the flag kernels before 5.16 switch off speculative stores, which costs a decoder up to a
# tenth of its speed and protects it from itself alone.
SET_MODE_FILTER: Final = 1
SPEC_ALLOW: Final = 4
INSTRUCTION: Final = 8  # bytes of a struct sock_filter


class Match(NamedTuple):
    """An argument of a call, counted from 0, that is `value` in the bits of `mask`."""

    argument: int
    value: int
    mask: int = EVERY_BIT


class Rule(NamedTuple):
    """A call by its name, and what all has to be true of its arguments."""

    call: str
    when: tuple[Match, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A compiled filter: `code` as the kernel takes it, and how many `calls` it lets pass, some by their arguments.

    `unknown` are names that this libseccomp does not know: they are refused, like everything that is not allowed.
    """

    code: bytes
    calls: int
    unknown: tuple[str, ...]

    def install(self) -> None:
        """Hold this process, and all that it starts, for good. It needs no_new_privs, and has to have one thread.

        :raises OSError: when the kernel has no such filters, or has forbidden them.
        """
        code = self.code.replace(_operand(OWN_PID), _operand(os.getpid()))
        program = _Program(length=len(code) // INSTRUCTION, code=code)
        number, flags = _library().seccomp_syscall_resolve_name(b"seccomp"), ctypes.c_ulong(SPEC_ALLOW)
        if _libc.syscall(ctypes.c_long(number), ctypes.c_ulong(SET_MODE_FILTER), flags, ctypes.byref(program)) != 0:
            raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def compiled(allowed: Iterable[Rule], refused: Iterable[Rule], *, machine: str | None = None) -> Filter:
    """The filter that allows calls, answers EPERM to `refused` ones and ENOSYS to all others.

    ENOSYS is what an older kernel says: for what is newer than the list, libraries have another way then. A call by the
    table of another architecture kills. Of several rules about one call any will do. `machine` is one of `MACHINES`.
    :raises OSError: when there is no libseccomp, or an old one.
    """
    known: set[str] = set()
    unknown: list[str] = []
    with _context(machine) as context:
        for action, rules in ((ALLOW, allowed), (ERRNO | errno.EPERM, refused)):
            for rule in rules:
                if not _add(context, action, rule, machine):
                    unknown.append(rule.call)
                elif action == ALLOW:
                    known.add(rule.call)
        return Filter(code=_exported(context), calls=len(known), unknown=tuple(dict.fromkeys(unknown)))


def version() -> str:
    """That of libseccomp, such as `2.5.4`.

    :raises OSError: when it is not there.
    """
    found = _library().seccomp_version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


class _Version(ctypes.Structure):
    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _operand(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_release.argtypes = [ctypes.c_void_p]
    library.seccomp_release.restype = None
    library.seccomp_version.restype = ctypes.POINTER(_Version)
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_arch_add.argtypes = library.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    ]
    library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return library


@contextmanager
def _context(machine: str | None) -> Iterator[int]:
    library = _library()
    context = library.seccomp_init(ERRNO | errno.ENOSYS)
    if not context:
        raise OSError(errno.ENOMEM, "libseccomp can't make a filter")
    try:
        if _token(machine) != library.seccomp_arch_native():
            _check(library.seccomp_arch_add(context, _token(machine)))
            _check(library.seccomp_arch_remove(context, library.seccomp_arch_native()))
        for attribute, value in (
            (ON_OTHER_ARCHITECTURES, KILL_PROCESS),
            (DO_NOT_SET_NO_NEW_PRIVS, 0),
            (OPTIMIZE, BINARY_TREE),
        ):
            _check(library.seccomp_attr_set(context, attribute, value))
        yield context
    finally:
        library.seccomp_release(context)


def _add(context: int, action: int, rule: Rule, machine: str | None) -> bool:
    """Add a rule; false if libseccomp does not know the call. One that the architecture has not is left out."""
    library, name = _library(), rule.call.encode()
    number = library.seccomp_syscall_resolve_name(name)  # rules are given in this machine's numbers, and translated
    if library.seccomp_syscall_resolve_name_arch(_token(machine), name) >= 0:
        comparisons = (_Comparison * len(rule.when))(
            *(_Comparison(one.argument, MASKED_EQUAL, one.mask, one.value) for one in rule.when)
        )
        _check(library.seccomp_rule_add_array(context, action, number, len(rule.when), comparisons))
    return bool(number != UNKNOWN)


def _token(machine: str | None) -> int:
    return MACHINES[machine] if machine else int(_library().seccomp_arch_native())


def _exported(context: int) -> bytes:
    reader, writer = os.pipe()
    with closing(os.fdopen(reader, "rb")) as file:
        try:
            _check(
                _library().seccomp_export_bpf(context, writer)
            )  # 4096 instructions at most: half of what a pipe holds
        finally:
            os.close(writer)
        return file.read()


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, f"libseccomp: {os.strerror(-result)}")

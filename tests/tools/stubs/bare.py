"""The codecs, and a hostile one, on a machine that has neither libseccomp nor Landlock."""

from service.tools import landlock, seccomp
from service.tools.pictures import frames, inspect, read_captions, render
from tests.tools.stubs.hostile import attempt

__all__ = ["attempt", "frames", "inspect", "read_captions", "render"]

seccomp.LIBRARY = "libseccomp-is-not-here.so"
landlock.abi = lambda: 0

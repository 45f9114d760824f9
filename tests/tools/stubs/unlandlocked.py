"""The hostile decoder, on a machine whose kernel has no Landlock."""

from service.tools import landlock
from tests.tools.stubs.hostile import attempt

__all__ = ["attempt"]

landlock.abi = lambda: 0

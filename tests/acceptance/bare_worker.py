"""`media-worker` on a machine that has nothing to cut decoders off with."""

from typing import Any

from service import app, cli
from service.commands import doctor
from service.tools.sandbox import Sandbox


def _bare(functions: str = "tests.tools.stubs.bare", **given: Any) -> Sandbox:
    return Sandbox(functions, **given)


if __name__ == "__main__":
    vars(app)["Sandbox"] = vars(doctor)["Sandbox"] = _bare
    cli.main()

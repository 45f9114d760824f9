"""A worker with two children that would go on for a minute; it prints all pids and waits to be killed."""

import asyncio
import os
import sys
from pathlib import Path

from service.tools.sandbox import Limits, Sandbox

LIMITS = Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=10**9, file_bytes=10**6)


async def main(scratch: Path) -> None:
    async with Sandbox("tests.tools.stubs.decoders") as sandbox, asyncio.TaskGroup() as group:
        group.create_task(sandbox.call("hang", {}, cwd=scratch, limits=LIMITS))
        pid = scratch / "pid"
        while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 - a file tells nobody that it is there
            await asyncio.sleep(0.005)
        others = f"{os.getpid()} {sandbox._launcher.pid} {pid.read_text()}"
        program = [sys.executable, "-I", str(Path(__file__).with_name("programs.py")), "ignore_sigterm"]
        await sandbox.run(program, cwd=scratch, limits=LIMITS, on_line=lambda line: print(others, line, flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""`media-worker` whose minutes last half a second, and which looks each second who is paused; else as shipped."""

from functools import partial

from service import cli
from service.runtime import pauses
from service.web import emf

if __name__ == "__main__":
    vars(emf)["emitting"] = partial(emf.emitting, every=0.5)
    vars(pauses)["_LOOK_EACH"] = 1.0
    cli.main()

"""`media-worker` whose minutes last half a second; all else of it is as shipped."""

from functools import partial

from service import cli
from service.web import emf

if __name__ == "__main__":
    vars(emf)["emitting"] = partial(emf.emitting, every=0.5)
    cli.main()

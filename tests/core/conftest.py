"""How Hypothesis runs here: no deadline for one example, since a busy machine is no failure."""

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")

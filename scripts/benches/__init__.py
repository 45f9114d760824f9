"""The service measured beside what others use for the same, in one run on one machine."""

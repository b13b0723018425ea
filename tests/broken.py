"""A module that cannot be imported, as those of plug-ins may be."""

THING = 1 / 0

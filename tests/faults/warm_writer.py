"""Imported by the server that the writers are forked from, so that they write at once."""

from killed_writer import warm_up

warm_up()

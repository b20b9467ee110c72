"""Imported by the server that the tests' processes are forked from, so that they start at once."""

from children import warm_up

warm_up()

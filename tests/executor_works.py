"""Functions that other processes import."""

import os


def fails():
    raise LookupError("in the executor")


def dies():
    os._exit(1)

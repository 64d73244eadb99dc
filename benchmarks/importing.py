"""Importing: the first import in a process that has just started."""

import subprocess
import sys

from work import Work

IMPORT = Work("import", 1)
SCRIPT = """\
from time import perf_counter
start = perf_counter()
import {}
print(perf_counter() - start)
"""


def seconds(module):
    command = [sys.executable, "-P", "-c", SCRIPT.format(module)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


@IMPORT.by("aioutils", "aioutils")
def aioutils_import(n):
    return seconds("aioutils")


@IMPORT.by("asyncio")
def asyncio_import(n):
    return seconds("asyncio")

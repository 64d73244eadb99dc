"""How the pages of the documentation are read: their blocks, and what these must print.

In a page, every block marked `python` runs, in order and in one namespace. A block after the
comment `<!-- output -->` is what the Python block before it must print; `...` stands for anything.
"""

import doctest
import re

import pytest

FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>[\w-]*)")
OUTPUT = "<!-- output -->"


def blocks(text):
    """Each fenced block as (language, first line, source); a marked one's language is `output`."""
    lines, marked = enumerate(text.splitlines(), 1), False
    for number, line in lines:
        fence = FENCE.match(line)
        if not fence:
            assert not (marked and line.strip()), f"line {number}: {OUTPUT} comes before a block"
            marked = marked or line.strip() == OUTPUT
            continue
        indent, body = len(fence["indent"]), []
        for _, line in lines:
            if line.strip() == fence["fence"]:
                break
            body.append(line[indent:])
        else:
            raise AssertionError(f"line {number}: this block never ends")
        yield "output" if marked else fence["language"].lower(), number + 1, "\n".join(body) + "\n"
        marked = False
    assert not marked, f"{OUTPUT} at the end belongs before a block"


def run_page(text, name, run):
    """Runs a page's Python blocks: `run(source, line)` returns what the block printed."""
    output = None
    for language, line, source in blocks(text):
        if language.startswith("py"):
            output = run(source, line)
        elif language == "output":
            assert output is not None, f"{name}, line {line}: no Python block before this output"
            checker, example = doctest.OutputChecker(), doctest.Example("", source)
            if not checker.check_output(source, output, doctest.ELLIPSIS):
                difference = checker.output_difference(example, output, doctest.ELLIPSIS)
                pytest.fail(f"{name}, line {line}: the output differs\n{difference}", pytrace=False)

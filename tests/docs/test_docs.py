"""What the documentation shows is what happens: README.md, docs/*.md, docstrings, examples.

`pages.py` tells how a page is read.
"""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import run_page

import aioutils

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MODULES = [info.name for info in pkgutil.walk_packages(aioutils.__path__, "aioutils.")]

# Arguments that make an example quick; the others run without any.
QUICK = {}


def run(text, name, capsys):
    """Run a page's Python blocks, in one namespace."""
    namespace = {"__name__": "__main__"}

    def printed(source, line):
        # The empty lines make a traceback point to the line of the page.
        exec(compile("\n" * (line - 1) + source, name, "exec"), namespace)
        return capsys.readouterr().out

    run_page(text, name, printed)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_does_what_it_shows(page, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run(page.read_text(), str(page), capsys)


@pytest.mark.parametrize("name", ["aioutils", *MODULES])
def test_docstring_examples_are_true(name):
    module = importlib.import_module(name)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_docstrings_hold_examples():
    """So that the test above has something to run."""
    finder = doctest.DocTestFinder()
    without = [
        name
        for name in (
            "Group",
            "Pool",
            "Yielder",
            "OrderedYielder",
            "yielding",
            "ordered_yielding",
            "dual",
        )
        if not any(test.examples for test in finder.find(getattr(aioutils, name), name))
    ]
    assert without == []


@pytest.mark.timeout(90)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_runs(example, tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(example), *QUICK.get(example.name, [])],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    # Debug mode remarks on slow callbacks ("Executing ..."): those are about the machine.
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Executing ")]
    assert (done.returncode, complaints) == (0, [])
    assert done.stdout


# ---- the tests above do fail -----------------------------------------------------------

GOOD = """
```python
x = 1
print("one", x)
```

<!-- output -->
```text
one ...
```

```console
$ not python
```

```python
assert x == 1
```
"""


def test_a_good_page_passes(capsys):
    run(GOOD, "page", capsys)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("x = 1", "x = 2", AssertionError),
        ("x = 1", "x = undefined", NameError),
        ("one ...", "two ...", pytest.fail.Exception),
        ("```python\nx = 1", "```text\nx = 1", AssertionError),
        ("<!-- output -->", "<!-- output -->\nsome text", AssertionError),
        ("assert x == 1\n```", "assert x == 1", AssertionError),
    ],
)
def test_a_page_that_lies_fails(old, new, error, capsys):
    assert old in GOOD
    with pytest.raises(error):
        run(GOOD.replace(old, new), "page", capsys)

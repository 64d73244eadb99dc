"""The package as a user gets it: its names, its imports, its metadata."""

import importlib
import inspect
import json
import pkgutil
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import aioutils

CHECKOUT = Path(__file__).parents[1]


def test_the_installed_package_is_tested():
    location = Path(aioutils.__file__)
    assert location.parent != CHECKOUT / "aioutils", "this is the source tree: use `make test`"
    assert Path(sys.prefix).resolve() in location.resolve().parents
    assert location in [Path(file.locate()) for file in metadata.files("aioutils")]


def test_every_name_in_all_is_there_once():
    assert [name for name in aioutils.__all__ if not hasattr(aioutils, name)] == []
    assert len(set(aioutils.__all__)) == len(aioutils.__all__)
    tools = {"Group", "Pool", "Yielder", "OrderedYielder", "yielding", "ordered_yielding", "Task"}
    assert {*tools, "dual"} <= set(aioutils.__all__)


def test_all_misses_nothing_public():
    public = {
        name
        for name, value in vars(aioutils).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(aioutils.__all__)


def test_everything_a_user_may_catch_is_exported():
    errors = importlib.import_module("aioutils.errors")
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert {name for name in classes if not name.startswith("_")} <= set(aioutils.__all__)


def test_every_public_name_has_a_docstring():
    assert [name for name in aioutils.__all__ if not getattr(aioutils, name).__doc__] == []


@pytest.mark.asyncios_loop  # a script on uvloop begins with aioutils imported
def test_only_the_standard_library_is_imported(run_script):
    """Every module, not only what `import aioutils` reaches."""
    modules = [f"aioutils.{module.name}" for module in pkgutil.iter_modules(aioutils.__path__)]
    done = run_script(
        """
        import importlib, json, sys
        before = set(sys.modules)
        for name in ["aioutils", *sys.argv[1:]]:
            importlib.import_module(name)
        tops = {name.partition(".")[0] for name in set(sys.modules) - before}
        tops -= {"_missing_stdlib_info"}  # what Debian says of a part that is another package
        print(json.dumps(sorted(tops - sys.stdlib_module_names)))
        """,
        *modules,
        dev=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == ["aioutils"]


def test_importing_starts_nothing(run_script):
    """No loop, no thread, no warning: importing costs a program nothing that it did not ask for."""
    done = run_script(
        """
        import asyncio, threading
        asyncio.new_event_loop = asyncio.BaseEventLoop.__init__ = None
        import aioutils
        print(threading.active_count())
        """,
        dev=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_nothing_of_it_is_imported_later(run_script):
    """A thread that imports as another one forks leaves the child with a lock that stays locked."""
    modules = [f"aioutils.{module.name}" for module in pkgutil.iter_modules(aioutils.__path__)]
    done = run_script(
        """
        import sys
        import aioutils
        print(*sorted(set(sys.argv[1:]) - set(sys.modules)))
        """,
        *modules,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_type_hints_are_shipped():
    assert resources.files("aioutils").joinpath("py.typed").is_file()


def test_the_metadata_is_that_of_the_1_line():
    about = metadata.metadata("aioutils")
    assert about["Version"].split(".")[0] == "1"
    assert about["Requires-Python"] == ">=3.11"
    assert {"test", "examples"} <= set(about.get_all("Provides-Extra"))
    unconditional = [wanted for wanted in metadata.requires("aioutils") if "extra ==" not in wanted]
    assert unconditional == []

"""Mutants of the engine, and those that no test notices: `make mutants`, by hand, in a night.

A mutant is one change: cosmic-ray's operators, and each statement left out. The first test that
fails, or hangs, kills it. The tests run once on what is not changed, to see which are quick: those
come first, and files that killed many.
"""

import argparse
import ast
import contextlib
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).parents[1]
FILES = ("_scheduler", "_cancelling", "_admission", "_completion", "_loop", "_election", "_driven")
SIDES = (
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt"),
    *("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
)
OPERATORS = [
    *(f"ReplaceComparisonOperator_{sides}" for sides in SIDES),
    *("ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add"),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "NumberReplacer", "RemoveDecorator"),
]
OPPOSITES = {ast.Is: ast.IsNot, ast.Eq: ast.NotEq, ast.In: ast.NotIn, ast.Lt: ast.GtE}
OPPOSITES |= {ast.Gt: ast.LtE, **{other: one for one, other in OPPOSITES.items()}, ast.LtE: ast.Gt}
LEFT_OUT = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return, ast.Raise, ast.Delete)
LEFT_OUT += (ast.Continue, ast.Break)

HANGS = "hangs"
TESTS = "tests --ignore=tests/docs --ignore=tests/test_benchmarks.py --ignore=tests/test_exports.py"


def mutants(source):
    """What was done, and what came of it; each once."""
    seen = {_meaning(source)}
    for name, mutant in [*_of_cosmic_ray(source), *_with_a_statement_less(source)]:
        if _meaning(mutant) not in seen:
            seen.add(_meaning(mutant))
            yield name, mutant


def _of_cosmic_ray(source):
    for name in OPERATORS:
        operator, count = get_operator(f"core/{name}")(), 0
        while (mutant := mutate_code(source, operator, count)) is not None:
            yield name, mutant
            count += 1


def _with_a_statement_less(source):
    for node in _statements(ast.parse(source)):
        yield f"Without{type(node).__name__}", _replaced(source, node, "pass")
        if isinstance(node, ast.AugAssign):
            text = ast.get_source_segment(source, node)
            swapped = text.translate(str.maketrans("+-", "-+"))
            yield "ReplaceAugmentedOperator", _replaced(source, node, swapped)


def _statements(tree):
    """Those of functions, but docstrings."""
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, LEFT_OUT) and not _says_nothing(node):
                    yield node


def _says_nothing(node):
    """A docstring, or the type of a name."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.AnnAssign) and node.value is None


def _replaced(source, node, text):
    """With its lines where they were."""
    lines = source.split("\n")
    first, last = node.lineno - 1, node.end_lineno - 1
    lines[first : last + 1] = [lines[first][: node.col_offset] + text, *[""] * (last - first)]
    return "\n".join(lines)


class _Plain(ast.NodeTransformer):
    """`not a is b` is `a is not b`, and `not not a` is `a`."""

    def visit_UnaryOp(self, node):
        self.generic_visit(node)
        inner = node.operand
        if isinstance(node.op, ast.Not) and isinstance(inner, ast.Compare) and len(inner.ops) == 1:
            inner.ops = [OPPOSITES[type(inner.ops[0])]()]
            return inner
        doubled = isinstance(node.op, ast.Not) and isinstance(inner, ast.UnaryOp)
        return inner.operand if doubled and isinstance(inner.op, ast.Not) else node


def _meaning(source):
    return ast.dump(_Plain().visit(ast.parse(source)))


def times():
    """Of the files of tests, in seconds; they pass without a change."""
    with _copy() as tree:
        report = tree / "report.xml"
        options = ["-o", "junit_family=xunit1", f"--junitxml={report}"]
        status, said = _run(tree, [*options, *TESTS.split()])
        if status:
            sys.exit(f"the tests fail without a mutant:\n{said}")
        seconds = Counter()
        for case in ElementTree.parse(report).iter("testcase"):
            seconds[case.get("file")] += float(case.get("time"))
    return seconds


def verdict(name, mutant, seconds, kills):
    """How the first test that notices it ends; None if none does."""
    with _copy() as tree:
        (tree / "aioutils" / f"{name}.py").write_text(mutant)
        status, said = _run(
            tree, sorted(seconds, key=lambda file: seconds[file] / (1 + kills[file]))
        )
    if not status:
        return None
    kills.update(re.findall(r"^tests/\S+\.py", said, re.MULTILINE)[-1:])
    return "hangs" if status is HANGS or "Timeout" in said else "fails"


@contextlib.contextmanager
def _copy():
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "tree")
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        yield tree


def _run(tree, tests):
    """The exit status of pytest up to the first failure, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider"]
    command += ["--timeout=20", "--timeout-method=thread", *tests]
    with open(tree / "output", "w+") as output:
        run = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=output, stderr=output, process_group=0
        )
        try:
            status = run.wait(timeout=1800)
        except subprocess.TimeoutExpired:
            status = HANGS
        finally:
            with contextlib.suppress(ProcessLookupError):  # nobody of it is left
                os.killpg(run.pid, signal.SIGKILL)
        output.seek(0)
        return status, output.read()


def _changed(old, new):
    """The numbers of the lines of `new` that are not in `old`."""
    blocks = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), False).get_opcodes()
    return {n for kind, _, _, first, end in blocks if kind != "equal" for n in range(first, end)}


def _at(commit, path):
    """A file as it was; empty if there was none."""
    command = ["git", "-C", str(ROOT), "show", f"{commit}:{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=FILES, help="without .py")
    parser.add_argument("--list", action="store_true", help="show the mutants, and run nothing")
    parser.add_argument("--since", help="a commit: only mutants of lines that changed since then")
    parser.add_argument("--first", type=int, default=1, help="go on here, at that number of a file")
    options = parser.parse_args()
    seconds, kills = None if options.list else times(), Counter()
    for name in options.files:
        path = f"aioutils/{name}.py"
        source = (ROOT / path).read_text()
        before = _at(options.since, path) if options.since else ""
        new = _changed(before, source)
        counts = Counter()
        for number, (operator, mutant) in enumerate(mutants(source), 1):
            if number < options.first or not _changed(mutant, source) & new:
                continue
            how = "listed" if options.list else verdict(name, mutant, seconds, kills)
            counts[how or "survives"] += 1
            print(name, number, operator, how or "survives", flush=True)
            if how in (None, "listed"):
                changes = difflib.unified_diff(source.split("\n"), mutant.split("\n"), n=0)
                print(*list(changes)[2:], sep="\n", flush=True)
        print(name, dict(counts), flush=True)


if __name__ == "__main__":
    main()

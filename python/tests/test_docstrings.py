"""The examples of docstrings, those of the extension module included."""

import doctest

import pytest

import lmic
from lmic import predict

MODULES = [lmic, predict]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def documented():
    alone = doctest.DocTestFinder(recurse=False)
    whole = doctest.DocTestFinder()
    for module in MODULES:
        yield from alone.find(module, module.__name__, module=False, globs={})
        for name in module.__all__:
            found = getattr(module, name)
            yield from whole.find(found, f"{module.__name__}.{name}", module=False, globs={})


@pytest.mark.parametrize("test", [pytest.param(test, id=test.name) for test in documented() if test.examples])
def test_examples_of_docstrings_run(test):
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0

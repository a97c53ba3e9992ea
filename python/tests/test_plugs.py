"""What the modules for other libraries have in common."""

import doctest
import importlib
import subprocess
import sys

import pytest


def test_importing_lmic_imports_none_of_the_other_libraries():
    others = ["fsspec", "numcodecs", "zarr", "pandas", "pyarrow", "dask", "datasets", "lm_eval", "ray", "torch"]
    program = f"import sys, lmic; print([name for name in {others} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", ["numcodecs", "zarr"])
def test_examples_of_docstrings_run(name):
    pytest.importorskip(name)
    found = doctest.testmod(importlib.import_module(f"lmic.{name}"))
    assert found.attempted > 0 and found.failed == 0

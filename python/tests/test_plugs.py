"""What the modules for other libraries have in common."""

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest


def test_importing_lmic_imports_none_of_the_other_libraries():
    others = ["fsspec", "numcodecs", "zarr", "pandas", "pyarrow", "dask", "datasets", "lm_eval", "ray", "torch"]
    program = f"import sys, lmic; print([name for name in {others} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("name", "needs"), [("tarfile", None), ("fsspec", "fsspec"), ("numcodecs", "numcodecs"), ("zarr", "zarr")])
def test_examples_of_docstrings_run(name, needs):
    if needs is not None:
        pytest.importorskip(needs)
    found = doctest.testmod(importlib.import_module(f"lmic.{name}"))
    assert found.attempted > 0 and found.failed == 0


PAGE = Path(__file__).parents[2] / "docs" / "python-data.md"
SECTIONS = {title.split("\n")[0]: title for title in PAGE.read_text().split("\n## ")[1:]}


@pytest.mark.parametrize("title", [title for title in SECTIONS if title != "Spark"])
def test_examples_of_the_page_run(title, tmp_path):
    program = "\n".join(re.findall(r"```python\n(.*?)```", SECTIONS[title], re.DOTALL))
    for module in re.findall(r"^(?:import|from) (\w+)", program, re.MULTILINE):
        pytest.importorskip(module)
    # As a program of its own: `datasets` sends its functions to other processes.
    for _ in range(2):  # a reader tries again in the same folder
        run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr

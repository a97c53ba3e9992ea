"""The examples of README.md and docs/python.md."""

import importlib.util
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def example(document, heading):
    """The first Python code below a heading."""
    text = (ROOT / document).read_text()
    below = text[text.index(f"\n{heading}\n") :]
    return re.search(r"```python\n(.*?)```", below, re.DOTALL).group(1)


def output(program, folder):
    run = [sys.executable, "-c", program]
    return subprocess.run(run, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_the_readme_runs_as_pasted(tmp_path):
    first, bits = output(example("README.md", "## In Python"), tmp_path).splitlines()
    assert first == "b'or'"
    assert 0 < float(bits.removesuffix(" bits per byte")) < 2


def test_the_examples_of_the_page_run_in_order(tmp_path):
    """As pasted into one session, in a copy of the repository. What needs a library that is not there is left out."""
    for folder in ("models", "crates"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(), re.DOTALL)
    needed = [re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE) for block in blocks]
    there = [block for block, names in zip(blocks, needed, strict=True) if all(map(importlib.util.find_spec, names))]
    assert len(there) >= len(blocks) - 1
    for _ in range(2):
        output("\n".join(there), tmp_path)

"""The examples of README.md and docs/python.md."""

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


def test_bytes_and_files_run_as_pasted(tmp_path):
    lines = example("docs/python.md", "## Bytes and files").splitlines()
    records = [line for line in lines if "records" in line]
    assert len(records) == 1
    program = "\n".join(line for line in lines if line not in records)
    output(f"import lmic\ndata = bytes(1000)\n{program}", tmp_path)

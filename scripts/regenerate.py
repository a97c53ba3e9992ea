#!/usr/bin/env python3
"""Rewrites the generated parts of documents: no number in them is typed.

    scripts/regenerate.py FILE...

Between `<!-- generated: COMMAND -->` and `<!-- end -->` stands what COMMAND printed, run by the
shell in the root of the repository. A command that fails leaves its file as it was.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PART = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def regenerate(part):
    begin, command, end = part.groups()
    run = subprocess.run(command, shell=True, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return f"{begin}{run.stdout.rstrip()}\n{end}"


for path in map(pathlib.Path, sys.argv[1:]):
    text = path.read_text(encoding="utf-8")
    new, count = PART.subn(regenerate, text)
    if count != text.count("<!-- generated:"):
        sys.exit(f"{path}: a generated part has no end")
    path.write_text(new, encoding="utf-8")
    print(f"{path}: {count} generated parts")

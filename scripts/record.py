"""Tables that scripts write for documents, with where and when they are from: CSV files in records/tables.

`make tables` shows them as they are; lines that begin with # stand under them.
"""
import csv
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "records/tables"
SOURCES = ("crates", "Cargo.toml", "Cargo.lock")  # what a binary is made of


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unknown processor'}"


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments, "--", *SOURCES], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    return "commit " + git("log", "-1", "--format=%h") + (" with changes" if git("status", "--porcelain") else "")


def write(path, head, rows, note):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
        file.write(f"# {note}\n")

"""What tests share."""

import os
import pathlib
import random
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="session")
def command():
    """Runs the command with arguments; returns what it wrote to stdout."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / profile / "lmic" for profile in ("fast", "release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        pytest.skip("the command is not built (cargo build --profile fast -p lmic-cli)")
    program = max(built, key=lambda path: path.stat().st_mtime)

    def run(*args, **options):
        return subprocess.run([program, *args], check=True, stdout=subprocess.PIPE, **options).stdout

    return run


@pytest.fixture(scope="session")
def models():
    """The folder of byte models."""
    return ROOT / "models"


@pytest.fixture(scope="session")
def checkpoints():
    """The folder of tiny checkpoints."""
    return ROOT / "crates" / "lmic-llama" / "tests" / "fixtures"


@pytest.fixture(scope="session")
def text():
    """Some kilobytes of words."""
    source = random.Random(1)
    words = ["".join(source.choices("etaoin shrdlu", k=source.randint(2, 9))) for _ in range(300)]
    return " ".join(source.choices(words, k=3000)).encode()

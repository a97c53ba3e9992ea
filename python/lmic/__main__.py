"""`python -m lmic ...` is the command `lmic ...`, where it is installed: the wheels of `make wheel` bring it."""

import os
import shutil
import site
import sys
import sysconfig


def main() -> None:
    """Becomes the command: the one beside this Python, or of the user's packages, before any other."""
    folders = [sysconfig.get_path("scripts"), os.path.join(site.getuserbase(), "bin"), os.environ.get("PATH", os.defpath)]
    command = shutil.which("lmic", path=os.pathsep.join(folders))
    if command is None:
        sys.exit("lmic: the command is not installed (a wheel of `make wheel` or `cargo install --path crates/lmic-cli` brings it)")
    sys.stdout.flush()
    os.execv(command, [command, *sys.argv[1:]])


if __name__ == "__main__":
    main()

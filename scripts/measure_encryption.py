#!/usr/bin/env python3
"""What encryption costs at level 1: CPU seconds with and without it, medians of runs in turn, as a table in CSV.

    scripts/measure_encryption.py LMIC FILE > records/tables/encryption.csv

One thread, output to /dev/null. The key is made anew, so nothing is left of it; needs the program age-keygen.
"""
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 7


def cpu_seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    lmic, file = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
        encrypt = ["--encrypt", "-R", public]
        plain, encrypted = Path(folder) / "a.lmic", Path(folder) / "a.lmic.age"
        subprocess.run([lmic, "-1", "-T1", "-o", plain, file], check=True)
        subprocess.run([lmic, "-1", "-T1", *encrypt, "-o", encrypted, file], check=True)
        ways = {
            "-1": ([lmic, "-1", "-T1", "-c", file], [lmic, "-1", "-T1", "-c", *encrypt, file]),
            "-d": ([lmic, "-d", "-T1", "-c", plain], [lmic, "-d", "-T1", "-c", "-i", key, encrypted]),
        }
        print("CPU seconds,plain,encrypted,\"more, %\"")
        for name, commands in ways.items():
            runs = [[cpu_seconds(*command) for command in commands] for _ in range(RUNS)]
            without, with_it = (statistics.median(times) for times in zip(*runs))
            print(f"lmic {name},{without:.3f},{with_it:.3f},{100 * (with_it / without - 1):+.1f}")
        print(f"bytes,{plain.stat().st_size},{encrypted.stat().st_size},", end="")
        print(f"{100 * (encrypted.stat().st_size / plain.stat().st_size - 1):+.1f}")


if __name__ == "__main__":
    main()

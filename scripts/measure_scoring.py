#!/usr/bin/env python3
"""How many short texts `lmic.score_batch` scores in a CPU second, and how many `lmic.compress` codes.

    python scripts/measure_scoring.py FILE [LENGTH]

FILE is cut into texts of LENGTH bytes (2000). Medians of five runs, scoring and coding in turn, of the CPU time of all threads.
"""

import statistics
import sys
import time

import lmic

TEXTS = {1: 400, 3: 400, 5: 200, 6: 100, 7: 60, 8: 30}


def seconds(work):
    started = time.process_time()
    work()
    return time.process_time() - started


def main():
    length = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with open(sys.argv[1], "rb") as file:
        data = file.read(length * max(TEXTS.values()))
    for level, count in TEXTS.items():
        texts = [data[n * length : (n + 1) * length] for n in range(count)]
        score = lambda: lmic.score_batch(texts, level)
        code = lambda: [lmic.compress(text, level, threads=1) for text in texts]
        runs = [(seconds(score), seconds(code)) for _ in range(6)][1:]  # the first loads the network
        scored, coded = (count / statistics.median(times) for times in zip(*runs))
        print(f"level {level}: {scored:.0f} texts scored, {coded:.0f} coded, ratio {scored / coded:.2f}")


if __name__ == "__main__":
    main()

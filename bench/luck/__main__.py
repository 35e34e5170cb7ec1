"""Measure how often the gate of `promote` takes luck for progress, and how often it sees progress.

python -m bench.luck --comparisons 1000

Each comparison is a search of its own: eight configurations are scored on dev pairs, the one with
the lowest dev EER is compared with a champion on test pairs of other speakers, as `promote
--if-better-than champion` does. In one half of the comparisons all configurations are as good as
the champion; in the other half all are better by a known margin. Every comparison has its seed, so
a run again gives the same counts. Writes bench/results/luck.json.
"""

import argparse
import json

from bench.luck.comparisons import RESULTS, SPEAKERS, format_cell, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--comparisons", type=int, default=1000, help="in each cell")
    comparisons = parser.parse_args().comparisons
    found = {}
    for speakers in SPEAKERS:
        found[str(speakers)] = measure(speakers, comparisons)
        print(f"{speakers:3} speakers: {format_cell(found[str(speakers)])}", flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

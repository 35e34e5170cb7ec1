"""Make, check and describe the table of real learning curves.

python -m bench.curve_table CORPUS NOISE ROOMS FOLDER [--minutes M] [--part N/OF]
python -m bench.curve_table --collect FOLDER
python -m bench.curve_table --check

The first trains what is missing in FOLDER, a file for each training; it may be ended at any time,
and goes on when it is run again. --part makes it one of several processes. --collect makes the
table of what is there. --check checks the published table, and prints what it says.
"""

import argparse
import sys
from pathlib import Path

from bench.curve_table import analysis, table, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.curve_table", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("places", nargs="*", type=Path, metavar="CORPUS NOISE ROOMS FOLDER")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--part", default="0/1", help="of several processes: number/how many")
    parser.add_argument("--collect", type=Path, metavar="FOLDER")
    parser.add_argument("--check", action="store_true")
    asked = parser.parse_args()
    if asked.collect is not None:
        print(f"{table.collect(asked.collect)} trainings in {table.PATH}")
    elif asked.check:
        _check()
    elif len(asked.places) == 4:
        number, parts = map(int, asked.part.split("/"))
        corpus, noise, rooms, folder = asked.places
        train.train_missing(corpus, noise, rooms, folder, asked.minutes, (number, parts))
    else:
        parser.error("CORPUS NOISE ROOMS FOLDER, --collect FOLDER or --check is needed")


def _check() -> None:
    wrong = table.check()
    trainings = table.read()
    whole = [each for each in trainings if each.is_whole]
    seconds = sum(float(each.epochs["seconds"].sum()) for each in trainings)
    print(
        f"{len(trainings)} trainings of {len({each.config for each in trainings})} configs, "
        f"{len(whole)} to the end, {seconds / 60:.0f} CPU minutes"
    )
    for each in trainings:
        if each.failure:
            print(f"  config {each.config}, seed {each.seed}: {each.failure}")
    for condition in table.CONDITIONS:
        print(f"\n{condition}")
        survivors = dict(analysis.best_survives(trainings, condition))
        for epoch, rho, low, high in analysis.rank_correlations(trainings, condition):
            print(
                f"  epoch {epoch:2}: rank correlation with the last {rho:.2f} "
                f"({low:.2f} to {high:.2f}); of the final best five "
                f"{100 * survivors[epoch]:.0f} % are in the best third"
            )
        within, between, configs = analysis.deviations(trainings, condition)
        print(
            f"  last EER, {configs} configs of several seeds: deviation between seeds "
            f"{100 * within:.2f} points, between configs {100 * between:.2f}"
        )
        for name, explained, count in analysis.importance(trainings, condition)[:8]:
            print(f"  {name}: explains {100 * explained:.0f} % of the ranks ({count} trainings)")
    print()
    print("\n".join(wrong) if wrong else "the table is as planned")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

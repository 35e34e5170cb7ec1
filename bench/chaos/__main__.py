"""Inject faults into real local searches, round after round, and check that nothing was lost.

python -m bench.chaos [--rounds 50] [--seed 1] [--fault NAME ...] [--outage-seconds S]
                      [--again]
python -m bench.chaos --page

A round launches a search with a toy to train (everything else is real), injects a fault at a random
moment, launches the search again where a user would have to, and checks the invariants of
`bench.chaos.invariants`. Each finished round is appended to bench/results/chaos-SEED.jsonl; rounds
that are there already are not played again. Exits 1 if a round broke an invariant. --page writes
docs/reliability.md from all results.
"""

import argparse
import signal
import sys
from pathlib import Path

from bench.chaos import page, rounds, schedule
from bench.chaos.faults.catalogue import FAULTS

_ROOT = Path(__file__).resolve().parents[2]
RESULTS = _ROOT / "bench" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", action="append", choices=list(FAULTS), metavar="NAME")
    parser.add_argument("--outage-seconds", type=float, default=8.0)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--keep", action="store_true", help="keep the folders of all rounds")
    parser.add_argument(
        "--again", action="store_true", help="play again what broke an invariant or was skipped"
    )
    parser.add_argument("--page", action="store_true", help="write docs/reliability.md, and end")
    asked = parser.parse_args()
    if asked.page:
        target = _ROOT / "docs" / "reliability.md"
        target.write_text(page.page(asked.results), encoding="utf-8")
        print(target)
        return
    # Ended by a signal, it ends the search of the round too, and its servers.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    wanted = schedule.draw_rounds(asked.rounds, asked.seed, asked.fault)
    path = rounds.results_path(asked.results, asked.seed)
    found = rounds.run(
        path, wanted, asked.seed, asked.outage_seconds, _say, asked.keep, asked.again
    )
    broken = [each for each in found if "skipped" not in each and not each["recovered"]]
    skipped = sum("skipped" in each for each in found)
    print(f"{len(found)} rounds, {skipped} skipped, {len(broken)} broke an invariant: {path}")
    sys.exit(1 if broken else 0)


def _say(record: schedule.Record) -> None:
    name = f"{record['fault']} {record['round']}"
    if "skipped" in record:
        print(f"{name}: skipped: {record['skipped']}", flush=True)
        return
    words = [f"{record['seconds']:.0f} s", f"at event {record['at_event']}"]
    for key in ("seconds_to_resume", "epochs_redone", "points_lost", "points_doubled"):
        if record.get(key) is not None:
            words.append(f"{key} {record[key]}")
    if slowed := record.get("slowing"):
        words.append("slowed {mean:+.2%} ({low:+.2%} to {high:+.2%})".format(**slowed))
    verdict = "recovered" if record["recovered"] else "BROKEN"
    print(f"{name}: {verdict}; {', '.join(words)} {record['notes'] or ''}", flush=True)
    for violation in record["violations"]:
        print(f"    {violation}", flush=True)


if __name__ == "__main__":
    main()

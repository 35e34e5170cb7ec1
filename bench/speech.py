"""Run the searches on real speech that the README reports; takes most of an hour on two cores.

python -m bench.speech CORPUS NOISE ROOMS [SPACE ...]

For each space: 24 trials on rungs 1/3/9, judged on mismatched dev pairs; the best three to 27
epochs; promotion, which judges the winner once on the test pairs in both conditions. Every
command is printed before it is run, and running this again goes on where it was left.
"""

import json
import subprocess
import sys
from pathlib import Path

from search.core.paths import ledger_path, search_folder
from search.ledger.ledger import Ledger

TRIALS, MAX_EPOCHS, FINAL_EPOCHS, FINALISTS = 24, 9, 27, 3


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    corpus, noise, rooms, *spaces = sys.argv[1:]
    surroundings = ["--noise", noise, "--rooms", rooms]
    for space in spaces or ["triplet", "margin_softmax"]:
        name = f"speech-{space.replace('_', '-')}"
        launch = ["launch", space, "--corpus", corpus, "--name", name, *surroundings]
        launch += ["--dev-condition", "mismatched", "--trials", str(TRIALS)]
        _spksearch(*launch, "--max-epochs", str(MAX_EPOCHS))
        _report(name, "search")
        _spksearch(*launch, "--max-epochs", str(FINAL_EPOCHS), "--finalists", str(FINALISTS))
        _report(name, "with finalists")
        _spksearch("promote", name)
        for file in sorted(search_folder(name).glob("promoted/*/report.json")):
            print(json.dumps(json.loads(file.read_text()), indent=1))


def _spksearch(*arguments: str) -> None:
    command = ["spksearch", *arguments]
    print("$", " ".join(command), flush=True)
    subprocess.run([str(Path(sys.executable).with_name("spksearch")), *arguments], check=True)


def _report(name: str, when: str) -> None:
    state = Ledger.open(ledger_path(name)).state()
    reports = [report for trial in state.trials.values() for report in trial.reports.values()]
    seconds = sum(report.seconds for report in reports)
    print(
        f"{name} {when}: {len(state.trials)} trials, {len(reports)} epochs, "
        f"{seconds:.0f} s of training on one thread each, "
        f"{state.spent_hours() * 60:.1f} min by the clock",
        flush=True,
    )


if __name__ == "__main__":
    main()

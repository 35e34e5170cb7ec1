"""Test the log's claims on real speech; takes hours on two cores.

python -m bench.replay CORPUS [--entries 20,33] [--seeds 3] [--scale 1/8] [--epochs 8] [--table]

Every entry that a claim is about is trained with every seed. A line is printed as each training
ends, and `docs/replay.md` at the end. Running this again goes on where it was left; `--table`
prints the page of what has been run so far, and trains nothing.
"""

import argparse
import statistics
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.core.paths import ledger_path
from search.launch.settings import LaunchRequest
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState
from search.ledger.trial import TrialRecord
from search.notebook import replay_pages as pages
from search.notebook.replay import run_replay
from search.notebook.replay_plan import SPACE, ReplayPlan, ReplayRequest, plan_replay
from search.notebook.replay_results import EntryResult, collect_results, evaluate_claims
from search.reporting.formatting import format_duration, format_percent
from search.reporting.terminal import Lines, Source
from spaces.logged.scale import parse_scale

MEASURES = ("dev_eer", "train_loss", "train_accuracy", "active_triplet_fraction")


class EachRun(Lines):
    """Prints a line for every training that ends."""

    def __init__(self, name: str) -> None:
        super().__init__(every_seconds=600.0)
        self._ledger = Ledger.open(ledger_path(name))

    @contextmanager
    def watch(self, source: Source) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._follow_ends, args=(ended,), daemon=True)
        thread.start()
        try:
            with super().watch(source):
                yield
        finally:
            ended.set()
            thread.join(timeout=5)

    def _follow_ends(self, stop: threading.Event) -> None:
        told: set[str] = set()
        while True:
            last = stop.wait(2.0)
            for trial in self._ledger.trials().values():
                if trial.ended and trial.trial not in told:
                    told.add(trial.trial)
                    print(run_line(trial), flush=True)
            if last:
                return


def run_line(trial: TrialRecord) -> str:
    """Return a training on one line."""
    seconds = sum(report.seconds for report in trial.reports.values())
    figures = trial.last.metrics if trial.last else {}
    parts = [f"{name} {figures[name]:.4f}" for name in MEASURES if name in figures]
    stamp = time.strftime("%H:%M")
    return (
        f"{stamp} {trial.trial} {trial.origin}: {trial.state}, {', '.join(parts) or trial.reason}, "
        f"{trial.epoch} epochs in {format_duration(seconds)}"
    )


def main() -> None:
    arguments = _parsed()
    request = ReplayRequest(
        entries=arguments.entries,
        corpus=arguments.corpus,
        scale=parse_scale(arguments.scale),
        check=True,
        seeds=arguments.seeds,
        epochs=arguments.epochs,
        launch=LaunchRequest(
            space=SPACE,
            corpus=arguments.corpus,
            name=arguments.name,
            dev_condition=arguments.dev_condition,
            concurrent=arguments.concurrent,
        ),
    )
    what = plan_replay(request)
    if not arguments.table:
        run_replay(request, EachRun(what.name))
    state = Ledger.open(ledger_path(what.name)).state()
    for line in (*_page(what, state, arguments.entries), *tables(what, state)):
        print(line)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--entries", default="", help="claims about these alone")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", default="1/8")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--concurrent", type=int)
    parser.add_argument("--dev-condition", default="clean")
    parser.add_argument("--name", default="replay-claims")
    parser.add_argument("--table", action="store_true", help="of what has been run; train nothing")
    return parser.parse_args()


# --- what is printed -------------------------------------------------------------------------


def _page(what: ReplayPlan, state: SearchState, entries: str) -> Iterator[str]:
    """Return the text above the tables: how they were measured, and how to read them."""
    corpus, scale = Path(state.search.corpus).name, what.scale
    half = max(1, scale.divisor // 2)
    only = f" --entries {entries}" if entries else ""
    paragraphs = [
        "# What the log claims, replayed",
        f"Made by `python -m bench.replay {corpus}{only} --scale {scale.text} --seeds {what.seeds} "
        f"--epochs {state.search.max_epochs}`; `spksearch replay --check` does the same for any "
        "corpus. The claims are data: `spaces/logged/claims.toml`.",
        f"**How small.** {scale.description.capitalize() or 'Full size'}: widths / "
        f"{scale.divisor}, crops and speakers a batch / {half}, restarts that end with the "
        "training. These are other networks than the log's, on other data, trained for fewer "
        "steps. What is tested is the direction of a change, here: a claim that is "
        "contradicted here may hold there.",
        "**How judged.** Both entries of a claim are trained with the same seeds. A difference is "
        "that of the last epochs, entry less the other, of rates in points of percent; its "
        "interval is Student's over seeds. Reproduced: the interval lies on the side that the log "
        "says. Contradicted: on the other. Undecided: it holds zero. A training that diverged or "
        "collapsed has no number; where one side always does and the other never, that decides. "
        "Of twenty claims about changes that do nothing, one would come out decided by chance. "
        "Measures: the EER on dev pairs, of speakers who were not trained on; the loss and the "
        "accuracy of the training itself, where the log speaks of those.",
    ]
    for paragraph in paragraphs:
        yield from textwrap.wrap(paragraph, 120, break_on_hyphens=False)
        yield ""


def tables(what: ReplayPlan, state: SearchState) -> Iterator[str]:
    """Return the two tables, in Markdown."""
    judged = evaluate_claims(what, state)
    yield from textwrap.wrap(f"{pages.verdict_line(judged)}; {settings_text(what, state)}.", 120)
    yield ""
    yield "| the log | claim | difference (95 %) | pairs | verdict |"
    yield "| --- | --- | --- | --- | --- |"
    for each in judged:
        difference = pages.format_difference(each, each.mean)
        yield (
            f"| {each.claim.finding} | {each.claim.text} | {difference} "
            f"({pages.format_interval(each)}) | {pages.format_pairs(each)} | {each.verdict} |"
        )
    yield ""
    yield "| entry | change | dev EER | train loss | accuracy | active triplets | runs |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    results = collect_results(what, state)
    for entry in what.entries:
        own = [each for each in results if each.entry is entry]
        done = [each for each in own if each.state == "complete"]
        columns = " | ".join(_mean(done, name) for name in MEASURES)
        other = {each.state for each in own} - {"complete"}
        runs = f"{len(done)} of {len(own)}" + (f" ({', '.join(sorted(other))})" if other else "")
        yield f"| {entry.number} | {entry.change} | {columns} | {runs} |"


def settings_text(what: ReplayPlan, state: SearchState) -> str:
    """Return the settings under which the figures were measured."""
    search = state.search
    reports = [report for trial in state.trials.values() for report in trial.reports.values()]
    seconds = sum(report.seconds for report in reports)
    return (
        f"{what.scale.text} of the widths, {what.seeds} seeds each, {search.max_epochs} epochs, "
        f"{search.dev_condition} dev pairs of corpus {search.corpus_sha256[:8]}; "
        f"{len(state.trials)} trainings, {format_duration(seconds)} of training and judging, "
        f"one thread each"
    )


def _mean(results: list[EntryResult], name: str) -> str:
    values = [each.metrics[name] for each in results if name in each.metrics]
    if not values:
        return "-"
    mean = statistics.fmean(values)
    return f"{mean:.4f}" if name == "train_loss" else format_percent(mean)


if __name__ == "__main__":
    main()

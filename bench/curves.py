"""Draw the learning curves of searches from their ledgers: each trial thin, the longest ones thick.

python -m bench.curves PICTURE SEARCH [SEARCH ...]
"""

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, ScalarFormatter

from search.core.paths import existing_ledger
from search.ledger.ledger import Ledger
from search.ledger.state import SearchState


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    picture, *names = sys.argv[1:]
    figure = Figure(figsize=(5.2 * len(names), 4.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw(axes, name, Ledger.open(existing_ledger(name)).state())
    figure.savefig(Path(picture), dpi=130)


def _draw(axes: Axes, name: str, state: SearchState) -> None:
    longest = max(trial.epoch for trial in state.trials.values())
    for trial in state.trials.values():
        epochs = sorted(trial.reports)
        eers = [100 * trial.reports[epoch].objective for epoch in epochs]
        best = trial.best()
        if trial.epoch == longest and best is not None:
            label = f"{trial.trial}: {100 * best.objective:.1f} % at epoch {best.epoch}"
            axes.plot(
                epochs, eers, linewidth=1.8, marker="o", markersize=2.5, label=label, zorder=3
            )
        else:
            axes.plot(epochs, eers, linewidth=0.7, color="0.72", marker=".", markersize=2.5)
    for rung in state.rungs:
        axes.axvline(rung, color="0.9", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(state.rungs, [str(rung) for rung in state.rungs], minor=False)
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    axes.set_yticks([12, 15, 20, 25, 30, 40, 50])
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    condition = state.search.dev_condition
    axes.set(title=name, xlabel="epoch (ticks: rungs)", ylabel=f"dev EER, {condition}, %")
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()

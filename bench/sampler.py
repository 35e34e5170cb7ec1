"""How long one suggestion takes, by the number of trials that the sampler is told about.

python -m bench.sampler
"""

import json
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from search import axes, sampler
from search.rule import Rule
from search.state import SearchState

SPACE = "margin_softmax"


def main() -> None:
    space = axes.load(SPACE)
    rule = Rule(rungs=(1, 3, 9), trials=2000)
    print(f"space {SPACE}, {len(axes.describe(space))} axes; median of 5 suggestions")
    for trials in (10, 100, 300, 1000):
        state = _search(space, rule, trials)
        seconds = []
        for seed in range(5):
            began = time.perf_counter()
            sampler.suggest(space, state, rule, seed)
            seconds.append(time.perf_counter() - began)
        print(f"{trials:5d} trials: {np.median(seconds):.3f} s")


def _search(space: axes.Space, rule: Rule, trials: int) -> SearchState:
    """Trials drawn at random; the EER depends on the learning rate, a third of a rung advances."""
    state, chance = SearchState(), np.random.default_rng(0)
    clock = datetime(2026, 1, 1, tzinfo=UTC)
    empty = SearchState()

    def apply(event: str, **fields: object) -> None:
        nonlocal clock
        clock += timedelta(seconds=1)
        state.apply({"event": event, "time": clock.isoformat(), "search": "bench", **fields})

    apply("search", rungs=list(rule.rungs), eta=rule.eta)
    for number in range(trials):
        drawn = sampler.suggest(space, empty, rule, number, kind="random")
        assert drawn is not None
        name = f"t{number:04d}"
        apply(
            "trial",
            trial=name,
            config=json.loads(drawn.config.model_dump_json()),
            signature=drawn.config.signature,
            origin="sampler",
            axes=drawn.axes,
            distributions=drawn.distributions,
        )
        level = abs(np.log10(drawn.axes["learning_rate"]) + 2.7) + 0.1 * chance.random()
        rung = rule.rungs[int(chance.choice(3, p=[0.67, 0.22, 0.11]))]
        apply("segment", trial=name, attempt=1, from_epoch=0, to_rung=rung)
        for epoch in range(1, rung + 1):
            apply(
                "report",
                trial=name,
                attempt=1,
                epoch=epoch,
                metrics={"dev_eer": 0.1 + 0.2 * level / epoch},
                seconds=1.0,
                checkpoint="x",
                sha256="x",
            )
    return state


if __name__ == "__main__":
    main()

"""Measure how long one suggestion takes, by the number of trials that the sampler models.

python -m bench.sampler
"""

import time

import numpy as np

from bench.support.formula_search import SearchInMemory
from search.ledger.state import SearchState
from search.sampler import sampler
from search.scheduler.policy import AshaPolicy
from search.space import loader

SPACE = "margin_softmax"


def main() -> None:
    space = loader.load(SPACE)
    policy = AshaPolicy(rungs=(1, 3, 9), trials=2000)
    print(f"space {SPACE}, {len(loader.describe(space))} axes; median of 5 suggestions")
    for trials in (10, 100, 300, 1000):
        state = _search(space, policy, trials)
        seconds = []
        for seed in range(5):
            began = time.perf_counter()
            sampler.suggest(space, state, policy, seed)
            seconds.append(time.perf_counter() - began)
        print(f"{trials:5d} trials: {np.median(seconds):.3f} s")


def _search(space: loader.Space, policy: AshaPolicy, trials: int) -> SearchState:
    """Return a search of random trials; EER depends on the learning rate, a third advances."""
    tale, chance, empty = SearchInMemory(policy), np.random.default_rng(0), SearchState()
    for number in range(trials):
        drawn = sampler.suggest(space, empty, policy, number, strategy="random")
        assert drawn is not None
        level = abs(np.log10(drawn.axes["learning_rate"]) + 2.7) + 0.1 * chance.random()
        rung = policy.rungs[int(chance.choice(3, p=[0.67, 0.22, 0.11]))]
        tale.trial(drawn, to_rung=rung)
        for epoch in range(1, rung + 1):
            tale.report(0.1 + 0.2 * level / epoch, epoch)
    return tale.state


if __name__ == "__main__":
    main()

"""Measure what a right and a wrong prior are worth, by the regret after so many trials.

python -m bench.priors [SEARCHES]

The search is real (space, rule, ledger's state, sampler), the training is a formula, judged once.
An earlier search of 40 trials is the prior. Right: it had nearly the same optimum, at twice the
EER. Wrong: everything that was good there is bad here. All three meet the same optima and noise.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

import numpy as np

from bench.support import formula_search
from search.scheduler.policy import AshaPolicy

TRIALS = 50
AT = (5, 10, 15, 20, 30, 40, 50)
WORKERS = 2


def main() -> None:
    searches = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    policy = AshaPolicy(rungs=(1,), trials=TRIALS)
    print(
        f"{searches} searches of {TRIALS} trials each; regret in points of dev EER (95 % interval)"
    )
    print("prior     " + "".join(f"{f'after {count}':>19}" for count in AT))
    regrets = {}
    with ProcessPoolExecutor(WORKERS) as pool:
        for prior in formula_search.PRIORS:
            found = pool.map(formula_search.regrets, range(searches), repeat(prior), repeat(policy))
            regrets[prior] = 100 * np.array(list(found))
            print(f"{prior:10}" + "".join(_cell(regrets[prior][:, count - 1]) for count in AT))
    for prior in ("right", "wrong"):
        gain = regrets["none"] - regrets[prior]
        print(f"{'+ ' + prior:10}" + "".join(_cell(gain[:, count - 1]) for count in AT))
    print("+: how much lower the regret is than without a prior, search by search")


def _cell(values: np.ndarray) -> str:
    """Return the mean, and its interval by 2,000 resamples of the searches."""
    chance = np.random.default_rng(0)
    means = chance.choice(values, (2000, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{values.mean():7.2f} ({low:.2f}, {high:.2f})".rjust(19)


if __name__ == "__main__":
    main()

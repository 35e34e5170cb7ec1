"""What the table says: ranks by epoch, seeds against configs, parameters that matter."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata, spearmanr

from bench.curve_table.space import EPOCHS
from bench.curve_table.table import Training

RANKED_EPOCHS = (1, 2, 3, 5, 9, 14, 20)


def eers(trainings: Sequence[Training], condition: str) -> np.ndarray:
    """Return (trainings, epochs): the EER of each, as it was measured."""
    return np.stack([each.epochs[f"{condition}_eer"].to_numpy(float) for each in trainings])


def rank_correlations(
    trainings: Sequence[Training], condition: str, draws: int = 1000
) -> list[tuple[int, float, float, float]]:
    """Return for some epochs Spearman's correlation with the last, and its 95 % interval.

    The interval is a bootstrap's over configs, of one seed each.
    """
    whole = [each for each in trainings if each.is_whole and each.seed == 0]
    curves = eers(whole, condition)
    chance = np.random.default_rng(0)
    samples = [chance.integers(0, len(whole), len(whole)) for _ in range(draws)]
    found = []
    for epoch in RANKED_EPOCHS:
        early, last = curves[:, epoch - 1], curves[:, EPOCHS - 1]
        drawn = [_spearman(early[sample], last[sample]) for sample in samples]
        low, high = np.nanquantile(drawn, [0.025, 0.975])
        found.append((epoch, _spearman(early, last), float(low), float(high)))
    return found


def best_survives(
    trainings: Sequence[Training], condition: str, keep: float = 1 / 3
) -> list[tuple[int, float]]:
    """Return for some epochs the share of the final best five that is in its best third there."""
    whole = [each for each in trainings if each.is_whole and each.seed == 0]
    curves = eers(whole, condition)
    best = np.argsort(curves[:, EPOCHS - 1])[:5]
    kept = int(len(whole) * keep)
    return [
        (epoch, float(np.isin(best, np.argsort(curves[:, epoch - 1])[:kept]).mean()))
        for epoch in RANKED_EPOCHS
    ]


def deviations(trainings: Sequence[Training], condition: str) -> tuple[float, float, int]:
    """Return the deviation of the last EER between seeds and between configs, and the configs.

    Between seeds: pooled over the configs that were trained with several. Between configs: of
    their means, without what the seeds add to them.
    """
    by_config: dict[int, list[float]] = {}
    for each in trainings:
        if each.is_whole:
            last = float(each.epochs[f"{condition}_eer"].iloc[-1])
            by_config.setdefault(each.config, []).append(last)
    several = [values for values in by_config.values() if len(values) > 1]
    within = float(np.mean([np.var(values, ddof=1) for values in several]))
    means = [float(np.mean(values)) for values in several]
    share = float(np.mean([1 / len(values) for values in several]))
    between = max(0.0, float(np.var(means, ddof=1)) - within * share)
    return within**0.5, between**0.5, len(several)


def importance(trainings: Sequence[Training], condition: str) -> list[tuple[str, float, int]]:
    """Return for each axis how much of the last EER's ranks it explains, alone, most first.

    Of a number: the square of Spearman's correlation. Of a choice: the share of the ranks' variance
    between its values. With it the number of trainings that have the axis: few explain much by
    chance.
    """
    whole = [each for each in trainings if each.is_whole and each.seed == 0]
    ranks = rankdata([float(each.epochs[f"{condition}_eer"].iloc[-1]) for each in whole])
    found = []
    for name in sorted({name for each in whole for name in each.axes}):
        having = [place for place, each in enumerate(whole) if name in each.axes]
        values = [whole[place].axes[name] for place in having]
        mine = ranks[having]
        if len(set(map(str, values))) < 2 or len(having) < 5:
            continue
        is_number = all(isinstance(value, float) for value in values)
        explained = _spearman(np.array(values), mine) ** 2 if is_number else _between(values, mine)
        found.append((name, explained, len(having)))
    return sorted(found, key=lambda each: -each[1])


def _between(values: Sequence[object], ranks: np.ndarray) -> float:
    groups: dict[str, list[float]] = {}
    for value, rank in zip(values, ranks, strict=True):
        groups.setdefault(str(value), []).append(float(rank))
    total = float(np.var(ranks))
    inside = sum(len(group) * float(np.var(group)) for group in groups.values()) / len(ranks)
    return 1 - inside / total if total else 0.0


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return float(spearmanr(one, other).statistic)

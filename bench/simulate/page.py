"""Print the stored table: EERs of the incumbents, and compute against Ray's shipped pair."""

import numpy as np

from bench.simulate.arms import ARMS, DEFAULT, EARLY, OUR_RANDOM, SHIPPED
from bench.simulate.measures import Rule, compute_to_reach
from bench.simulate.table import Cell, Key, Table

_TITLES: dict[Rule, str] = {
    "rung": "incumbent: lowest EER at the highest rung reached",
    "last": "incumbent: lowest last EER of any trial",
}


def text(table: Table) -> str:
    """Return the whole table for people."""
    parts = []
    for family, workers in table.families():
        for rule, title in _TITLES.items():
            parts.append(f"{family}, {workers} workers; {title}")
            parts.append(
                f"  {'strategy':36} searches  25 %   50 %  100 % (std. error)  trials"
                "  compute to the shipped pair's end"
            )
            shipped = table.cells.get(Key(family, workers, SHIPPED))
            for arm in ARMS:
                cell = table.cells.get(Key(family, workers, arm))
                if cell is not None and cell.count:
                    parts.append("  " + _row(arm, cell, rule, shipped))
            parts.append("  " + _model_line(table, family, workers, rule))
            parts.append("")
    return "\n".join(parts)


def _row(arm: str, cell: Cell, rule: Rule, shipped: Cell | None) -> str:
    quarters = 100 * np.array(cell.at[rule]).mean(axis=0)
    final = 100 * cell.final(rule)
    error = final.std(ddof=1) / len(final) ** 0.5 if len(final) > 1 else float("nan")
    reach = ""
    if shipped is not None and shipped.count:
        share = compute_to_reach(cell.mean[rule], shipped.mean[rule][-1])
        reach = "not reached" if np.isinf(share) else f"{100 * share:.0f} %"
    return (
        f"{arm:36} {cell.count:8} {quarters[0]:5.2f}  {quarters[1]:5.2f}  {quarters[2]:5.2f} "
        f"({error:.2f})        {np.mean(cell.trials):6.0f}  {reach}"
    )


def _model_line(table: Table, family: str, workers: int, rule: Rule) -> str:
    """Return what the sampler's model is worth: paired by seed against our random sampler."""
    told = []
    random = table.cells.get(Key(family, workers, OUR_RANDOM))
    for arm in (DEFAULT, EARLY):
        modelled = table.cells.get(Key(family, workers, arm))
        count = min(modelled.count if modelled else 0, random.count if random else 0)
        if not modelled or not random or count < 2:
            continue
        gain = 100 * (random.final(rule)[:count] - modelled.final(rule)[:count])
        told.append(
            f"{arm} against our random sampler: {gain.mean():+.2f} points better, standard error "
            f"{gain.std(ddof=1) / count**0.5:.2f}, {count} searches paired by seed"
        )
    return "\n  ".join(told)

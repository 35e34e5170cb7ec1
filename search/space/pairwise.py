"""Select combinations of choices that cover every pair, where all combinations would be too many.

This is pairwise testing: every two choices that can occur together do so in some combination, and
some random combinations come on top. Choices are found as the space asks for them, since an axis
may be asked for on a condition. A fault that needs three choices or more may be missed; of those
that show in one of a hundred combinations, the random ones miss one in e**5.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

Plan = dict[str, int]
"""By axis, the index of its choice."""

Asked = Mapping[str, tuple[int, int]]
"""What a run asked: by axis, the index of the choice that it was given, and how many there are."""

_Pair = tuple[str, int, str, int]

RANDOM_PLANS = 500
"""Random combinations beside those that cover the pairs."""


def enumerate_plans(run: Callable[[Plan], Asked], seed: int = 0) -> Iterator[Plan]:
    """Yield plans that together cover every pair of choices; each has been run already.

    Which plans come depends on what `run` returns as asked.
    """
    cover = _PairCoverage(random.Random(seed))
    plan: Plan = {}
    cover.record(plan, run(plan))
    yield plan
    while (pair := cover.next_open_pair()) is not None:
        for plan in cover.plans_for(pair):
            cover.record(plan, run(plan))
            yield plan
            if not cover.is_open(pair):
                break
        cover.drop(pair)
    # Pairs miss faults that need three choices; random plans find most of those.
    for _ in range(RANDOM_PLANS):
        plan = cover.draw_random()
        cover.record(plan, run(plan))
        yield plan


class _PairCoverage:
    """Keeps which pairs of choices have occurred together, and which are still open."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sizes: dict[str, int] = {}
        self._witness: dict[tuple[str, str], Plan] = {}
        """By two axes, a plan with which both are asked for."""
        self._open: dict[_Pair, None] = {}
        self._done: set[_Pair] = set()

    def record(self, plan: Plan, asked: Asked) -> None:
        """Record what a run asked."""
        given = {name: index for name, (index, _) in asked.items()}
        for name, (_, size) in asked.items():
            self._sizes.setdefault(name, size)
        for one, other in combinations(given, 2):
            if (one, other) not in self._witness and (other, one) not in self._witness:
                self._witness[one, other] = plan | given
                for i in range(self._sizes[one]):
                    for j in range(self._sizes[other]):
                        self._open.setdefault((one, i, other, j))
            for pair in (
                (one, given[one], other, given[other]),
                (other, given[other], one, given[one]),
            ):
                self._open.pop(pair, None)
                self._done.add(pair)

    def next_open_pair(self) -> _Pair | None:
        """Return the oldest pair that has not occurred."""
        return next(iter(self._open), None)

    def is_open(self, pair: _Pair) -> bool:
        """Return whether the pair has not occurred yet."""
        return pair in self._open

    def drop(self, pair: _Pair) -> None:
        """Drop a pair of choices that exclude each other."""
        self._open.pop(pair, None)

    def plans_for(self, pair: _Pair) -> Iterator[Plan]:
        """Yield plans in which a pair should occur: with many other pairs, then a safer one.

        The second one is a plan with which both axes were asked for before.
        """
        one, i, other, j = pair
        yield self._cover_most(one, i, other, j)
        yield self._witness[one, other] | {one: i, other: j}

    def draw_random(self) -> Plan:
        """Return a random plan."""
        return {name: self._chance.randrange(size) for name, size in self._sizes.items()}

    def _cover_most(self, one: str, i: int, other: str, j: int) -> Plan:
        """Return a plan with the pair, in which the other axes cover most open pairs."""
        plan = {one: i, other: j}
        names: Sequence[str] = [name for name in self._sizes if name not in plan]
        for name in self._chance.sample(names, len(names)):
            choices = self._chance.sample(range(self._sizes[name]), self._sizes[name])
            plan[name] = max(choices, key=lambda choice: self._count_open_pairs(plan, name, choice))
        return plan

    def _count_open_pairs(self, plan: Plan, name: str, choice: int) -> int:
        return sum(
            (name, choice, other, index) in self._open or (other, index, name, choice) in self._open
            for other, index in plan.items()
        )

"""Mined triplets agree with the golden batch and with their definitions written out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spkmodel.losses.mining import Rank, mine

STRATEGIES = ("batch_all", "batch_hard", "batch_semi_hard")

# The golden batch: 0 and 1 are of speaker A, 3 and 5 of speaker B.
SPEAKERS = torch.tensor([0, 0, 1, 1])
POINTS = torch.tensor([[0.0], [1.0], [3.0], [5.0]])
DISTANCES = torch.cdist(POINTS, POINTS)


def rows(triplets):
    return list(
        zip(
            triplets.anchor.tolist(),
            triplets.positive.tolist(),
            triplets.negative.tolist(),
            strict=True,
        )
    )


def excesses(triplets, distances=DISTANCES):
    return [(distances[a, p] - distances[a, n]).item() for a, p, n in rows(triplets)]


def test_batch_all_of_the_golden_batch_is_its_eight_valid_triplets():
    triplets = mine(DISTANCES, SPEAKERS, strategy="batch_all", margin=0.5)
    assert len(triplets) == 8
    assert [
        sum(excess + margin > 0 for excess in excesses(triplets)) for margin in (0.5, 1, 2)
    ] == [
        1,
        1,
        3,
    ]


def test_batch_hard_of_the_golden_batch_is_one_triplet_an_anchor():
    triplets = mine(DISTANCES, SPEAKERS, strategy="batch_hard", margin=2)
    assert rows(triplets) == [(0, 1, 2), (1, 0, 2), (2, 3, 1), (3, 2, 1)]
    assert excesses(triplets) == [-2, -1, 0, -2]


def test_batch_semi_hard_takes_the_nearest_negative_within_the_margin_or_else_the_farthest():
    triplets = mine(DISTANCES, SPEAKERS, strategy="batch_semi_hard", margin=2)
    # From 0, the positive at 1: the negatives at 3 and 5 are too far, the farthest is 5.
    # From 1, the positive at 1: 2 lies between 1 and 3. From 3 (2): 3 within 4. From 5 (2): none.
    assert rows(triplets) == [(0, 1, 3), (1, 0, 2), (2, 3, 0), (3, 2, 0)]


def test_a_negative_exactly_as_far_as_the_positive_or_at_the_margin_is_not_semi_hard():
    points = torch.tensor([[0.0], [1.0], [-1.0], [3.0]])
    speakers = torch.tensor([0, 0, 1, 2])
    from_0 = mine(torch.cdist(points, points), speakers, strategy="batch_semi_hard", margin=2)
    assert rows(from_0)[0] == (0, 1, 3)
    wider = mine(torch.cdist(points, points), speakers, strategy="batch_semi_hard", margin=2.5)
    assert rows(wider)[0] == (0, 1, 3)
    wider = mine(
        torch.cdist(points, points)[:3, :3], speakers[:3], strategy="batch_semi_hard", margin=0.5
    )
    assert rows(wider)[0] == (0, 1, 2)


def by_definition(distances, speakers, strategy, margin):
    d, count = distances.tolist(), len(speakers)
    positives = [
        [p for p in range(count) if p != a and speakers[p] == speakers[a]] for a in range(count)
    ]
    negatives = [[n for n in range(count) if speakers[n] != speakers[a]] for a in range(count)]
    anchors = [a for a in range(count) if positives[a] and negatives[a]]
    if strategy == "batch_all":
        return [(a, p, n) for a in anchors for p in positives[a] for n in negatives[a]]
    if strategy == "batch_hard":
        return [
            (a, max(positives[a], key=d[a].__getitem__), min(negatives[a], key=d[a].__getitem__))
            for a in anchors
        ]
    chosen = []
    for a in anchors:
        for p in positives[a]:
            fitting = [n for n in negatives[a] if d[a][p] < d[a][n] < d[a][p] + margin]
            nearest = min(fitting, key=d[a].__getitem__, default=None)
            farthest = max(negatives[a], key=d[a].__getitem__)
            chosen.append((a, p, farthest if nearest is None else nearest))
    return chosen


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=20, deadline=None)
@given(
    speakers=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_what_is_mined_agrees_with_the_definition_written_out(strategy, speakers, seed, margin):
    points = torch.randn(len(speakers), 2, generator=torch.Generator().manual_seed(seed))
    distances = torch.cdist(points.double(), points.double())
    labels = torch.tensor(speakers)
    triplets = mine(distances, labels, strategy=strategy, margin=margin)
    assert rows(triplets) == by_definition(distances, speakers, strategy, margin)
    assert (labels[triplets.anchor] == labels[triplets.positive]).all()
    assert (labels[triplets.anchor] != labels[triplets.negative]).all()
    assert (triplets.anchor != triplets.positive).all()


@pytest.mark.parametrize(
    "strategy", [*STRATEGIES, "random_semi_hard", Rank(hard_rank=1, hard_probability=0.5)]
)
@pytest.mark.parametrize("speakers", [[0, 0, 0], [0, 1, 2]], ids=["one_speaker", "no_positive"])
def test_a_batch_without_positives_or_without_negatives_has_no_triplets(strategy, speakers):
    triplets = mine(torch.rand(3, 3), torch.tensor(speakers), strategy=strategy, margin=0.3)
    assert rows(triplets) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_order_of_the_rows_does_not_matter(strategy):
    order = torch.tensor([2, 0, 3, 1])
    shuffled = mine(DISTANCES[order][:, order], SPEAKERS[order], strategy=strategy, margin=2)
    in_old_places = {tuple(order[list(row)].tolist()) for row in rows(shuffled)}
    assert in_old_places == set(rows(mine(DISTANCES, SPEAKERS, strategy=strategy, margin=2)))


# --- the strategies with chance in them -------------------------------------------------------

CHANCY = {"random_semi_hard": "random_semi_hard", "rank": Rank(hard_rank=2, hard_probability=0.5)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def possible(distances, speakers, strategy, margin):
    """For each anchor and positive, every negative that may be chosen, nearest first."""
    d, count = distances.tolist(), len(speakers)
    first = [row for row in range(count) if speakers[row] not in speakers[:row]]
    others = [row for row in range(count) if row not in first]
    choices = {}
    for a in first:
        negatives = sorted((n for n in others if speakers[n] != speakers[a]), key=d[a].__getitem__)
        for p in others:
            if speakers[p] == speakers[a] and negatives:
                within = [n for n in negatives if d[a][p] < d[a][n] < d[a][p] + margin]
                choices[a, p] = (within or negatives) if strategy != "rank" else negatives
    return choices


@pytest.mark.parametrize("name", CHANCY)
@settings(max_examples=30, deadline=None)
@given(
    speakers=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.0, 0.3, 2.0]),
)
def test_what_chance_may_choose_agrees_with_the_definition_written_out(
    name, speakers, seed, margin
):
    points = torch.randn(len(speakers), 2, generator=seeded(seed)).double()
    distances = torch.cdist(points, points)
    choices = possible(distances, speakers, name, margin)
    mined = [
        rows(mine(distances, torch.tensor(speakers), CHANCY[name], margin, seeded(draw)))
        for draw in range(4)
    ]
    for triplets in mined:
        assert [(a, p) for a, p, _ in triplets] == list(choices)
        assert all(n in choices[a, p] for a, p, n in triplets)


@pytest.mark.parametrize("rank", range(4))
def test_with_probability_1_rank_mining_takes_each_of_the_nearest_and_no_other(rank):
    points = torch.randn(20, 2, generator=seeded(1))
    distances, speakers = torch.cdist(points, points), torch.arange(10).repeat(2)
    choices = possible(distances, speakers.tolist(), "rank", 0)
    strategy = Rank(hard_rank=rank, hard_probability=1.0)
    found = {pair: set() for pair in choices}
    for seed in range(60):
        for a, p, n in rows(mine(distances, speakers, strategy, 0, seeded(seed))):
            found[a, p].add(n)
    assert found == {pair: set(negatives[: rank + 1]) for pair, negatives in choices.items()}


def test_the_share_of_hard_negatives_is_the_probability_and_what_any_choice_adds():
    points = torch.randn(40, 2, generator=seeded(2))
    distances, speakers = torch.cdist(points, points), torch.arange(20).repeat(2)
    choices = possible(distances, speakers.tolist(), "rank", 0)
    strategy = Rank(hard_rank=3, hard_probability=0.5)
    hard = [
        n in choices[a, p][:4]
        for seed in range(200)
        for a, p, n in rows(mine(distances, speakers, strategy, 0, seeded(seed)))
    ]
    expected = 0.5 + 0.5 * 4 / 19
    assert len(hard) == 4000
    assert abs(sum(hard) / 4000 - expected) < 4 * (expected * (1 - expected) / 4000) ** 0.5


@pytest.mark.parametrize("name", CHANCY)
def test_chance_is_the_generators_or_torchs_own_and_never_left_to_itself(name):
    points = torch.randn(20, 2, generator=seeded(3))
    distances, speakers = torch.cdist(points, points), torch.arange(10).repeat(2)

    def mined(generator=None):
        return rows(mine(distances, speakers, strategy=CHANCY[name], margin=1, generator=generator))

    assert mined(seeded(5)) == mined(seeded(5)) != mined(seeded(6))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        from_torchs_own = mined()
        untouched = torch.get_rng_state()
        assert mined(seeded(5)) == from_torchs_own
        assert torch.equal(untouched, torch.get_rng_state())


def test_a_rank_beyond_all_negatives_is_any_of_them():
    strategy = Rank(hard_rank=50, hard_probability=1.0)
    assert {
        rows(mine(DISTANCES, SPEAKERS, strategy=strategy, margin=0, generator=seeded(seed)))[0]
        for seed in range(5)
    } == {(0, 1, 3)}  # the only second utterance of another speaker

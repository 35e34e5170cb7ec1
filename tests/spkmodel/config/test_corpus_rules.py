"""What a refusal advises works, or it says that the corpus cannot carry the loss."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from spkmodel.config import Augment, Babble, Batches, Speed, TrainConfig, Triplet
from spkmodel.config.losses import SingleLoss

LOSSES = ["softmax", "aam_softmax", "angular_prototypical", "prototypical", "ge2e", "triplet"]


def config_with(kind, speakers, utterances, **more):
    loss = TypeAdapter(SingleLoss).validate_python({"kind": kind})
    return TrainConfig(loss=loss, batches=Batches(speakers=speakers, utterances=utterances), **more)


def refusal(config, utterances_of, longest_seconds=5.0):
    try:
        config.check_corpus(utterances_of, longest_seconds)
    except ValueError as error:
        return str(error)
    return ""


def advised(said):
    """Every way that a refusal advises, as speakers and utterances; None where it changes none."""
    ways = said.partition("; set ")[2].split(", or ")
    for way in ways if "; set " in said else []:
        numbers = dict(re.findall(r"batches\.(speakers|utterances) to (\d+)", way))
        yield {name: int(number) for name, number in numbers.items()}


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(LOSSES),
    st.integers(2, 40),
    st.integers(1, 8),
    st.lists(st.integers(1, 9), max_size=30),
)
def test_what_is_advised_is_accepted_or_the_corpus_cannot_carry_the_loss(
    kind, speakers, utterances, utterances_of
):
    least = 1 if "softmax" in kind else 2
    config = config_with(kind, speakers, max(utterances, least))
    said = refusal(config, utterances_of)
    ways = list(advised(said))
    for way in ways:
        changed = {"speakers": config.batches.speakers, "utterances": config.batches.utterances}
        assert refusal(config_with(kind, **(changed | way)), utterances_of) == ""
    can_carry = sum(count >= least for count in utterances_of) >= 2
    assert bool(ways) == (can_carry and said != "")
    if not can_carry:
        assert "this corpus cannot" in said


def test_a_corpus_of_one_utterance_each_carries_softmax_but_no_triplets():
    said = refusal(config_with("triplet", 16, 2), [1] * 12)
    assert said == (
        "batches.speakers=16 is more than the 12 speakers of the training list, of whom 0 have "
        "batches.utterances=2 utterances or more; this corpus cannot carry loss.kind='triplet', "
        "which compares 2 utterances of a speaker or more; take a loss with a class for each "
        "speaker (softmax, am_softmax, aam_softmax) and batches.utterances=1, or add utterances to "
        "the corpus"
    )
    assert refusal(config_with("softmax", 12, 1), [1] * 12) == ""


def test_few_speakers_with_enough_utterances_are_advised_either_way():
    said = refusal(config_with("softmax", 4, 3), [5, 5, 2, 2])
    assert said == (
        "batches.speakers=4, but 2 of 4 training speakers have batches.utterances=3 utterances or "
        "more; set batches.speakers to 2 or less, or batches.utterances to 2"
    )


@pytest.mark.parametrize("kind", LOSSES)
def test_one_speaker_is_too_few_for_every_loss(kind):
    said = refusal(config_with(kind, 32, 2), [50])
    assert said.startswith("the training list has 1 speaker, and no loss can tell fewer than 2")
    assert "or less" not in said


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 4.9), st.sampled_from([None, 1.1, 1.3]))
@example(0.44, 1.1)
def test_an_advised_crop_is_accepted(longest_seconds, fastest):
    speed = Speed(rates=(1.0, fastest)) if fastest else None
    config = TrainConfig(batches=Batches(crop_seconds=5.0), augment=Augment(speed=speed))
    said = refusal(config, [9] * 40, longest_seconds)
    advice = re.search(r"set it to ([\d.]+) or less", said)
    if advice is None:
        assert longest_seconds / (fastest or 1) < 0.2
        assert "this corpus cannot be trained on" in said
        return
    batches = Batches(crop_seconds=float(advice[1]))
    shorter = TrainConfig(batches=batches, augment=Augment(speed=speed))
    assert refusal(shorter, [9] * 40, longest_seconds) == ""


@pytest.mark.parametrize(("speakers", "utterances", "speed"), [(2, 1, True), (3, 1, False)])
@pytest.mark.parametrize(("low", "high"), [(1, 9), (5, 9)])
def test_advised_talkers_and_batches_are_accepted(speakers, utterances, speed, low, high):
    def built(speakers, low, high):
        return config_with(
            "softmax",
            speakers,
            utterances,
            augment=Augment(
                babble=Babble(talkers_low=low, talkers_high=high), speed=Speed() if speed else None
            ),
        )

    with pytest.raises(ValueError, match=r"babble\.talkers_high=9") as caught:
        built(speakers, low, high)
    said = str(caught.value)
    more = re.search(r"batches\.speakers to (\d+) or more", said)
    built(int(more[1]), low, high)
    if fewer := re.search(r"set it (and talkers_low )?to (\d+) or less", said):
        built(speakers, min(low, int(fewer[2])) if fewer[1] else low, int(fewer[2]))


def test_a_rank_that_fewer_speakers_cannot_offer_is_advised_in_turn():
    with pytest.raises(ValueError, match="set it to 0 or less") as caught:
        TrainConfig(
            loss=Triplet(mining="rank", hard_rank=10, hard_probability=0.5),
            batches=Batches(speakers=2, utterances=2),
        )
    assert "batches.speakers to 12 or more" in str(caught.value)

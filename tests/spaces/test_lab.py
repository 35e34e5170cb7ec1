"""The lab report's runs: points of a space, and as large as the trainer's networks are."""

import pytest

from search.space import loader, locate, model_size
from spaces import lab_report
from spaces.logged.notebook import find_idle_changes

RUNS = {
    "2.1": (1_437_078, 1_437_080),
    "2.2": (8_028_492, 11_103_416),
    "3": (1_437_078, 1_437_078 + 512 * 4953),
    "4.2": (5_602_988, 5_602_988),
    "4.3": (1_404_054, 1_404_054 + 256 * 4953),
}
"""By section of the report: weights of the encoder, and with those of the loss."""


@pytest.fixture(scope="module")
def space():
    return loader.load("lab")


def test_all_runs_of_the_report_are_there():
    assert [run.number for run in lab_report.runs().entries] == list(RUNS)


@pytest.mark.parametrize("number", RUNS)
def test_a_run_is_a_point_of_the_space(space, number):
    run = lab_report.runs().entry(number)
    place = locate.locate_config(space, run.config)
    assert place.misfits == ()
    follower = locate.KnownAnswersTrial(place.axes)
    assert space.function(follower) == run.config
    assert follower.misfits == {}


@pytest.mark.parametrize("number", RUNS)
def test_a_run_has_as_many_weights_as_the_trainers_network(number):
    run = lab_report.runs().entry(number)
    counted = model_size.count_weights(run.config, run.protocol.speakers or 5994)
    assert (counted.encoder, counted.total) == RUNS[number]


def test_what_the_report_says_of_a_run_is_in_its_config():
    runs = lab_report.runs()
    third = runs.entry("3").config
    assert (third.loss.kind, third.loss.margin, third.loss.scale) == ("am_softmax", 0.3, 30.0)
    assert third.encoder.features.kind == "linear_mel"
    assert (third.batches.speakers, third.batches.utterances) == (200, 1)
    triplets = runs.entry("4.2").config
    assert (triplets.encoder.kind, triplets.batches.speakers) == ("resnet_se_34_half", 20)
    assert triplets.encoder.features.kind == "linear_mel"
    assert [term.loss.kind for term in runs.entry("2.2").config.loss.terms] == [
        "softmax",
        "angular_prototypical",
    ]


def test_no_run_lists_a_change_that_is_none():
    assert list(find_idle_changes(lab_report.runs())) == []


def test_fewer_parameters_spans_fiftyfold_and_has_the_labs_network_inside():
    space = loader.load("fewer_parameters")
    small = locate.KnownAnswersTrial({"first_channels": 8, "blocks": 4, "embedding_dim": 16})
    large = locate.KnownAnswersTrial({"first_channels": 32, "blocks": 16, "embedding_dim": 512})
    lab = locate.KnownAnswersTrial({"first_channels": 16, "blocks": 16, "embedding_dim": 512})
    few, many, own = (
        model_size.count_weights(space.function(each), 10).encoder for each in (small, large, lab)
    )
    assert many > 50 * few
    assert own == RUNS["2.1"][0]

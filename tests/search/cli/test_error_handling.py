"""The message and the exit code of every error."""

import json

import pytest

from search.cli.error_handling import choose_exit_code, format_message
from search.core.errors import (
    EnvironmentSetupError,
    GateNotMet,
    Interrupted,
    NotFinished,
    NotFound,
    NoUsableTrial,
    SpksearchError,
    UsageError,
)
from spkmodel.config import AAMSoftmax, TrainConfig


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpksearchError("x"), 1),
        (UsageError("x"), 2),
        (EnvironmentSetupError("x"), 3),
        (NoUsableTrial("x"), 4),
        (GateNotMet("x"), 5),
        (NotFound("x"), 6),
        (NotFinished("x"), 7),
        (Interrupted("x", 2), 130),
        (Interrupted("x", 15), 143),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "/read-only"), 3),
        (OSError(28, "No space left on device", "/full"), 3),
        (FileNotFoundError(2, "No such file or directory", "/none"), 2),
        (ZeroDivisionError("x"), 1),
        (ValueError("from nowhere"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert choose_exit_code(error) == code


def caught(make) -> Exception:
    try:
        make()
    except Exception as error:  # noqa: BLE001 (whatever it raises is what is looked at)
        return error
    raise AssertionError("no error")


def test_an_unknown_config_key_exits_2_and_names_the_nearest():
    error = caught(lambda: TrainConfig.model_validate({"loss": {"kind": "triplet", "margn": 1}}))
    assert choose_exit_code(error) == 2
    assert format_message(error) == "TrainConfig: loss.margn: no such key; did you mean margin?"


def test_a_misspelt_name_is_told_once_where_a_part_would_do_too():
    error = caught(
        lambda: TrainConfig.model_validate({"encoder": {"kind": "tdnn", "pooling": "x"}})
    )
    assert format_message(error).startswith(
        "TrainConfig: encoder.pooling: input should be 'mean', 'max'"
    )
    assert format_message(error).endswith("got 'x'")
    assert "\n" not in format_message(error)


def test_a_wrong_field_of_a_part_is_told_without_the_parts_kind():
    pooling = {"kind": "multi_head", "heads": 0}
    error = caught(
        lambda: TrainConfig.model_validate({"encoder": {"kind": "tdnn", "pooling": pooling}})
    )
    assert format_message(error).startswith(
        "TrainConfig: encoder.pooling.heads: input should be greater"
    )


def test_a_problem_inside_a_list_of_parts_names_its_place_there():
    terms = [{"loss": {"kind": "softmax"}}, {"loss": {"kind": "triplet", "margn": 1}}]
    loss = {"kind": "combined", "terms": terms}
    error = caught(lambda: TrainConfig.model_validate({"loss": loss}))
    assert format_message(error) == (
        "TrainConfig: loss.terms.1.loss.margn: no such key; did you mean margin?"
    )


def test_a_config_value_out_of_range_names_field_value_and_range():
    error = caught(lambda: AAMSoftmax(margin_rad=3))
    assert format_message(error) == ("AAMSoftmax: margin_rad: input should be less than 1.6, got 3")


def test_a_combination_that_cannot_be_is_told_in_its_own_words():
    error = caught(
        lambda: TrainConfig.model_validate(
            {"loss": {"kind": "triplet"}, "batches": {"utterances": 1}}
        )
    )
    assert format_message(error).startswith("TrainConfig: batches.utterances must be at least 2")


@pytest.mark.parametrize(
    ("config", "beginning"),
    [
        (
            {
                "loss": {
                    "kind": "combined",
                    "terms": [
                        {"loss": {"kind": "softmax"}},
                        {"loss": {"kind": "triplet", "mining": "rank"}},
                    ],
                }
            },
            "loss.terms.1.loss: loss.hard_rank and loss.hard_probability must be given",
        ),
        (
            {"fine_tune": {"from_epoch": 2, "augment": {"snr_db_low": 50}}},
            "fine_tune.augment: augment.snr_db_low must not exceed",
        ),
        (
            {"encoder": {"kind": "log_net", "skip": False, "skip_pooling": "max"}},
            "encoder.skip_pooling=",
        ),
    ],
    ids=["in a list", "in another part", "where it says"],
)
def test_a_combination_inside_a_part_is_told_with_where_the_part_stands(config, beginning):
    error = caught(lambda: TrainConfig.model_validate(config))
    assert format_message(error).startswith(f"TrainConfig: {beginning}")


def test_our_own_value_error_exits_2_and_a_librarys_1():
    ours = caught(lambda: TrainConfig().check_corpus([1], longest_seconds=9.0))
    theirs = caught(lambda: json.loads("{"))
    assert (choose_exit_code(ours), choose_exit_code(theirs)) == (2, 1)
    assert "--debug" in format_message(theirs)

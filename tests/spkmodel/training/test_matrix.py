"""One contract for everything that can be configured: it trains, and goes on bit by bit.

The full product of encoders and losses is a long test, and `python -m bench.matrix`.
"""

import os
import random
from datetime import UTC, datetime

import pytest

from bench import matrix
from bench.support import smallest_configs
from spkmodel import config as c

SEED = 11
"""Of the configs that `make test` draws: the same ones every day."""
TODAYS_SEED = int(os.environ.get("MATRIX_SEED") or datetime.now(UTC).date().toordinal())
"""Of those of `make test-slow`; it stands in the tests' names, and `MATRIX_SEED` brings it back."""

DRAWN = 20


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    return matrix.made_stage(tmp_path_factory.mktemp("matrix"), "cpu")


def test_every_variant_has_a_small_example():
    assert smallest_configs.missing() == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "encoder", smallest_configs.first(smallest_configs.ENCODERS), ids=lambda e: e.kind
)
def test_every_encoder_trains_and_goes_on(stage, encoder, precision):
    config = smallest_configs.config(encoder=encoder, precision=precision)
    assert matrix.problems(config, stage) == []


@pytest.mark.parametrize(
    "loss", smallest_configs.every(smallest_configs.LOSSES), ids=lambda loss: loss.kind
)
def test_every_loss_trains_and_goes_on(stage, loss):
    # Losses are float32 always: the second precision would only repeat the encoder.
    assert matrix.problems(smallest_configs.config(loss=loss, precision="bfloat16"), stage) == []


def _drawn(seed, marks=()):
    rng = random.Random(seed)  # no secret
    return [
        pytest.param(
            smallest_configs.at_random(rng), id=f"MATRIX_SEED={seed}-{number}", marks=marks
        )
        for number in range(DRAWN)
    ]


@pytest.mark.parametrize("config", [*_drawn(SEED), *_drawn(TODAYS_SEED, pytest.mark.long)])
def test_whatever_is_drawn_trains_and_goes_on(stage, config):
    assert matrix.problems(config, stage) == [], config.model_dump_json()


@pytest.mark.parametrize("augment", smallest_configs.AUGMENTS)
def test_every_augmentation_is_the_same_when_a_training_goes_on(stage, augment):
    assert matrix.problems(smallest_configs.config(augment=augment, ema=c.EMA()), stage) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_encoder_with_every_loss_trains_and_goes_on(stage):
    found = {name: matrix.problems(config, stage) for name, config in matrix.pairs()}
    assert {name: problems for name, problems in found.items() if problems} == {}

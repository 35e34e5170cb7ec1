import itertools
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from spkmodel.augment.noise_and_rooms import open_noise_and_rooms
from spkmodel.config import (
    EMA,
    SGD,
    SGDR,
    TDNN,
    AAMSoftmax,
    Adam,
    Augment,
    Babble,
    Batches,
    Centre,
    Combined,
    Cosine,
    DataPP,
    LargeMarginFineTuning,
    LinearMargin,
    LogMel,
    NAdam,
    Softmax,
    SpecAugment,
    Speed,
    SubCentreAAMSoftmax,
    TrainConfig,
    Triplet,
    WarmStart,
)
from spkmodel.config.losses import Weighted
from spkmodel.core import checkpoint
from spkmodel.training.epoch_state import EpochInterrupted
from spkmodel.training.nan_guard import Diverged
from spkmodel.training.trainer import Training
from spkmodel.verification.embed_and_score import load_encoder

EPOCHS = 2


def _config(**changes):
    settings = {
        "encoder": TDNN(channels=8, dilations=(2,), embedding_dim=8, dropout=0.3),
        "loss": AAMSoftmax(),
        "batches": Batches(speakers=2, utterances=2, crop_seconds=0.3),
        "augment": Augment(),
        "seed": 4,
    }
    return TrainConfig(**(settings | changes))


@pytest.fixture(scope="module")
def noise_and_rooms():
    return open_noise_and_rooms(None, None, split="train")


class After:
    """Leaves after so many steps."""

    def __init__(self, steps):
        self.left = steps

    def __call__(self):
        self.left -= 1
        return self.left == 0


def _weights(training):
    return {name: tensor.clone() for name, tensor in training.state()[0].items()}


def _same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def _figures(result):
    """Without the pace, which no two trainings share."""
    return replace(result, utterances_per_second=0.0)


WAYS = {
    "aam": {},
    "adam, triplets by chance": {
        "loss": Triplet(mining="rank", hard_rank=1, hard_probability=0.5),
        "optimiser": Adam(),
        "batches": Batches(speakers=3, utterances=2, crop_seconds=0.3),
    },
    "sgd, semi-hard triplets by chance": {
        "loss": Triplet(mining="random_semi_hard"),
        "optimiser": SGD(learning_rate=0.01),
        "batches": Batches(speakers=3, utterances=2, crop_seconds=0.3),
    },
    "centres that move": {
        "loss": Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=Centre(), weight=0.1))),
        "schedule": Cosine(epochs=2, warmup_epochs=0.5),
    },
    "averaged, steps counted": {
        "optimiser": NAdam(l2=1e-6),
        "schedule": SGDR(first_steps=2),
        "ema": EMA(),
    },
    "accumulated": {
        "batches_per_step": 2,
        "gradient_clip": None,
        "ema": EMA(decay=0.5, warm_up=False),
        "precision": "bfloat16",
    },
    "fine-tuned": {
        "loss": SubCentreAAMSoftmax(margin_schedule=LinearMargin(from_epoch=0, to_epoch=1)),
        "augment": Augment(speed=Speed(new_speakers=False)),
        "schedule": SGDR(first_steps=5),
        "fine_tune": LargeMarginFineTuning(
            from_epoch=2, crop_seconds=0.4, schedule=SGDR(first_steps=7)
        ),
        "ema": EMA(),
    },
    "every step of augmentation": {
        "encoder": TDNN(
            channels=8, dilations=(2,), embedding_dim=8, features=LogMel(spec_augment=SpecAugment())
        ),
        "batches": Batches(speakers=6, utterances=2, crop_seconds=0.3),
        "augment": Augment(
            gain_db=3,
            filter_probability=0.5,
            room_probability=0.5,
            noise_probability=0.5,
            speed=Speed(),
            babble=Babble(talkers_low=1, talkers_high=2),
            data_pp=DataPP(),
        ),
    },
}


@pytest.mark.parametrize("changes", WAYS.values(), ids=WAYS.keys())
def test_a_training_that_is_left_after_any_step_goes_on_as_if_it_had_never_been(
    tone_store, noise_and_rooms, tmp_path, changes
):
    config = _config(**changes)
    straight = Training(config, tone_store, noise_and_rooms)
    chance = random.Random(str(changes))
    training, folders = Training(config, tone_store, noise_and_rooms), itertools.count()
    for epoch in range(1, EPOCHS + 1):
        expected = straight.run_epoch()
        result, steps = None, [0]
        while result is None:
            try:
                # Again and again in one epoch, and perhaps with nothing left to do but its end.
                result = training.run_epoch(should_stop=After(chance.choice([2, 3])))
            except EpochInterrupted as left:
                steps.append(left.steps)
                folder = tmp_path / str(next(folders))
                sha256 = checkpoint.write(folder, *training.state())
                training = Training(config, tone_store, noise_and_rooms)
                training.load(checkpoint.read(folder, sha256))
                assert training.epoch == epoch - 1
        assert len(steps) > 1
        assert steps == sorted({*steps})
        assert _figures(result) == _figures(expected)
        assert training.epoch == epoch
        _same(_weights(training), _weights(straight))


def test_a_training_goes_on_in_its_own_process_too_and_counts_the_time_of_all_parts(
    tone_store, noise_and_rooms, monkeypatch
):
    straight = Training(_config(), tone_store, noise_and_rooms)
    training = Training(_config(), tone_store, noise_and_rooms)
    clock = itertools.count(0.0, 10.0)
    monkeypatch.setattr(
        "spkmodel.training.trainer.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    with pytest.raises(
        EpochInterrupted, match=r"epoch 1 was interrupted after 2 of \d+ steps"
    ) as left:
        training.run_epoch(should_stop=After(2))
    assert (left.value.epoch, left.value.steps) == (1, 2)
    halves, whole = training.run_epoch(), straight.run_epoch()
    assert _figures(halves) == _figures(whole)
    assert halves.utterances_per_second == whole.utterances_per_second / 2
    _same(_weights(training), _weights(straight))


def test_what_is_skipped_is_not_cut_out_again(tone_store, noise_and_rooms, tmp_path, monkeypatch):
    training = Training(_config(), tone_store, noise_and_rooms)
    with pytest.raises(EpochInterrupted) as left:
        training.run_epoch(should_stop=After(3))
    checkpoint.write(tmp_path / "half", *training.state())
    again = Training(_config(), tone_store, noise_and_rooms)
    again.load(checkpoint.read(tmp_path / "half"))
    cut = []
    read = tone_store.waveform_at
    monkeypatch.setattr(tone_store, "waveform_at", lambda row: (cut.append(row), read(row))[1])
    again.run_epoch()
    assert len(cut) == 4 * (left.value.total_steps - 3)


def test_where_the_epoch_began_warm_it_is_not_asked_for_the_weights_again(
    tone_store, noise_and_rooms, tmp_path
):
    first = Training(_config(), tone_store, noise_and_rooms)
    checkpoint.write(tmp_path / "first", *first.state())
    config = _config(warm_start=WarmStart(weights="first/t0001"))
    warm = checkpoint.read(tmp_path / "first")
    training = Training(config, tone_store, noise_and_rooms, warm=warm)
    with pytest.raises(EpochInterrupted):
        training.run_epoch(should_stop=After(1))
    checkpoint.write(tmp_path / "half", *training.state())
    again = Training(config, tone_store, noise_and_rooms)
    again.load(checkpoint.read(tmp_path / "half"))
    straight = Training(config, tone_store, noise_and_rooms, warm=warm)
    assert _figures(again.run_epoch()) == _figures(straight.run_epoch())


def test_an_epochs_end_is_saved_as_before_and_an_encoder_is_read_from_its_middle(
    tone_store, noise_and_rooms, tmp_path
):
    training = Training(_config(ema=EMA()), tone_store, noise_and_rooms)
    with pytest.raises(EpochInterrupted):
        training.run_epoch(should_stop=After(2))
    tensors, half = training.state()
    assert (half["format"], half["epoch"], half["under_way"]["batches"]) == (3, 0, 2)
    assert any(name.startswith("under_way.") for name in tensors)
    encoder, _ = load_encoder(tmp_path / "half", checkpoint.write(tmp_path / "half", tensors, half))
    assert torch.equal(encoder.first[0].weight, training.evaluated_encoder.first[0].weight)
    training.run_epoch()
    tensors, whole = training.state()
    assert (whole["format"], whole["epoch"]) == (2, 1)
    assert "under_way" not in whole
    assert not any(name.startswith("under_way.") for name in tensors)


def test_a_checkpoint_of_a_later_version_is_refused(tone_store, noise_and_rooms):
    training = Training(_config(), tone_store, noise_and_rooms)
    tensors, state = training.state()
    later = checkpoint.Checkpoint(tensors, state | {"format": 4}, "")
    with pytest.raises(checkpoint.CheckpointError, match=r"of format 4, .* knows up to 3"):
        training.load(later)


def test_no_epoch_is_left_with_numbers_that_are_not_finite(tone_store, noise_and_rooms):
    training = Training(_config(), tone_store, noise_and_rooms)
    training._nan_guard._at_once = False  # as on an accelerator, where it is asked now and then
    with torch.no_grad():
        next(training.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="epoch 1"):
        training.run_epoch(should_stop=After(1))


def test_leaving_leaves_torchs_own_generator_alone(tone_store, noise_and_rooms):
    before = torch.random.get_rng_state()
    training = Training(_config(), tone_store, noise_and_rooms)
    with pytest.raises(EpochInterrupted):
        training.run_epoch(should_stop=After(1))
    training.run_epoch()
    assert torch.equal(before, torch.random.get_rng_state())

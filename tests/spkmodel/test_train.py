import pytest
import torch

from spkmodel import checkpoint
from spkmodel.config import (
    TDNN,
    AAMSoftmax,
    Adam,
    AdamW,
    AngularPrototypical,
    Augment,
    Batches,
    Combined,
    Constant,
    Cosine,
    TrainConfig,
    Triplet,
)
from spkmodel.surroundings import open_surroundings
from spkmodel.train import Diverged, Training
from spkmodel.validate import evaluate_encoder


def _config(**changes):
    settings = {
        "encoder": TDNN(channels=16, dilations=(2,), embedding_dim=16, dropout=0.2),
        "loss": AAMSoftmax(),
        "batches": Batches(speakers=6, utterances=2, crop_seconds=0.5),
        "augment": Augment(
            gain_db=3, filter_probability=0.5, room_probability=0.5, noise_probability=0.5
        ),
    }
    return TrainConfig(**(settings | changes))


@pytest.fixture(scope="module")
def surroundings():
    return open_surroundings(None, None, split="train")


def _weights(training):
    return {name: tensor.clone() for name, tensor in training.state()[0].items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": Triplet(), "optimiser": Adam()},
        {"loss": Combined(), "schedule": Constant()},
        {"loss": AngularPrototypical(), "schedule": Cosine(epochs=2, warmup_epochs=0.5)},
    ],
    ids=["aam", "triplet", "combined", "prototypical"],
)
def test_a_training_that_was_saved_and_loaded_goes_on_as_if_nothing_had_happened(
    buzz_store, surroundings, tmp_path, changes
):
    config = _config(**changes)
    straight = Training(config, buzz_store, surroundings)
    straight.run_epoch()
    sha256 = checkpoint.write(tmp_path / "one", *straight.state())
    expected = straight.run_epoch()

    resumed = Training(config, buzz_store, surroundings)
    resumed.load(checkpoint.read(tmp_path / "one", sha256))
    again = resumed.run_epoch()

    assert again.train_loss == expected.train_loss
    assert resumed.epoch == straight.epoch == 2
    one, other = _weights(straight), _weights(resumed)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_same_seed_trains_the_same_network_and_another_seed_another(buzz_store, surroundings):
    losses = []
    for seed in (1, 1, 2):
        training = Training(_config(seed=seed), buzz_store, surroundings)
        losses.append(training.run_epoch().train_loss)
    assert losses[0] == losses[1] != losses[2]


def test_training_leaves_torchs_own_generator_alone(buzz_store, surroundings):
    before = torch.random.get_rng_state()
    Training(_config(), buzz_store, surroundings).run_epoch()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_few_epochs_tell_unseen_voices_apart(buzz_store, surroundings):
    config = _config(augment=Augment(), schedule=Constant(), loss=AngularPrototypical())
    training = Training(config, buzz_store, surroundings)
    for _ in range(6):
        training.run_epoch()
    verdict = evaluate_encoder(training.encoder, buzz_store, buzz_store.dev_pairs)
    assert verdict.eer < 0.2
    assert verdict.pairs == len(buzz_store.dev_pairs)


def test_a_loss_that_is_not_finite_is_divergence_not_a_number(buzz_store, surroundings):
    training = Training(_config(), buzz_store, surroundings)
    with torch.no_grad():
        next(training.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="epoch 1"):
        training.run_epoch()


def test_a_checkpoint_of_another_config_is_refused(buzz_store, surroundings, tmp_path):
    checkpoint.write(tmp_path / "a", *Training(_config(), buzz_store, surroundings).state())
    other = Training(_config(seed=5), buzz_store, surroundings)
    with pytest.raises(checkpoint.CheckpointError, match="of config"):
        other.load(checkpoint.read(tmp_path / "a"))


def test_batches_that_cannot_be_filled_are_an_error_that_names_them(buzz_store, surroundings):
    config = _config(batches=Batches(speakers=7, utterances=2, crop_seconds=0.5))
    with pytest.raises(ValueError, match="batches"):
        Training(config, buzz_store, surroundings).run_epoch()


def test_norms_and_biases_are_not_decayed(buzz_store, surroundings):
    config = _config(optimiser=AdamW(weight_decay=0.3))
    training = Training(config, buzz_store, surroundings)
    decayed, spared = training._stepper.optimiser.param_groups
    assert decayed["weight_decay"] == 0.3
    assert spared["weight_decay"] == 0
    assert all(weight.ndim > 1 for weight in decayed["params"])

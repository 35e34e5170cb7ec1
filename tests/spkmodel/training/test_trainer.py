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
    AdamW,
    AngularPrototypical,
    Augment,
    Babble,
    Batches,
    Combined,
    Constant,
    Cosine,
    DataPP,
    LargeMarginFineTuning,
    LinearMargin,
    LogMel,
    NAdam,
    SpecAugment,
    Speed,
    TrainConfig,
    Triplet,
)
from spkmodel.core import checkpoint
from spkmodel.training.nan_guard import Diverged, NaNGuard
from spkmodel.training.trainer import Training
from spkmodel.verification.embed_and_score import evaluate_encoder, load_encoder


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
def noise_and_rooms():
    return open_noise_and_rooms(None, None, split="train")


_EVERY_STEP = {
    "encoder": TDNN(channels=16, embedding_dim=16, features=LogMel(spec_augment=SpecAugment())),
    "augment": Augment(speed=Speed(), babble=Babble(talkers_high=6), data_pp=DataPP()),
}


def _weights(training):
    return {name: tensor.clone() for name, tensor in training.state()[0].items()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": Triplet(), "optimiser": Adam()},
        {"loss": Combined(), "schedule": Constant()},
        {"loss": AngularPrototypical(), "schedule": Cosine(epochs=2, warmup_epochs=0.5)},
        {"optimiser": NAdam(l2=1e-6), "schedule": SGDR(first_steps=2), "ema": EMA()},
        {"optimiser": SGD(learning_rate=0.01), "precision": "bfloat16"},
        {"batches_per_step": 2, "gradient_clip": None, "ema": EMA(decay=0.5, warm_up=False)},
        {
            "loss": AAMSoftmax(margin_schedule=LinearMargin(from_epoch=0, to_epoch=1)),
            "augment": Augment(speed=Speed()),
            "fine_tune": LargeMarginFineTuning(from_epoch=2, crop_seconds=0.7),
            "ema": EMA(),
        },
        _EVERY_STEP,
    ],
    ids=[
        "aam",
        "triplet",
        "combined",
        "prototypical",
        "averaged",
        "bfloat16",
        "accumulated",
        "fine-tuned",
        "every step of augmentation",
    ],
)
def test_a_training_that_was_saved_and_loaded_goes_on_as_if_nothing_had_happened(
    tone_store, noise_and_rooms, tmp_path, changes
):
    config = _config(**changes)
    straight = Training(config, tone_store, noise_and_rooms)
    straight.run_epoch()
    sha256 = checkpoint.write(tmp_path / "one", *straight.state())
    expected = straight.run_epoch()

    resumed = Training(config, tone_store, noise_and_rooms)
    resumed.load(checkpoint.read(tmp_path / "one", sha256))
    again = resumed.run_epoch()

    assert again.parts == expected.parts
    assert again.train_loss == expected.train_loss
    assert resumed.epoch == straight.epoch == 2
    one, other = _weights(straight), _weights(resumed)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_speed_as_new_speakers_gives_the_loss_a_class_for_every_speaker_at_every_rate(
    tone_store, noise_and_rooms
):
    training = Training(_config(**_EVERY_STEP), tone_store, noise_and_rooms)
    weights = [w for name, w in _weights(training).items() if name.startswith("loss.")]
    assert [18, 16] in [list(weight.shape) for weight in weights]


def test_the_same_seed_trains_the_same_network_and_another_seed_another(
    tone_store, noise_and_rooms
):
    losses = []
    for seed in (1, 1, 2):
        training = Training(_config(seed=seed), tone_store, noise_and_rooms)
        losses.append(training.run_epoch().train_loss)
    assert losses[0] == losses[1] != losses[2]


def test_training_leaves_torchs_own_generator_alone(tone_store, noise_and_rooms):
    before = torch.random.get_rng_state()
    Training(_config(), tone_store, noise_and_rooms).run_epoch()
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_few_epochs_tell_unseen_voices_apart(tone_store, noise_and_rooms):
    config = _config(augment=Augment(), schedule=Constant(), loss=AngularPrototypical())
    training = Training(config, tone_store, noise_and_rooms)
    for _ in range(6):
        training.run_epoch()
    verdict = evaluate_encoder(training.encoder, tone_store, tone_store.dev_pairs)
    assert verdict.eer < 0.2
    assert verdict.pairs == len(tone_store.dev_pairs)


def test_a_loss_that_is_not_finite_is_divergence_not_a_number(tone_store, noise_and_rooms):
    training = Training(_config(), tone_store, noise_and_rooms)
    with torch.no_grad():
        next(training.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="epoch 1"):
        training.run_epoch()


def test_a_checkpoint_of_another_config_is_refused(tone_store, noise_and_rooms, tmp_path):
    checkpoint.write(tmp_path / "a", *Training(_config(), tone_store, noise_and_rooms).state())
    other = Training(_config(seed=5), tone_store, noise_and_rooms)
    with pytest.raises(checkpoint.CheckpointError, match="of config"):
        other.load(checkpoint.read(tmp_path / "a"))


def test_batches_that_cannot_be_filled_are_an_error_that_names_them(tone_store, noise_and_rooms):
    config = _config(batches=Batches(speakers=7, utterances=2, crop_seconds=0.5))
    with pytest.raises(ValueError, match="batches"):
        Training(config, tone_store, noise_and_rooms).run_epoch()


def test_norms_and_biases_are_not_decayed(tone_store, noise_and_rooms):
    config = _config(optimiser=AdamW(weight_decay=0.3))
    training = Training(config, tone_store, noise_and_rooms)
    decayed, spared = training._stepper.optimiser.param_groups
    assert decayed["weight_decay"] == 0.3
    assert spared["weight_decay"] == 0
    assert all(weight.ndim > 1 for weight in decayed["params"])


def test_what_is_judged_and_kept_is_the_average_of_the_weights_after_every_step(
    tone_store, noise_and_rooms, tmp_path, monkeypatch
):
    config = _config(ema=EMA(decay=0.75, warm_up=False))
    training = Training(config, tone_store, noise_and_rooms)
    expected = training.encoder.first[0].weight.detach().clone()
    step = training._stepper.step

    def followed(rate):
        step(rate)
        expected.lerp_(training.encoder.first[0].weight.detach(), 0.25)

    monkeypatch.setattr(training._stepper, "step", followed)
    training.run_epoch()
    torch.testing.assert_close(training.evaluated_encoder.first[0].weight, expected)
    assert not torch.equal(training.encoder.first[0].weight, expected)
    sha256 = checkpoint.write(tmp_path / "one", *training.state())
    loaded, _ = load_encoder(tmp_path / "one", sha256)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, training.evaluated_encoder.state_dict()[name]), name


def test_bfloat16_trains_float32_weights_from_float32_features(tone_store, noise_and_rooms):
    plain = {"encoder": TDNN(channels=16, dilations=(2,), embedding_dim=16), "augment": Augment()}
    seen = {}
    training = Training(_config(precision="bfloat16", **plain), tone_store, noise_and_rooms)
    encoder = training.encoder
    encoder.front_end.register_forward_hook(lambda *a: seen.update(features=a[2].dtype))
    encoder.first[0].register_forward_hook(lambda *a: seen.update(layer=a[2].dtype))
    training._networks.loss.register_forward_pre_hook(lambda *a: seen.update(loss=a[1][0].dtype))
    in_bfloat16 = training.run_epoch().train_loss
    float32, bfloat16 = torch.float32, torch.bfloat16
    assert seen == {"features": float32, "layer": bfloat16, "loss": float32}
    assert {weight.dtype for weight in encoder.parameters()} == {float32}
    exact = Training(_config(**plain), tone_store, noise_and_rooms).run_epoch().train_loss
    assert in_bfloat16 != exact
    assert in_bfloat16 == pytest.approx(exact, rel=0.05)


def test_a_step_of_several_batches_averages_them_and_a_rest_weighs_no_more(
    tone_store, noise_and_rooms, monkeypatch
):
    def gradients(batches_per_step):
        config = _config(
            batches_per_step=batches_per_step,
            gradient_clip=None,
            batches=Batches(speakers=4, utterances=2, crop_seconds=0.5),
        )
        training = Training(config, tone_store, noise_and_rooms)
        found = []

        def no_step(rate):
            del rate
            weights = training.encoder.parameters()
            found.append(torch.cat([weight.grad.flatten() for weight in weights]))
            training._stepper.drop_gradient()

        monkeypatch.setattr(training._stepper, "step", no_step)
        training.run_epoch()
        return found

    each = gradients(1)
    assert len(each) == 4
    three, rest = gradients(3)
    torch.testing.assert_close(three, sum(each[:3]) / 3, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(rest, each[3] / 3, rtol=1e-3, atol=1e-4)


def test_more_batches_for_a_step_than_an_epoch_has_are_refused(tone_store, noise_and_rooms):
    training = Training(_config(batches_per_step=4), tone_store, noise_and_rooms)
    with pytest.raises(ValueError, match=r"batches_per_step=4, but .* 3 batches; set it to 3"):
        training.run_epoch()


def test_steps_are_counted_over_epochs_and_not_batches(tone_store, noise_and_rooms, monkeypatch):
    training = Training(
        _config(batches_per_step=2, schedule=SGDR(first_steps=2, length_growth=1)),
        tone_store,
        noise_and_rooms,
    )
    rates = []
    step = training._stepper.step
    monkeypatch.setattr(training._stepper, "step", lambda rate: (rates.append(rate), step(rate)))
    training.run_epoch()
    training.run_epoch()
    full = training.config.optimiser.learning_rate
    assert rates == pytest.approx([full, full / 2] * 2)


def test_fine_tuning_changes_margin_crops_and_rate_and_keeps_the_classes(
    tone_store, noise_and_rooms
):
    config = _config(
        augment=Augment(speed=Speed()),
        fine_tune=LargeMarginFineTuning(
            from_epoch=2, margin=0.5, crop_seconds=0.8, learning_rate=1e-4, schedule=Constant()
        ),
    )
    training = Training(config, tone_store, noise_and_rooms)
    heard = []
    training.encoder.register_forward_pre_hook(lambda *a: heard.append(a[1][0].shape[1]))
    first = training.run_epoch()
    head = training._networks.loss.weight
    before = head.detach().clone()
    second = training.run_epoch()
    assert set(heard) == {8000, 12800}
    assert (first.parts["margin_rad"], second.parts["margin_rad"]) == pytest.approx((0.2, 0.5))
    assert second.learning_rate == 1e-4 != first.learning_rate
    assert training._networks.loss.weight is head
    assert head.shape[0] == 3 * len(tone_store.train_speakers)
    assert not torch.equal(head, before)


def test_fine_tuning_is_refused_without_a_margin_or_with_other_classes():
    with pytest.raises(ValueError, match="fine_tune needs a loss with a margin"):
        _config(loss=Triplet(), fine_tune=LargeMarginFineTuning(from_epoch=2))
    with pytest.raises(ValueError, match=r"fine_tune\.augment\.speed"):
        _config(
            fine_tune=LargeMarginFineTuning(from_epoch=2, augment=Augment(speed=Speed())),
            augment=Augment(),
        )


def test_a_checkpoint_of_the_first_format_is_resumed(tone_store, noise_and_rooms, tmp_path):
    straight = Training(_config(optimiser=Adam()), tone_store, noise_and_rooms)
    straight.run_epoch()
    tensors, state = straight.state()
    order = [*straight._stepper._weights]  # Adam had one group, in the order of the modules
    old = {
        f"optimiser.{order.index(rest.rpartition('.')[0])}.{rest.rpartition('.')[2]}"
        if prefix == "optimiser"
        else name: tensor
        for name, tensor in tensors.items()
        for prefix, _, rest in [name.partition(".")]
    }
    state |= {"format": 1, "signature": "01234567"}
    for part in ("ema", "precision", "batches_per_step", "warm_start", "fine_tune"):
        del state["config"][part]
    del state["averaged_steps"]
    sha256 = checkpoint.write(tmp_path / "old", old, state)
    resumed = Training(straight.config, tone_store, noise_and_rooms)
    resumed.load(checkpoint.read(tmp_path / "old", sha256))
    straight.run_epoch()
    resumed.run_epoch()
    one, other = _weights(straight), _weights(resumed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_where_asking_costs_time_a_wild_number_is_remembered_until_it_is_asked_for():
    watch = NaNGuard(torch.device("cpu"), at_once=False)
    watch.begin(3)
    for value in (1.0, float("inf"), 2.0):
        watch.see("the loss", torch.tensor(value))
    with pytest.raises(Diverged, match="epoch 3"):
        watch.end()
    watch.begin(4)
    for _ in range(99):
        watch.see("the loss", torch.tensor(float("nan")))
    with pytest.raises(Diverged, match="epoch 4"):
        watch.see("the loss", torch.tensor(float("nan")))

import pytest
import torch

from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.config import (
    EMA,
    TDNN,
    AAMSoftmax,
    Augment,
    Batches,
    LogMel,
    LogNet,
    Softmax,
    Speed,
    SubCentreAAMSoftmax,
    TrainConfig,
    Triplet,
    WarmStart,
)
from spkmodel.core import checkpoint
from spkmodel.nn import encoders
from spkmodel.training import warm_start
from spkmodel.training.trainer import Training

NOISE_AND_ROOMS = NoiseAndRooms.from_arrays((), (), ())


def _config(**changes):
    settings = {
        "encoder": TDNN(channels=16, dilations=(2,), embedding_dim=16),
        "batches": Batches(speakers=6, utterances=2, crop_seconds=0.5),
    }
    return TrainConfig(**(settings | changes))


def _saved(training, folder):
    return checkpoint.read(folder, checkpoint.write(folder, *training.state()))


@pytest.fixture
def trained(tone_store, tmp_path):
    training = Training(_config(ema=EMA(decay=0.9)), tone_store, NOISE_AND_ROOMS)
    training.run_epoch()
    return _saved(training, tmp_path / "one")


def _started(tone_store, saved, **changes):
    config = _config(warm_start=WarmStart(weights="first/t0001"), **changes)
    return Training(config, tone_store, NOISE_AND_ROOMS, warm=saved)


def test_it_starts_from_the_weights_that_were_judged_and_a_fresh_optimiser(tone_store, trained):
    training = _started(tone_store, trained)
    tensors, state = training.state()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, trained.tensors[name]), name
    assert any(name.startswith("loss.") for name in tensors)
    assert not any(name.startswith(("optimiser.", "raw.")) for name in tensors)
    assert (state["epoch"], training.epoch) == (0, 0)
    assert training.start.endswith("loss: all weights taken, 6 classes")
    assert training.run_epoch().train_loss > 0


def test_a_resumed_training_does_not_start_again(tone_store, trained, tmp_path):
    straight = _started(tone_store, trained)
    straight.run_epoch()
    half_way = _saved(straight, tmp_path / "half")
    straight.run_epoch()
    resumed = Training(straight.config, tone_store, NOISE_AND_ROOMS)
    resumed.load(half_way)
    resumed.run_epoch()
    one, other = straight.state()[0], resumed.state()[0]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_start_that_was_not_read_is_no_start_from_chance(tone_store):
    training = _started(tone_store, None)
    with pytest.raises(ValueError, match="was not read"):
        training.run_epoch()


@pytest.mark.parametrize("loss", [Softmax(), Triplet()], ids=["another", "none"])
def test_another_loss_starts_anew(tone_store, trained, loss):
    training = _started(tone_store, trained, loss=loss)
    assert "loss anew" in training.start or "no weights" in training.start
    mine = training.state()[0]
    assert torch.equal(mine["encoder.first.0.weight"], trained.tensors["encoder.first.0.weight"])


@pytest.mark.parametrize("loss", [AAMSoftmax(), SubCentreAAMSoftmax(centres=2, hard_speakers=2)])
def test_classes_are_taken_speaker_by_speaker(loss):
    config = _config(loss=loss, warm_start=WarmStart(weights="x"))
    its, own = ["a", "b", "c", "d"], ["d", "e", "b"]
    saved_encoder, saved_loss = _built(config, len(its), seed=1)
    encoder, head = _built(config, len(own), seed=2)
    drawn = head.weight.detach().clone()
    words = warm_start.apply(
        _checkpoint(config, saved_encoder, saved_loss, its), config, encoder, head, own
    )
    assert torch.equal(head.weight[0], saved_loss.weight[3])
    assert torch.equal(head.weight[1], drawn[1])
    assert torch.equal(head.weight[2], saved_loss.weight[1])
    assert words.endswith("loss: weights of 2 of 3 classes taken, the others anew")


def test_a_speaker_at_another_speed_is_another_class():
    fast = _config(
        augment=Augment(speed=Speed(rates=(0.9, 1.0))), warm_start=WarmStart(weights="x")
    )
    speakers = ["a", "b"]
    saved_encoder, saved_loss = _built(_config(), 2, seed=1)
    encoder, head = _built(fast, 4, seed=2)
    drawn = head.weight.detach().clone()
    saved = _checkpoint(_config(), saved_encoder, saved_loss, speakers)
    words = warm_start.apply(saved, fast, encoder, head, speakers)
    assert torch.equal(head.weight[:2], saved_loss.weight)
    assert torch.equal(head.weight[2:], drawn[2:])
    assert "2 of 4 classes" in words


def _log_net(**changes):
    return LogNet(in_channels=4, channels=(4, 4), resblocks=(1, 1), dense=(8,), **changes)


@pytest.mark.parametrize(
    ("field", "before", "now"),
    [
        ("resblock_norm", "batch", "batch_renorm"),
        ("resblock_norm", "batch_renorm", "batch"),
        ("embedding_norm", "batch", "layer"),
        ("embedding_norm", "layer", "batch"),
    ],
)
def test_a_norm_with_the_same_weights_and_other_statistics_is_another_shape(field, before, now):
    saved = _config(encoder=_log_net(**{field: before}))
    config = _config(
        encoder=_log_net(**{field: now}),
        warm_start=WarmStart(weights="first/t0001"),
    )
    with pytest.raises(
        ValueError, match=f"encoder.{field} is '{now}', the checkpoint's '{before}'"
    ):
        warm_start.check(config, saved)


def test_strangers_start_anew():
    config = _config(warm_start=WarmStart(weights="x"))
    saved = _checkpoint(config, *_built(config, 3, seed=1), ["a", "b", "c"])
    encoder, head = _built(config, 3, seed=2)
    drawn = head.weight.detach().clone()
    words = warm_start.apply(saved, config, encoder, head, ["d", "e", "f"])
    assert words.endswith("loss anew: no speaker in common")
    assert torch.equal(head.weight, drawn)


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        (
            TDNN(channels=16, dilations=(2,), embedding_dim=32),
            "encoder.embedding_dim is 32, the checkpoint's 16",
        ),
        (
            TDNN(channels=16, dilations=(2,), embedding_dim=16, features=LogMel(mels=24)),
            "encoder.features.mels is 24, the checkpoint's 40",
        ),
        (
            TDNN(channels=16, dilations=(2, 3), embedding_dim=16, dropout=0.3),
            r"encoder.dilations is \(2, 3\), the checkpoint's \(2,\)",
        ),
    ],
    ids=["embedding", "features", "layers"],
)
def test_another_shape_is_refused_with_the_fields_and_the_remedy(encoder, said):
    config = _config(encoder=encoder, warm_start=WarmStart(weights="first/t0001"))
    with pytest.raises(ValueError, match=said) as problem:
        warm_start.check(config, _config())
    assert "warm_start.fresh=(" in str(problem.value)
    assert "dropout" not in str(problem.value)


def test_what_is_meant_to_differ_starts_anew(tone_store, trained):
    wide = TDNN(channels=16, dilations=(2,), embedding_dim=32)
    with pytest.raises(checkpoint.CheckpointError, match=r"fresh=\((.*)\)") as problem:
        _started(tone_store, trained, encoder=wide)
    names = str(problem.value).rpartition("warm_start.fresh=(")[2].rstrip(")")
    fresh = tuple(name.strip(" '") for name in names.split(",") if name.strip())
    config = _config(encoder=wide, warm_start=WarmStart(weights="first/t0001", fresh=fresh))
    training = Training(config, tone_store, NOISE_AND_ROOMS, warm=trained)
    mine = training.state()[0]
    assert torch.equal(mine["encoder.first.0.weight"], trained.tensors["encoder.first.0.weight"])
    assert "anew" in training.start
    assert training.run_epoch().train_loss > 0


def test_a_window_is_the_configs_and_running_statistics_are_learned(tone_store, trained):
    hann = TDNN(channels=16, dilations=(2,), embedding_dim=16, features=LogMel(window="hann"))
    mine = _started(tone_store, trained, encoder=hann).state()[0]
    window = "encoder.front_end.spectrogram.window"
    assert torch.equal(mine[window], torch.hann_window(400))
    assert not torch.equal(trained.tensors[window], mine[window])
    means = [name for name in mine if name.endswith("running_mean")]
    assert means
    assert all(torch.equal(mine[name], trained.tensors[name]) for name in means)


def test_a_part_that_does_not_exist_cannot_start_anew():
    config = _config(warm_start=WarmStart(weights="x", fresh=("out_blok",)))
    with pytest.raises(ValueError, match=r"names 'out_blok'.*its parts are"):
        warm_start.check(config, _config())


def test_a_hash_is_64_hex_digits():
    with pytest.raises(ValueError, match="64 hex digits"):
        WarmStart(weights="x", sha256="abc")


def _built(config, classes, seed):
    from spkmodel import losses

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = encoders.build(config.encoder)
        return encoder, losses.build(
            config.loss, embedding_dim=config.encoder.embedding_dim, speakers=classes
        )


def _checkpoint(config, encoder, loss, speakers):
    tensors = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    tensors |= {f"loss.{name}": tensor for name, tensor in loss.state_dict().items()}
    state = {"config": config.model_dump(mode="json"), "speakers": speakers}
    return checkpoint.Checkpoint(tensors, state, "0" * 64)

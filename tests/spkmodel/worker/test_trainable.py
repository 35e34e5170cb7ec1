import errno
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spkmodel.config import TDNN, AdamW, Batches, TrainConfig, WarmStart
from spkmodel.core import checkpoint
from spkmodel.training.trainer import Training
from spkmodel.verification.embed_and_score import evaluate_encoder, load_encoder
from spkmodel.worker import results, stop_flag, trainable
from spkmodel.worker.results import (
    CheckpointUnusable,
    EpochReport,
    PartialReport,
    StorageRefused,
    TrainingFailed,
)
from spkmodel.worker.trainable import Segment, SegmentTrainable, segment_config

CONFIG = TrainConfig(
    encoder=TDNN(channels=16, dilations=(2,), embedding_dim=16),
    batches=Batches(speakers=6, utterances=2, crop_seconds=0.5),
)


@pytest.fixture
def segment(tone_store, tmp_path):
    return Segment(
        trial="t0001",
        attempt=1,
        config=CONFIG.model_dump(mode="json"),
        to_epoch=2,
        resume="",
        resume_sha256="",
        warm_start="",
        warm_start_sha256="",
        folder=str(tmp_path / "t0001"),
        store=str(tone_store.folder),
        dev_store=str(tone_store.folder),
        noise="",
        rooms="",
        threads=1,
        device="cpu",
    )


def told_by(actor):
    """What the next epoch of an actor told."""
    return results.from_tune(actor.step())


def test_a_segment_ends_at_its_rung_with_a_checkpoint_of_every_epoch(segment, tone_store):
    actor = SegmentTrainable(segment_config(segment))
    one, two = told_by(actor), told_by(actor)
    assert [one.epoch, two.epoch] == [1, 2]
    assert [one.is_last, two.is_last] == [False, True]
    assert "done" not in results.to_tune(two)
    encoder, config = load_encoder(Path(two.checkpoint.folder), two.checkpoint.sha256)
    assert config == CONFIG
    verdict = evaluate_encoder(encoder, tone_store, tone_store.dev_pairs)
    assert verdict.eer == pytest.approx(two.metrics["dev_eer"], abs=1e-9)
    assert 0 <= two.metrics["train_accuracy"] <= 1
    assert {"dev_min_dcf_p01", "train_loss"} <= set(two.metrics)
    # Two dev speakers are too few for an interval.
    assert not {"dev_eer_low", "dev_eer_high"} & set(two.metrics)
    assert all(math.isfinite(value) for value in two.metrics.values())


def test_a_reused_actor_trains_what_a_new_one_would(segment, tmp_path):
    reused = SegmentTrainable(segment_config(segment))
    reused.step()
    other = replace(segment, folder=str(tmp_path / "other"), attempt=2)
    assert reused.reset_config(segment_config(other))
    again = told_by(reused)
    fresh = told_by(
        SegmentTrainable(segment_config(replace(other, folder=str(tmp_path / "fresh"))))
    )
    assert again.metrics["train_loss"] == fresh.metrics["train_loss"]
    assert again.checkpoint.sha256 == fresh.checkpoint.sha256
    assert again.attempt == 2


def test_a_segment_goes_on_from_the_checkpoint_it_is_given(segment, tmp_path):
    straight = SegmentTrainable(segment_config(segment))
    first, second = told_by(straight), told_by(straight)
    later = replace(
        segment,
        resume=first.checkpoint.folder,
        resume_sha256=first.checkpoint.sha256,
        folder=str(tmp_path / "later"),
    )
    resumed = told_by(SegmentTrainable(segment_config(later)))
    assert resumed.epoch == 2
    assert resumed.checkpoint.sha256 == second.checkpoint.sha256


def test_a_segment_starts_from_weights_once_and_says_what_it_took(segment, tmp_path):
    actor = SegmentTrainable(segment_config(segment))
    actor.step()
    weights = told_by(actor)
    config = CONFIG.model_copy(update={"warm_start": WarmStart(weights="first/t0001")})
    warm = replace(
        segment,
        config=config.model_dump(mode="json"),
        warm_start=weights.checkpoint.folder,
        warm_start_sha256=weights.checkpoint.sha256,
        folder=str(tmp_path / "warm"),
    )
    started = SegmentTrainable(segment_config(warm))
    first, second = told_by(started), told_by(started)
    assert "all weights taken" in started._log_path.read_text()
    resumed = replace(
        warm,
        resume=first.checkpoint.folder,
        resume_sha256=first.checkpoint.sha256,
        warm_start="/nowhere/any/more",
        folder=str(tmp_path / "resumed"),
    )
    again = SegmentTrainable(segment_config(resumed))
    assert told_by(again).checkpoint.sha256 == second.checkpoint.sha256
    assert "weights taken" not in again._log_path.read_text()


def test_a_training_that_diverges_is_a_failure_with_its_reason_and_never_an_eer(segment):
    wild = CONFIG.model_copy(
        update={"optimiser": AdamW(learning_rate=1.0, weight_decay=0), "gradient_clip": 1e30}
    )
    actor = SegmentTrainable(segment_config(replace(segment, config=wild.model_dump(mode="json"))))
    actor._prepared()
    with torch.no_grad():
        next(actor._training.encoder.parameters()).fill_(float("inf"))
    result = told_by(actor)
    assert isinstance(result, TrainingFailed)
    assert result.reason.startswith(("diverged", "collapsed"))
    assert result.reason in (actor._log_path).read_text()


def test_what_breaks_is_written_to_the_log_and_raised(segment):
    broken = replace(segment, warm_start="/nowhere/at/all", warm_start_sha256="0")
    actor = SegmentTrainable(segment_config(broken))
    with pytest.raises(checkpoint.CheckpointError, match="nowhere"):
        actor.step()
    assert "CheckpointError" in actor._log_path.read_text()


@pytest.mark.parametrize("file", [checkpoint.TENSORS, checkpoint.STATE])
def test_a_flipped_bit_of_its_own_checkpoint_is_told_and_nothing_of_it_is_used(segment, file):
    first = told_by(SegmentTrainable(segment_config(segment)))
    assert first.checkpoint.bytes == checkpoint.size(Path(first.checkpoint.folder))
    path = Path(first.checkpoint.folder) / file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    resumed = replace(
        segment, attempt=2, resume=first.checkpoint.folder, resume_sha256=first.checkpoint.sha256
    )
    actor = SegmentTrainable(segment_config(resumed))
    result = told_by(actor)
    assert isinstance(result, CheckpointUnusable)
    assert "was changed or damaged" in result.reason
    assert actor._training is None
    assert result.reason in actor._log_path.read_text()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_storage_that_takes_no_checkpoint_is_told_and_leaves_nothing_behind(
    segment, monkeypatch, number
):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    actor = SegmentTrainable(segment_config(segment))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        result = told_by(actor)
    assert result == StorageRefused("t0001", 1, number)
    left = {path.name for path in Path(segment.folder).iterdir()}
    assert left == {"log.txt", "worker-0001.json"}
    actor.reset_config(segment_config(replace(segment, attempt=2)))
    assert told_by(actor).epoch == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("place", ["/tmp/of/the/node", None])
def test_trouble_of_what_is_not_the_trainings_own_folder_is_told_as_an_error_of_its_own(
    segment, monkeypatch, place, number
):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), place)

    monkeypatch.setattr(Training, "run_epoch", refuse)
    actor = SegmentTrainable(segment_config(segment))
    with pytest.raises(OSError, match=os.strerror(number)):
        actor.step()
    assert os.strerror(number) in actor._log_path.read_text()


def _told(segment):
    stop_flag.request_stop(Path(segment.folder), segment.attempt)
    time.sleep(0.2)


def _resumed_from(segment, result):
    later = {
        "attempt": 2,
        "resume": result.checkpoint.folder,
        "resume_sha256": result.checkpoint.sha256,
    }
    return SegmentTrainable(segment_config(replace(segment, **later)))


def test_a_segment_that_is_told_to_leave_ends_in_mid_epoch_and_the_next_goes_on_there(
    segment, tmp_path, monkeypatch
):
    straight = SegmentTrainable(segment_config(replace(segment, folder=str(tmp_path / "other"))))
    straight.step()
    expected = told_by(straight)
    step, steps = Training._step, []

    def tell(self, batch, batches_of_epoch):
        rate = step(self, batch, batches_of_epoch)
        steps.append(batch)
        if len(steps) == 5:
            _told(segment)
        return rate

    with monkeypatch.context() as patch:
        patch.setattr(stop_flag, "POLL_SECONDS", 0.01)
        patch.setattr(Training, "_step", tell)
        actor = SegmentTrainable(segment_config(segment))
        actor.step()
        left = told_by(actor)
    assert isinstance(left, PartialReport)
    assert (left.epoch, left.steps, left.of, left.is_last) == (2, 2, 3, True)
    assert Path(left.checkpoint.folder).name == "epoch0002-step2-attempt1"
    assert left.checkpoint.bytes == checkpoint.size(Path(left.checkpoint.folder))
    assert "epoch 2 was interrupted after 2 of 3 steps, as requested" in actor._log_path.read_text()
    result = told_by(_resumed_from(segment, left))
    assert isinstance(result, EpochReport)
    assert (result.epoch, result.is_last) == (2, True)
    assert result.checkpoint.sha256 == expected.checkpoint.sha256
    pace = {"utterances_per_second": 0}
    assert result.metrics | pace == expected.metrics | pace


def test_what_is_told_while_the_dev_pairs_are_judged_leaves_nothing_but_that_to_do(
    segment, monkeypatch
):
    def tell(*args, progress):
        _told(segment)
        progress(1, 2)
        return evaluate_encoder(*args)

    with monkeypatch.context() as patch:
        patch.setattr(stop_flag, "POLL_SECONDS", 0.01)
        patch.setattr(trainable, "evaluate_encoder", tell)
        left = told_by(SegmentTrainable(segment_config(segment)))
    assert (left.epoch, left.steps, left.of) == (1, 3, 3)
    monkeypatch.setattr(Training, "_step", None)
    result = told_by(_resumed_from(segment, left))
    assert isinstance(result, EpochReport)
    assert result.epoch == 1
    encoder, _ = load_encoder(Path(result.checkpoint.folder), result.checkpoint.sha256)
    assert len(result.metrics) > 5
    assert (
        load_encoder(Path(left.checkpoint.folder))[0].state_dict().keys()
        == encoder.state_dict().keys()
    )


def test_a_storage_that_takes_no_checkpoint_in_mid_epoch_is_told_as_ever(segment, monkeypatch):
    def refuse(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    step = Training._step
    actor = SegmentTrainable(segment_config(segment))
    with monkeypatch.context() as patch:
        patch.setattr(stop_flag, "POLL_SECONDS", 0.01)
        patch.setattr(Training, "_step", lambda *a: (_told(segment), step(*a))[1])
        patch.setattr(os, "fsync", refuse)
        result = told_by(actor)
    assert result == StorageRefused("t0001", 1, errno.ENOSPC)
    assert not list(Path(segment.folder).glob("*-step*"))

"""The bridge to Ray: one segment of a training, from a checkpoint to a rung, epoch by epoch.

An actor is reused for the next segment; what is heavy (the packed corpus, the surroundings) stays
open between segments.
"""

import contextlib
import logging
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from spkmodel.augment.noise_and_rooms import NoiseAndRooms, open_noise_and_rooms
from spkmodel.config import TrainConfig
from spkmodel.core import checkpoint
from spkmodel.data import store_cache, store_uri
from spkmodel.data.store import Store
from spkmodel.training.epoch_state import EpochInterrupted, EpochResult
from spkmodel.training.nan_guard import Diverged
from spkmodel.training.trainer import Training
from spkmodel.verification.embed_and_score import Verdict, evaluate_encoder
from spkmodel.verification.scoring import Collapsed
from spkmodel.worker import processes, results
from spkmodel.worker.results import (
    CheckpointUnusable,
    EpochReport,
    PartialReport,
    SavedCheckpoint,
    StorageRefused,
    TrainingFailed,
    WorkerResult,
)
from spkmodel.worker.stop_flag import StopFlag

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """What one actor is asked to train; plain values only, for they travel between processes."""

    trial: str
    attempt: int
    config: dict[str, Any]
    to_epoch: int
    resume: str
    """Folder of the checkpoint to go on from; empty: from the start."""
    resume_sha256: str
    warm_start: str
    """Folder of the checkpoint whose weights the training starts from; empty: from chance. Where
    `resume` goes on, it is not read again."""
    warm_start_sha256: str
    folder: str
    """The training's own folder; checkpoints and the log file go there."""
    store: str
    dev_store: str
    noise: str
    rooms: str
    """Folders of ambiences and room responses; empty: the built-in ones."""
    threads: int
    device: str
    """`auto`, `cpu`, `cuda`, ..."""
    store_sha256: str = ""
    """Of the manifest of `store` where that is a URI; each node then fetches a copy of its own."""


class _Damaged(Exception):
    """The checkpoint that a training should go on from is missing or damaged."""


class SegmentTrainable(tune.Trainable):  # type: ignore[misc]  # Ray comes without types
    """Trains one segment; each step is an epoch, judged on the dev pairs and checkpointed."""

    def setup(self, config: dict[str, Any]) -> None:
        self._stores: dict[str, Store] = {}
        self._surroundings: dict[tuple[str, str], NoiseAndRooms] = {}
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next segment; the actor and what it has opened are kept."""
        self._segment = Segment(**new_config["segment"])
        self._training: Training | None = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(0)
        folder = Path(self._segment.folder)
        self._log_path = folder / "log.txt"
        node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
        with contextlib.suppress(OSError):  # where the storage is full, the epoch says so
            processes.announce(folder, self._segment.attempt, node)
        torch.set_num_threads(self._segment.threads)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch, and return what `results.to_tune` makes of its result.

        A training that was told to leave does so after a step, with a partial checkpoint.
        """
        return results.to_tune(self._epoch_or_failure())

    def _epoch_or_failure(self) -> WorkerResult:
        trial, attempt = self._segment.trial, self._segment.attempt
        try:
            return self._epoch()
        except (Diverged, Collapsed) as error:
            kind = "diverged" if isinstance(error, Diverged) else "collapsed"
            self._say(f"{kind}: {error}")
            return TrainingFailed(trial, attempt, self._next_epoch(), f"{kind}: {error}")
        except _Damaged as error:
            self._say(f"cannot go on: {error}")
            return CheckpointUnusable(trial, attempt, str(error))
        except Exception as error:
            # Where the search's own storage is in the way the trial waits; of trouble elsewhere, a
            # corpus's disk or this machine's, the attempt dies.
            self._say(traceback.format_exc())
            if number := self._own_storage_errno(error):
                return StorageRefused(trial, attempt, number)
            raise

    def _own_storage_errno(self, error: Exception) -> int:
        """Of trouble where all write; 0 if it is none, or a corpus's or this machine's own."""
        match error:
            case OSError(errno=int(number), filename=str() | Path() as name):
                is_own = Path(name).is_relative_to(self._segment.folder)
                return number if is_own and number in checkpoint.STORAGE_ERRORS else 0
            case _:
                return 0

    def _epoch(self) -> EpochReport | PartialReport:
        started = time.monotonic()
        training = self._prepared()
        with StopFlag(Path(self._segment.folder), self._segment.attempt) as told:
            try:
                epoch = training.run_epoch(should_stop=told)
                verdict = self._evaluate(training, told)
            except EpochInterrupted as left:
                return self._partial(training, left, started)
        saved = self._save(training, f"epoch{training.epoch:04d}")
        seconds = time.monotonic() - started
        self._say(
            f"epoch {training.epoch}: dev_eer={verdict.eer:.4f} "
            f"train_loss={epoch.train_loss:.4f} in {seconds:.1f} s"
        )
        return EpochReport(
            self._segment.trial,
            self._segment.attempt,
            training.epoch,
            _metrics(epoch, verdict),
            seconds,
            saved,
            _gpu_share(),
            is_last=training.epoch >= self._segment.to_epoch,
        )

    def _partial(self, training: Training, left: EpochInterrupted, started: float) -> PartialReport:
        """Save in the middle of an epoch, and return the result that ends the segment."""
        saved = self._save(training, f"epoch{left.epoch:04d}-step{left.steps}")
        self._say(f"{left}, as requested")
        return PartialReport(
            self._segment.trial,
            self._segment.attempt,
            left.epoch,
            left.steps,
            left.total_steps,
            time.monotonic() - started,
            saved,
        )

    def _prepared(self) -> Training:
        if self._training is None:
            segment = self._segment
            warm = None
            if segment.warm_start and not segment.resume:
                warm = checkpoint.read(Path(segment.warm_start), segment.warm_start_sha256)
            training = Training(
                TrainConfig.model_validate(segment.config),
                self._store(segment.store),
                self._open_noise_and_rooms(segment.noise, segment.rooms),
                _device(segment.device),
                warm,
            )
            if segment.resume:
                training.load(_own_checkpoint(segment))
            elif warm is not None:
                self._say(f"starts from {segment.warm_start}: {training.start}")
            self._training = training
        return self._training

    def _next_epoch(self) -> int:
        return 1 if self._training is None else self._training.epoch + 1

    def _evaluate(self, training: Training, stop_requested: StopFlag) -> Verdict:
        """Evaluate the network on the dev pairs.

        Raises:
            EpochInterrupted: a stop was requested; the resumed trial evaluates.
        """

        def leave(done: int, total: int) -> None:
            if stop_requested() and done < total:
                raise training.reopen()

        dev = self._store(self._segment.dev_store)
        pairs = self._store(self._segment.store).dev_pairs
        return evaluate_encoder(
            training.evaluated_encoder, dev, pairs, _device(self._segment.device), progress=leave
        )

    def _save(self, training: Training, name: str) -> SavedCheckpoint:
        """Write a checkpoint into a folder of this attempt: a forgotten one cannot touch it."""
        folder = Path(self._segment.folder) / f"{name}-attempt{self._segment.attempt}"
        tensors, state = training.state()
        sha256 = checkpoint.write(folder, tensors, state)
        return SavedCheckpoint(str(folder), sha256, checkpoint.size(folder))

    def _store(self, place: str) -> Store:
        """The store at a path; of a URI, this node's copy, fetched by the first who needs it."""
        if place not in self._stores:
            folder = Path(place)
            if store_uri.is_uri(place):
                folder = store_cache.fetch_store(place, self._segment.store_sha256)
            self._stores[place] = Store.open(folder)
        return self._stores[place]

    def _open_noise_and_rooms(self, noise: str, rooms: str) -> NoiseAndRooms:
        key = (noise, rooms)
        if key not in self._surroundings:
            self._surroundings[key] = open_noise_and_rooms(
                Path(noise) if noise else None, Path(rooms) if rooms else None, split="train"
            )
        return self._surroundings[key]

    def _say(self, line: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # No training ends for want of a log line; a checkpoint tells of a storage in the way.
        with contextlib.suppress(OSError):
            self._log_path.parent.mkdir(parents=True, exist_ok=True)
            with self._log_path.open("a", encoding="utf-8") as file:
                file.write(f"{stamp} attempt {self._segment.attempt}: {line.rstrip()}\n")


def _own_checkpoint(segment: Segment) -> checkpoint.Checkpoint:
    """Where the training was, verified.

    Raises:
        _Damaged: it is not what was recorded.
    """
    try:
        return checkpoint.read(Path(segment.resume), segment.resume_sha256)
    except checkpoint.CheckpointError as error:
        raise _Damaged(str(error)) from error


def segment_config(segment: Segment) -> dict[str, Any]:
    """The dictionary that Tune hands to the trainable."""
    return {"segment": asdict(segment)}


def _gpu_share() -> float:
    """The most of its GPU's memory that this process has held, as a fraction; 0 without one.

    What the allocator holds counts, used or not: nobody else can have it. The context of CUDA, some
    hundred megabytes, comes on top.
    """
    if not torch.cuda.is_available():
        return 0.0
    total = torch.cuda.get_device_properties(0).total_memory
    return round(torch.cuda.max_memory_reserved(0) / total, 4)


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _metrics(epoch: EpochResult, verdict: Verdict) -> dict[str, float]:
    bounds = {"dev_eer_low": verdict.low, "dev_eer_high": verdict.high}
    metrics = {
        "dev_eer": verdict.eer,
        # Too few speakers have no interval: then these are absent, also from MLflow.
        **{name: bound for name, bound in bounds.items() if bound is not None},
        "dev_speakers": float(verdict.speakers),
        "dev_min_dcf_p01": verdict.min_dcf_p01,
        "train_loss": epoch.train_loss,
        "learning_rate": epoch.learning_rate,
        "utterances_per_second": epoch.utterances_per_second,
    }
    return metrics | {_metric_name(part): value for part, value in epoch.parts.items()}


def _metric_name(part: str) -> str:
    """A loss's own figure among the metrics: `accuracy` there is not that of a verifier."""
    return f"train_{part}" if part.endswith(("accuracy", "loss")) else part

"""Train nothing, in no time, for the shipped glue and for ours alike."""

import hashlib
import json
from pathlib import Path
from typing import Any

from ray import tune

from spkmodel.worker import results

METRICS = (
    "dev_eer",
    "dev_eer_low",
    "dev_eer_high",
    "dev_min_dcf_p01",
    "train_loss",
    "learning_rate",
    "utterances_per_second",
)


def _chance(axes: dict[str, Any]) -> float:
    """Return a number that no sampler can foresee, so that new trials do not always advance.

    So a third of the trials advances from each rung, and both sides train about as many epochs.
    """
    digest = hashlib.sha256(json.dumps(axes, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


class Trivial(tune.Trainable):  # type: ignore[misc]  # Ray comes without types
    """A trainable whose config is a segment of ours, or parameters as Tune hands them out."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._segment = new_config.get("segment")
        self._axes = self._segment["axes"] if self._segment else new_config["axes"]
        self._epoch = self._segment["from_epoch"] if self._segment else 0
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        eer = 0.1 + 0.2 * _chance(self._axes) + 0.1 / self._epoch
        values = (eer, eer - 0.01, eer + 0.01, 5 * eer, 1 / self._epoch, 1e-3, 100.0)
        metrics = dict(zip(METRICS, values, strict=True))
        if self._segment is None:
            return metrics | {"epoch": self._epoch}
        place = Path(self._segment["folder"]) / f"e{self._epoch:04d}-{self._segment['attempt']}"
        place.mkdir(parents=True)
        size = (place / "state.json").write_bytes(b"{}")
        saved = results.SavedCheckpoint(str(place), "0" * 64, size)
        trial, attempt = self._segment["trial"], self._segment["attempt"]
        return results.to_tune(
            results.EpochReport(trial, attempt, self._epoch, metrics, 0.0, saved)
        )


def say(path: Path, figures: dict[str, Any]) -> None:
    """Write figures to a file for the process that started this one."""
    path.write_text(json.dumps(figures), encoding="utf-8")

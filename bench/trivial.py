"""A training that takes no time, for the shipped glue and for ours alike."""

import json
from pathlib import Path
from typing import Any

from ray import tune

from bench import toy_search

METRICS = (
    "dev_eer",
    "dev_eer_low",
    "dev_eer_high",
    "dev_min_dcf_p01",
    "train_loss",
    "learning_rate",
    "utterances_per_second",
)


class Trivial(tune.Trainable):
    """Its config is a segment of ours, or axes as Tune hands them out."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._segment = new_config.get("segment")
        self._axes = self._segment["axes"] if self._segment else new_config["axes"]
        self._truth = toy_search.truth_of(0)
        self._epoch = self._segment["from_epoch"] if self._segment else 0
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        eer = self._truth.dev_eer(self._axes) * (1 + 0.5 / self._epoch)
        values = (eer, eer - 0.01, eer + 0.01, 5 * eer, 1 / self._epoch, 1e-3, 100.0)
        metrics = dict(zip(METRICS, values, strict=True))
        if self._segment is None:
            return metrics | {"epoch": self._epoch}
        place = Path(self._segment["folder"]) / f"e{self._epoch:04d}-{self._segment['attempt']}"
        place.mkdir(parents=True)
        return {
            "metrics": metrics,
            "trial": self._segment["trial"],
            "attempt": self._segment["attempt"],
            "epoch": self._epoch,
            "seconds": 0.0,
            "checkpoint": str(place),
            "bytes": (place / "state.json").write_bytes(b"{}"),
            "sha256": "0" * 64,
            "failure": "",
        }


def say(path: Path, figures: dict[str, Any]) -> None:
    """Leave figures for the process that started this one."""
    path.write_text(json.dumps(figures), encoding="utf-8")

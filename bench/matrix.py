"""Train every encoder with every loss, in float32 and bfloat16, and resume bit by bit.

python -m bench.matrix [--device auto|cpu|cuda] [--again] [--random N] [--out FILE]

Each pair is trained for an epoch of two steps, saved, trained on, and trained on again from what
was saved, left after a step, saved and loaded once more: the loss and every gradient must be finite
and every weight have one, what went on and what was resumed must be the same weights, bit by bit on
the CPU, and the encoder must embed an utterance of 0.2 s. Results are appended to FILE as they
come, so that a run that was cut short goes on; --again starts over. Prints a table, and exits 1 if
anything failed. Minutes on two cores.
"""

import argparse
import contextlib
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.support import smallest_configs
from spkmodel.augment.noise_and_rooms import NoiseAndRooms, open_noise_and_rooms
from spkmodel.config import TrainConfig
from spkmodel.core import checkpoint
from spkmodel.data import corpus
from spkmodel.data.store import Store
from spkmodel.data.store_writing import pack_corpus
from spkmodel.training.epoch_state import EpochInterrupted
from spkmodel.training.trainer import Training

_SHORTEST_SAMPLES = 3200


@dataclass(frozen=True)
class Stage:
    """What all trainings of the matrix share."""

    store: Store
    noise_and_rooms: NoiseAndRooms
    folder: Path
    """For checkpoints."""
    device: str = "cpu"


def problems(config: TrainConfig, stage: Stage) -> list[str]:
    """Return what is wrong when a config is trained and resumed; empty if all is well."""
    straight = Training(config, stage.store, stage.noise_and_rooms, stage.device)
    watch = _Gradients(straight)
    first = straight.run_epoch()
    found = watch.problems()
    sha256 = checkpoint.write(stage.folder / "saved", *straight.state())
    second = straight.run_epoch()
    for epoch, result in enumerate((first, second), start=1):
        figures = {"loss": result.train_loss} | result.parts
        found += [
            f"{name} is {value} in epoch {epoch}"
            for name, value in figures.items()
            if not torch.tensor(value).isfinite()
        ]
    resumed = Training(config, stage.store, stage.noise_and_rooms, stage.device)
    resumed.load(checkpoint.read(stage.folder / "saved", sha256))
    with contextlib.suppress(EpochInterrupted):
        resumed.run_epoch(should_stop=lambda: True)
    sha256 = checkpoint.write(stage.folder / "saved", *resumed.state())
    resumed = Training(config, stage.store, stage.noise_and_rooms, stage.device)
    resumed.load(checkpoint.read(stage.folder / "saved", sha256))
    resumed.run_epoch()
    return found + _differences(straight, resumed, stage.device) + _short(straight, stage.device)


class _Gradients:
    """Records which weights got a gradient, and whether it was finite."""

    def __init__(self, training: Training) -> None:
        self._weights = dict(training.weights())
        self._seen: dict[str, bool] = {}
        for name, weight in self._weights.items():
            weight.register_post_accumulate_grad_hook(self._note(name))  # type: ignore[no-untyped-call]

    def _note(self, name: str) -> Any:
        def note(weight: torch.Tensor) -> None:
            assert weight.grad is not None
            finite = bool(weight.grad.isfinite().all())
            self._seen[name] = self._seen.get(name, True) and finite

        return note

    def problems(self) -> list[str]:
        missing = [name for name in self._weights if name not in self._seen]
        wild = [name for name, finite in self._seen.items() if not finite]
        return [f"no gradient: {name}" for name in missing] + [
            f"gradient not finite: {name}" for name in wild
        ]


def _differences(one: Training, other: Training, device: str) -> list[str]:
    mine, its = one.state()[0], other.state()[0]
    if mine.keys() != its.keys():
        return [f"resumed: other tensors: {sorted(mine.keys() ^ its.keys())[:3]}"]
    # An accelerator may add in any order.
    same = torch.equal if device == "cpu" else _close
    return [f"resumed: {name} differs" for name in mine if not same(mine[name], its[name])][:3]


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=1e-2, atol=1e-4)


def _short(training: Training, device: str) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    speech = 0.1 * torch.randn(1, _SHORTEST_SAMPLES, generator=generator)
    with torch.inference_mode():
        embedding = training.evaluated_encoder.eval()(speech.to(device))
    return [] if bool(embedding.isfinite().all()) else ["0.2 s of speech: embedding not finite"]


# --- the command ------------------------------------------------------------------------------


def pairs() -> Iterator[tuple[str, TrainConfig]]:
    """Return every example of an encoder with every example of a loss, in both precisions."""
    encoders, losses = (
        smallest_configs.every(smallest_configs.ENCODERS),
        smallest_configs.every(smallest_configs.LOSSES),
    )
    for encoder, loss, precision in itertools.product(encoders, losses, ("float32", "bfloat16")):
        config = smallest_configs.config(encoder=encoder, loss=loss, precision=precision)
        yield f"{encoder.kind} {loss.kind} {precision} {config.signature}", config


def drawn(count: int, seed: int) -> Iterator[tuple[str, TrainConfig]]:
    """Return random configs with one variant of every family."""
    chance = random.Random(seed)  # no secret
    for _ in range(count):
        config = smallest_configs.at_random(chance)
        name = f"{config.encoder.kind} {config.loss.kind} {config.precision} {config.signature}"
        yield f"drawn {name}", config


def main() -> int:
    options = _options()
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    done = {} if options.again else _read(options.out, device)
    if options.again:
        options.out.unlink(missing_ok=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    configs = [*pairs(), *drawn(options.random, options.seed)]
    print(f"{len(configs)} trainings on {device}, {len(done)} of them done before; {options.out}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        stage = made_stage(Path(folder), device)
        for number, (name, config) in enumerate(configs, start=1):
            if name in done:
                continue
            done[name] = _judged(config, stage)
            with options.out.open("a", encoding="utf-8") as file:
                line = {"device": device, "name": name, "problems": done[name]}
                file.write(json.dumps(line) + "\n")
            if number % 50 == 0:
                print(f"{number} of {len(configs)} after {time.monotonic() - began:.0f} s")
    return _table({name: done[name] for name, _ in configs})


def made_stage(folder: Path, device: str) -> Stage:
    """Return a packed corpus of eight voices, with the built-in noise and rooms."""
    packed = pack_corpus(
        corpus.open_corpus(smallest_configs.write_corpus(folder / "voices")), folder
    )
    return Stage(Store.open(packed), open_noise_and_rooms(None, None, "train"), folder, device)


def _judged(config: TrainConfig, stage: Stage) -> list[str]:
    try:
        return problems(config, stage)
    except Exception as error:  # noqa: BLE001  # it is one cell of the table
        return [f"{type(error).__name__}: {error}"[:300]]


def _read(path: Path, device: str) -> dict[str, list[str]]:
    if not path.is_file():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["name"]: line["problems"] for line in lines if line["device"] == device}


def _table(done: dict[str, list[str]]) -> int:
    """Return a line for each encoder, with how many losses it trains, and what failed."""
    of_encoder: dict[str, list[bool]] = {}
    for name, found in done.items():
        words = name.split()
        row = "drawn" if words[0] == "drawn" else words[0]
        of_encoder.setdefault(row, []).append(not found)
    for row, passed in of_encoder.items():
        print(f"{row:20s} {sum(passed):4d} of {len(passed):4d} train and go on")
    failed = {name: found for name, found in done.items() if found}
    for name, found in failed.items():
        print(f"FAILED {name}: {'; '.join(found)}")
    print(f"{len(done) - len(failed)} of {len(done)} passed")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.matrix", description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    parser.add_argument("--random", type=int, default=100, metavar="N", help="configs to draw")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn")
    parser.add_argument("--out", type=Path, default=Path("runs/matrix.jsonl"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""A search with checkpoints but no training: sines on disk, untrained networks, a ledger."""

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile
import torch

from search.ledger.ledger import Ledger
from spkmodel.augment.conditions import conditioned_store
from spkmodel.augment.noise_and_rooms import fingerprint
from spkmodel.config import TDNN, LogMel, TrainConfig
from spkmodel.core import checkpoint
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import Pair, TrainEntry, write_pairs, write_train_list
from spkmodel.data.store import Store
from spkmodel.data.store_writing import pack_corpus
from spkmodel.nn import encoders
from spkmodel.verification import embed_and_score
from tests.support.events import append

CONFIG = TrainConfig(
    encoder=TDNN(
        features=LogMel(mels=24, normalisation="fixed"),
        channels=12,
        dilations=(2,),
        expansion=2,
        embedding_dim=16,
    )
)


@dataclass(frozen=True)
class TinySearch:
    """Where the search's corpus, home and checkpoints are."""

    name: str
    corpus: Path
    home: Path

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.home / self.name / "ledger.jsonl")

    def checkpoint(self, trial: str, epoch: int) -> Path:
        return self.home / self.name / trial / f"epoch{epoch:04d}"


def make_corpus(folder: Path, speakers: int = 18, utterances: int = 4) -> Path:
    """Write voices that differ in pitch and harmonics, with speaker-disjoint lists."""
    rng = np.random.default_rng(7)
    paths: dict[str, list[str]] = {}
    for speaker in range(speakers):
        name = f"v{speaker:02d}"
        pitch_hz, tilt = rng.uniform(90, 260), rng.uniform(0.3, 1.2)
        for utterance in range(utterances):
            path = f"wav/{name}/{utterance}.wav"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, _voice(rng, pitch_hz, tilt), 16_000, subtype="PCM_16")
            paths.setdefault(name, []).append(path)
    names = list(paths)
    third = speakers // 3
    train = [TrainEntry(name, path) for name in names[:third] for path in paths[name]]
    write_train_list(folder / "train_list.txt", train)
    write_pairs(folder / "valid_trials.txt", _pairs(paths, names[third : 2 * third]))
    write_pairs(folder / "test_trials.txt", _pairs(paths, names[2 * third :]))
    return folder


def _voice(rng: np.random.Generator, pitch_hz: float, tilt: float) -> np.ndarray:
    seconds = np.arange(int(rng.uniform(0.7, 1.1) * 16_000)) / 16_000
    pitch_hz *= rng.uniform(0.93, 1.07)
    waveform = rng.standard_normal(len(seconds)) * 0.3
    for harmonic in range(1, int(7000 / pitch_hz)):
        waveform += harmonic**-tilt * np.sin(2 * np.pi * harmonic * pitch_hz * seconds)
    return 0.2 * waveform / waveform.std()


def _pairs(paths: dict[str, list[str]], speakers: list[str]) -> list[Pair]:
    owner = {path: speaker for speaker in speakers for path in paths[speaker]}
    return [Pair(owner[a] == owner[b], a, b) for a, b in combinations(owner, 2)]


def make_search(
    home: Path,
    corpus: Path,
    name: str,
    *,
    space: str = "tiny",
    dev_condition: str = "clean",
    weights: int = 0,
    again: bool = False,
) -> TinySearch:
    """Write a search: t0001 at rung 1, t0002 and t0003 at rung 3, t0003 with its true EERs."""
    store = Store.open(pack_corpus(open_corpus(corpus), home))
    dev = conditioned_store(store, "dev", dev_condition, None, None)
    tiny = TinySearch(name, corpus, home)
    with Ledger.open(home / name / "ledger.jsonl", write=True) as ledger:
        append(ledger, "search", **_settings(space, corpus, store, dev, dev_condition))
        append(ledger, "driver", host="here", pid=1)
        _trial(ledger, tiny, "t0001", {1: 0}, dev, pretend=0.499)
        _trial(ledger, tiny, "t0002", {1: 1, 3: 2}, dev, pretend=0.5)
        _trial(ledger, tiny, "t0003", {1: weights + 3, 3: weights + 4}, dev, pretend=None)
        for number in range(4, 10) if again else ():
            name = f"t{number:04d}"
            _trial(
                ledger, tiny, name, {3: 10 + number}, dev, pretend=None, queued=f"retrain/{number}"
            )
        append(ledger, "finish", reason="the budget of trials is spent", totals={})
    return tiny


def _settings(
    space: str, corpus: Path, store: Store, dev: Store, condition: str
) -> dict[str, object]:
    return {
        "space": space,
        "space_sha256": "5" * 64,
        "corpus": str(corpus),
        "corpus_sha256": store.sha256,
        "store": str(store.folder),
        "dev_store": str(dev.folder),
        "seed": 0,
        "dev_condition": condition,
        "noise": "",
        "rooms": "",
        "surroundings": fingerprint(None, None),
        "rungs": [1, 3],
        "eta": 3,
        "rule": "promotion",
        "trials": 3,
        "hours": None,
        "max_epochs": 3,
        "concurrent": 1,
        "cpus_per_trial": 1.0,
        "gpus_per_trial": 0.0,
        "tracking_uri": "",
        "versions": {},
    }


def _trial(
    ledger: Ledger,
    tiny: TinySearch,
    trial: str,
    seeds: dict[int, int],
    dev: Store,
    pretend: float | None,
    queued: str = "",
) -> None:
    """Append a trial whose epochs are networks of these seeds; `pretend` replaces dev EERs."""
    append(
        ledger,
        "trial",
        trial=trial,
        config=CONFIG.model_dump(mode="json"),
        signature=CONFIG.signature,
        origin="sampler",
        axes={"channels": 12},
        distributions={},
        wish=queued,
    )
    rung = max(seeds)
    append(ledger, "segment", trial=trial, attempt=1, from_epoch=0, to_rung=rung)
    for epoch, seed in seeds.items():
        encoder = random_encoder(seed)
        eer = pretend
        if eer is None:
            eer = embed_and_score.evaluate_encoder(encoder, dev, dev.dev_pairs).eer
        folder = tiny.checkpoint(trial, epoch)
        append(
            ledger,
            "report",
            trial=trial,
            attempt=1,
            epoch=epoch,
            metrics={"dev_eer": eer, "dev_eer_low": eer, "dev_eer_high": eer, "train_loss": 1.0},
            seconds=1.0,
            checkpoint=str(folder.relative_to(tiny.home / tiny.name)),
            sha256=write_checkpoint(folder, encoder),
        )
    outcome = "complete" if queued else "stopped"
    append(ledger, "end", trial=trial, state=outcome, reason="", rung=rung, by="rule")


def random_encoder(seed: int) -> torch.nn.Module:
    """Return an untrained network, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return encoders.build(CONFIG.encoder).eval()


def write_checkpoint(folder: Path, encoder: torch.nn.Module) -> str:
    """Write a checkpoint as a training would, and return its hash."""
    tensors = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    state = {"config": CONFIG.model_dump(mode="json"), "device": "cpu"}
    return checkpoint.write(folder, tensors, state)

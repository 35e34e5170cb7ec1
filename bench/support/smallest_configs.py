"""List the smallest sensible example of every variant of a config, and write a tiny corpus.

Every family of variants is walked by its union in `spkmodel.config`: `missing` names the variants
that have no example here yet.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import soundfile

from spkmodel import config as c
from spkmodel.data.lists import Pair, TrainEntry, write_pairs, write_train_list

CROP_SECONDS = 0.5
_SPEAKERS, _UTTERANCES = 4, 4
_MELS = c.LogMel(mels=24)

Examples = Mapping[type[Any], Sequence[Any]]

ENCODERS: Examples = {
    c.TDNN: [
        c.TDNN(features=_MELS, channels=8, dilations=(2,), expansion=1, embedding_dim=8),
        c.TDNN(
            features=c.LogMel(mels=24, spec_augment=c.SpecAugment(probability=1.0)),
            channels=8,
            dilations=(2,),
            pooling=c.MultiHead(heads=2),
            embedding_dim=8,
            dropout=0.2,
        ),
        c.TDNN(
            features=c.LinearMel(mels=24, normalisation="instance"),
            channels=8,
            dilations=(2,),
            pooling="context_asp",
            embedding_dim=8,
        ),
    ],
    c.LogNet: [
        c.LogNet(in_channels=4, channels=(4,) * 4, resblocks=(0, 0, 1, 1), dense=(8, 8)),
        c.LogNet(
            merge="add",
            in_channels=4,
            channels=(4, 8, 8),
            resblocks=(1, 1, 1),
            kernel=4,
            activation="relu",
            eblock_norm="batch",
            dense=(8, 8),
            out_dim=6,
            dropout=0.3,
        ),
        c.LogNet(
            in_channels=4,
            channels=(4,) * 3,
            resblocks=(1, 1, 1),
            resblock_norm="batch_renorm",
            order="O3",
            dense=(8,),
            embedding_norm="l2",
        ),
    ],
    c.ResNetSE34L: [
        c.ResNetSE34L(features=_MELS, channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=8),
    ],
    c.ResNetSE34Half: [
        c.ResNetSE34Half(
            features=_MELS, channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=8, pooling="asp"
        ),
    ],
    c.ResNetSE34V2: [
        c.ResNetSE34V2(
            features=_MELS, channels=(8,) * 4, blocks=(1,) * 4, embedding_dim=8, attention_dim=4
        ),
    ],
    c.VGGVox: [c.VGGVox(channels=(4,) * 6, embedding_dim=8)],
    c.RawNet3: [
        c.RawNet3(channels=16, scale=2, summary_dim=16, attention_dim=4, embedding_dim=8),
    ],
    c.ECAPATDNN: [
        c.ECAPATDNN(
            features=_MELS,
            channels=8,
            dilations=(2,),
            scale=4,
            squeeze_dim=4,
            summary_dim=8,
            embedding_dim=8,
        ),
    ],
    c.XVector: [
        c.XVector(features=_MELS, channels=8, summary_dim=8, segment_dim=8, embedding_dim=8),
    ],
    c.ResNet34: [
        c.ResNet34(features=_MELS, channels=(4,) * 4, blocks=(1,) * 4, embedding_dim=8),
    ],
    c.CAMPlusPlus: [
        c.CAMPlusPlus(
            features=_MELS,
            head_channels=4,
            channels=8,
            growth=4,
            bottleneck=8,
            blocks=(1, 1),
            dilations=(1, 2),
            embedding_dim=8,
        ),
    ],
}

LOSSES: Examples = {
    c.Softmax: [c.Softmax(), c.Softmax(head="act_dense_act_dense", head_activation="swish")],
    c.AMSoftmax: [c.AMSoftmax()],
    c.AAMSoftmax: [
        c.AAMSoftmax(),
        c.AAMSoftmax(margin_schedule=c.LinearMargin(from_epoch=0, to_epoch=2)),
    ],
    c.SubCentreAAMSoftmax: [c.SubCentreAAMSoftmax(centres=2, hard_speakers=2)],
    c.AngularPrototypical: [c.AngularPrototypical()],
    c.Prototypical: [c.Prototypical()],
    c.GE2E: [c.GE2E(), c.GE2E(form="contrast")],
    c.Triplet: [
        c.Triplet(margin=1.0),
        c.Triplet(margin=1.0, mining="batch_hard", normalise=False),
        c.Triplet(margin=1.0, mining="batch_semi_hard", distance="squared"),
        c.Triplet(margin=1.0, mining="random_semi_hard", distance="cosine"),
        c.Triplet(margin=1.0, mining="rank", hard_rank=2, hard_probability=0.5),
        c.Triplet(margin=0.0, mining="batch_hard", form="softplus"),
    ],
    c.Centre: [],
    c.Combined: [
        c.Combined(terms=(c.Weighted(loss=c.Softmax()), c.Weighted(loss=c.Triplet(), weight=0.5))),
        c.Combined(terms=(c.Weighted(loss=c.AAMSoftmax()), c.Weighted(loss=c.Centre()))),
    ],
}
"""Centre loss alone is refused by the config; it is in a sum."""

OPTIMISERS: Examples = {
    c.Adam: [c.Adam(), c.Adam(l2=1e-6, decayed="all")],
    c.AdamW: [c.AdamW()],
    c.NAdam: [c.NAdam(l2=1e-6), c.NAdam(weight_decay=0.01)],
    c.SGD: [c.SGD(learning_rate=0.01), c.SGD(learning_rate=0.01, nesterov=True, l2=1e-4)],
}

SCHEDULES: Examples = {
    c.Constant: [c.Constant(warmup_epochs=1)],
    c.StepDecay: [c.StepDecay(every_epochs=1)],
    c.ExponentialDecay: [c.ExponentialDecay(every_steps=1)],
    c.ExponentialFall: [c.ExponentialFall(epochs=2)],
    c.Cosine: [c.Cosine(epochs=2)],
    c.CosineRestarts: [c.CosineRestarts()],
    c.SGDR: [c.SGDR(first_steps=3)],
    c.OneCycle: [c.OneCycle(epochs=2)],
}

AUGMENTS: Sequence[c.Augment] = [
    c.Augment(),
    c.Augment(gain_db=6, filter_probability=0.5, room_probability=0.5, noise_probability=0.5),
    c.Augment(speed=c.Speed()),
    c.Augment(speed=c.Speed(rates=(0.95, 1.05), new_speakers=False)),
    c.Augment(babble=c.Babble(probability=1.0, talkers_low=1, talkers_high=2)),
    c.Augment(data_pp=c.DataPP()),
]


def missing() -> list[str]:
    """Return the names of variants without an example."""
    families = [
        (c.Encoder, ENCODERS),
        (c.Loss, LOSSES),
        (c.Optimiser, OPTIMISERS),
        (c.Schedule, SCHEDULES),
    ]
    return [
        variant.__name__
        for union, examples in families
        for variant in variants(union)
        if variant not in examples
    ]


def variants(union: Any) -> tuple[type[Any], ...]:
    """Return the members of an annotated union."""
    return get_args(get_args(union)[0])


def every(examples: Examples) -> list[Any]:
    """Return all examples of a family."""
    return [example for some in examples.values() for example in some]


def first(examples: Examples) -> list[Any]:
    """Return the first, and smallest, example of each variant."""
    return [some[0] for some in examples.values() if some]


def config(**changes: Any) -> c.TrainConfig:
    """Return a config of two batches an epoch and a tiny network, with `changes`."""
    settings = {
        "encoder": ENCODERS[c.TDNN][0],
        "loss": c.AAMSoftmax(),
        "batches": c.Batches(speakers=_SPEAKERS, utterances=2, crop_seconds=CROP_SECONDS),
    }
    return c.TrainConfig(**(settings | changes))


def at_random(chance: random.Random) -> c.TrainConfig:
    """Return a random config with one variant of every family."""
    loss = chance.choice(every(LOSSES))
    augment = chance.choice(AUGMENTS)
    changes: dict[str, Any] = {
        "encoder": chance.choice(every(ENCODERS)),
        "loss": loss,
        "augment": augment,
        "optimiser": chance.choice(every(OPTIMISERS)),
        "schedule": chance.choice(every(SCHEDULES)),
        "precision": chance.choice(["float32", "bfloat16"]),
        "ema": chance.choice([None, c.EMA(), c.EMA(decay=0.9, warm_up=False)]),
        "batches_per_step": chance.choice([1, 2]),
        "gradient_clip": chance.choice([None, 5.0]),
        "seed": chance.randrange(1000),
    }
    if chance.random() < 0.5 and _has_class_margin(loss):
        changes["fine_tune"] = c.LargeMarginFineTuning(from_epoch=2, crop_seconds=0.6)
    return config(**changes)


def _has_class_margin(loss: c.Loss) -> bool:
    try:
        c.with_margin(loss, 0.5)
    except ValueError:
        return False
    return True


def write_corpus(folder: Path) -> Path:
    """Write a corpus of eight voices: four to train on, two for dev pairs, two for test pairs."""
    chance = np.random.default_rng(5)
    paths: dict[str, list[str]] = {}
    for speaker in range(2 * _SPEAKERS):
        for utterance in range(_UTTERANCES):
            path = f"wav/v{speaker}/{utterance}.wav"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / path, _voice(speaker, chance), 16_000, subtype="PCM_16")
            paths.setdefault(f"v{speaker}", []).append(path)
    names = list(paths)
    train = [TrainEntry(name, path) for name in names[:_SPEAKERS] for path in paths[name]]
    write_train_list(folder / "train_list.txt", train)
    for file, (one, other) in {
        "valid_trials.txt": names[_SPEAKERS : _SPEAKERS + 2],
        "test_trials.txt": names[_SPEAKERS + 2 :],
    }.items():
        pairs = [Pair(True, a, b) for a, b in zip(paths[one], paths[one][1:], strict=False)]
        pairs += [Pair(False, a, b) for a, b in zip(paths[one], paths[other], strict=True)]
        write_pairs(folder / file, pairs)
    return folder


def _voice(speaker: int, chance: np.random.Generator) -> np.ndarray:
    seconds = np.arange(int(0.75 * 16_000)) / 16_000
    pitch_hz = 90 + 25 * speaker + chance.normal(0, 3)
    hum = sum(np.sin(2 * np.pi * k * pitch_hz * seconds) / k for k in range(1, 20))
    return 0.1 * (hum + 0.3 * chance.standard_normal(len(seconds)))

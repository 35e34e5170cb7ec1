"""The source of a space whose trainings take a second or two."""

SPACE = '''"""How fast should a tiny network learn?"""

from spkmodel.config import TDNN, AdamW, Batches, TrainConfig


def space(trial):
    """Two axes."""
    return TrainConfig(
        encoder=TDNN(
            channels=trial.suggest_categorical("channels", [8, 16]),
            dilations=(2,),
            embedding_dim=16,
        ),
        batches=Batches(speakers=6, utterances=2, crop_seconds=0.5),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
    )
'''

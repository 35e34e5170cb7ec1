"""What batches and augmentation may be, and what a corpus must have for them."""

import pytest
from pydantic import ValidationError

from spkmodel.config import (
    Augment,
    Babble,
    Batches,
    DataPP,
    LogMel,
    SpecAugment,
    Speed,
    TrainConfig,
)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Speed(rates=(1.0,)), "augment.speed.rates needs two or more rates"),
        (lambda: Speed(rates=(1.0, 0.9, 0.9)), "augment.speed.rates needs two or more rates, each"),
        (lambda: Speed(rates=(1.0, 1.005)), "augment.speed.rates must be hundredths"),
        (lambda: Speed(rates=(1.0, 2.1)), "augment.speed.rates must be hundredths from 0.5 to 2"),
        (lambda: Speed(rates=(0.9, 1.1)), "augment.speed.rates must contain 1.0"),
        (lambda: Babble(talkers_low=5, talkers_high=4), "augment.babble.talkers_low must not"),
        (lambda: Babble(snr_db_low=5, snr_db_high=4), "augment.babble.snr_db_low must not"),
        (
            lambda: Batches(utterances=4, max_utterances_per_speaker=3),
            "batches.max_utterances_per_speaker must be at least batches.utterances=4",
        ),
        (
            lambda: LogMel(mels=24, spec_augment=SpecAugment(frequency_width_mels=24)),
            "features.spec_augment.frequency_width_mels must be less than features.mels=24",
        ),
        (
            lambda: TrainConfig(
                batches=Batches(speakers=4, utterances=2), augment=Augment(babble=Babble())
            ),
            "augment.babble.talkers_high=7, but a batch has only 6 crops",
        ),
        (
            lambda: TrainConfig(
                batches=Batches(speakers=6, utterances=2),
                augment=Augment(babble=Babble(), speed=Speed()),
            ),
            "augment.babble.talkers_high=7, but a batch has only 6 crops",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_fields_name(make, words):
    with pytest.raises(ValidationError, match=words):
        make()


def test_speed_without_new_speakers_needs_no_rate_of_one_and_no_classes():
    config = TrainConfig(augment=Augment(speed=Speed(rates=(0.95, 1.05), new_speakers=False)))
    assert config.classes(10) == 10


def test_speed_as_new_speakers_multiplies_the_classes_and_keeps_the_speakers_own_first():
    speed = Speed(rates=(0.9, 1.0, 1.1))
    assert TrainConfig(augment=Augment(speed=speed)).classes(10) == 30
    assert speed.ordered == (1.0, 0.9, 1.1)
    assert TrainConfig().classes(10) == 10


def test_the_logs_entries_are_as_its_code_has_them():
    found = {
        entry: (
            pp.smooth_probability,
            pp.noise_probability,
            pp.noise_repeats,
            pp.noise_smooth_probability,
            pp.noise_smooth_samples,
        )
        for entry in (39, 40, 41, 125)
        for pp in [DataPP.from_entry(entry)]
    }
    assert found == {
        39: (0.0, 0.8, False, 0.0, 1.0),
        40: (0.5, 0.8, False, 0.7, 1.0),
        41: (0.5, 0.7, True, 0.8, 1.5),
        125: (0.1, 0.7, True, 0.8, 1.5),
    }
    assert DataPP.from_entry(125) == DataPP()
    assert (DataPP().smooth_samples, DataPP().noise_deviation) == (0.75, 0.025)
    assert DataPP().attenuation_db == 40


def refusal(config, **corpus):
    facts = {"utterances_of": [10] * 100, "longest_seconds": 5.0}
    try:
        config.check_corpus(**(facts | corpus))
    except ValueError as error:
        return str(error)
    return ""


def test_a_crop_longer_than_every_utterance_is_refused_with_the_longest_that_fits():
    config = TrainConfig(batches=Batches(crop_seconds=2.0))
    assert refusal(config, longest_seconds=2.0) == ""
    assert refusal(config, longest_seconds=1.5) == (
        "batches.crop_seconds=2.0 is longer than every training utterance, the longest lasting "
        "1.50 s; set it to 1.50 or less"
    )


def test_what_a_faster_rate_reads_counts_as_part_of_the_crop():
    speed = Speed(rates=(1.0, 1.25))
    config = TrainConfig(batches=Batches(crop_seconds=2.0), augment=Augment(speed=speed))
    assert refusal(config, longest_seconds=2.5) == ""
    assert "batches.crop_seconds=2.0 at 1.25 times the speed (augment.speed)" in refusal(
        config, longest_seconds=2.4
    )
    assert "set it to 1.92 or less" in refusal(config, longest_seconds=2.4)

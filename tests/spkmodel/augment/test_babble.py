"""Other people in the background: who they are, how many, how loud."""

import pytest
import torch

from spkmodel.augment import Augmenter, babble, scale_to_snr
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.augment.sounds import draw_talkers
from spkmodel.config import Augment, Babble

NOWHERE = NoiseAndRooms.from_arrays((), (), ())
SPEAKERS = torch.arange(6).repeat_interleave(2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nobody_talks_behind_themselves_and_everybody_behind_everybody_else():
    counts = torch.zeros(12, 12)
    talkers = torch.randint(1, 6, (12,), generator=seeded(1))
    for seed in range(300):
        heard = draw_talkers(SPEAKERS, talkers, seeded(seed))
        assert torch.equal(heard.sum(dim=1), talkers.float())
        assert set(heard.unique().tolist()) == {0.0, 1.0}
        counts += heard
    own = SPEAKERS.unsqueeze(1) == SPEAKERS.unsqueeze(0)
    assert not counts[own].any()
    share = counts / counts.sum(dim=1, keepdim=True)
    assert 0.06 < share[~own].min() < 0.1 < share[~own].max() < 0.14


def test_all_talkers_are_equally_loud_whatever_their_level():
    voices = torch.eye(4).repeat_interleave(50, dim=1) * torch.tensor([[1.0], [0.1], [5.0], [0.0]])
    mixed = babble(voices, torch.tensor([[1.0, 1, 1, 1]]))
    powers = mixed.reshape(4, 50).square().mean(dim=1)
    torch.testing.assert_close(powers, torch.tensor([4.0, 4, 4, 0]))


@pytest.fixture(scope="module")
def crops() -> torch.Tensor:
    levels = torch.logspace(-2, 0, 12).unsqueeze(1)
    return levels * torch.randn(12, 2000, generator=seeded(7))


def test_babble_lies_in_its_range_of_snr_below_the_speech(crops):
    config = Augment(babble=Babble(probability=1, snr_db_low=3, snr_db_high=9))
    added = Augmenter(config, NOWHERE)(crops, seeded(), SPEAKERS) - crops
    snr_db = 10 * torch.log10(crops.square().mean(1) / added.square().mean(1))
    assert 2.9 < snr_db.min() < snr_db.max() < 9.1
    assert snr_db.max() - snr_db.min() > 2


def test_babble_is_made_of_the_others_crops_alone():
    # Every speaker sounds at a time of their own, so that what is added says who talks.
    crops = torch.zeros(12, 6000)
    for row, speaker in enumerate(SPEAKERS.tolist()):
        crops[row, 1000 * speaker : 1000 * (speaker + 1)] = 0.1
    config = Augment(babble=Babble(probability=1, talkers_low=2, talkers_high=4))
    for seed in range(20):
        added = Augmenter(config, NOWHERE)(crops, seeded(seed), SPEAKERS) - crops
        talking = added.reshape(12, 6, 1000).abs().amax(dim=2) > 1e-6
        assert not talking[torch.arange(12), SPEAKERS].any()
        assert 1 <= talking.sum(dim=1).min() <= talking.sum(dim=1).max() <= 4


def test_the_ambiences_level_is_set_against_the_speech_and_not_against_the_babble(crops):
    ambience = torch.randn(9000, generator=seeded(3)).numpy()
    around = NoiseAndRooms.from_arrays((ambience,), (), ("a",))
    loud = Babble(probability=1, snr_db_low=-20, snr_db_high=-20)
    alone = Augment(babble=loud)
    both = Augment(babble=loud, noise_probability=1, snr_db_low=10, snr_db_high=10)
    added = Augmenter(both, around)(crops, seeded(), SPEAKERS) - Augmenter(alone, around)(
        crops, seeded(), SPEAKERS
    )
    snr_db = 10 * torch.log10(crops.square().mean(1) / added.square().mean(1))
    torch.testing.assert_close(snr_db, torch.full((12,), 10.0), rtol=0, atol=0.1)


def test_babble_touches_its_share_of_the_crops():
    crops = torch.randn(400, 50, generator=seeded(1))
    config = Augment(babble=Babble(probability=0.25))
    heard = Augmenter(config, NOWHERE)(crops, seeded(), torch.arange(400))
    touched = (heard != crops).any(dim=1)
    assert 70 <= int(touched.sum()) <= 130
    assert torch.equal(heard[~touched], crops[~touched])


def test_more_talkers_than_a_batch_has_others_is_an_error_that_names_the_field(crops):
    config = Augment(babble=Babble(talkers_low=11, talkers_high=11))
    with pytest.raises(ValueError, match=r"augment\.babble\.talkers_high: .* 10 crops of other"):
        Augmenter(config, NOWHERE)(crops, seeded(), SPEAKERS)


def test_a_sound_is_levelled_to_a_tenth_of_a_decibel(crops):
    sounds = torch.randn(12, 2000, generator=seeded(2)) * torch.logspace(-3, 1, 12).unsqueeze(1)
    snr_db = torch.linspace(-10, 40, 12)
    levelled = scale_to_snr(crops, sounds, snr_db)
    measured = 10 * torch.log10(crops.square().mean(1) / levelled.square().mean(1))
    torch.testing.assert_close(measured, snr_db, rtol=0, atol=0.1)

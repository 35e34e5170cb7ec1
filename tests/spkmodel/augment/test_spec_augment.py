"""Masks on frames: where, how wide, with what, and in training alone."""

import pytest
import torch

from spkmodel.augment.spec_augment import FrameMasks, draw_spans
from spkmodel.config import LogMel, SpecAugment
from spkmodel.nn import features

ALWAYS = SpecAugment(probability=1, frequency_masks=1, time_masks=2)


@pytest.fixture(autouse=True)
def _own_generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def frames(batch: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 3 + torch.randn(batch, 40, 80, generator=generator)


def test_nothing_is_masked_outside_of_training():
    masks = FrameMasks(ALWAYS).eval()
    whole = frames()
    assert masks(whole) is whole


def test_what_is_masked_takes_the_utterances_mean_and_the_rest_stays():
    whole = frames()
    masked = FrameMasks(ALWAYS)(whole)
    changed = masked != whole
    assert changed.any(dim=(1, 2)).all()
    for row in range(6):
        filled = masked[row][changed[row]]
        torch.testing.assert_close(filled, whole[row].mean().expand_as(filled))


def test_a_mask_covers_whole_bands_or_whole_frames():
    whole = frames(50)
    changed = FrameMasks(ALWAYS)(whole) != whole
    bands, times = changed.all(dim=2), changed.all(dim=1)
    assert torch.equal(changed, bands.unsqueeze(2) | times.unsqueeze(1))
    assert int(bands.sum(dim=1).max()) <= ALWAYS.frequency_width_mels
    assert int(times.sum(dim=1).max()) <= 2 * ALWAYS.time_width_frames


def test_widths_are_even_from_0_to_the_widest_and_every_place_is_reached():
    spans = draw_spans(6000, 1, 5, 12)
    widths = spans.sum(dim=1)
    counts = torch.bincount(widths, minlength=6)
    assert len(counts) == 6
    assert 900 < counts.min() < counts.max() < 1100
    assert spans.any(dim=0).all()
    steps = spans.int().diff(dim=1).abs().sum(dim=1)
    assert int(steps.max()) <= 2  # of one piece


def test_a_mask_is_no_longer_than_the_frames_there_are():
    assert FrameMasks(SpecAugment(probability=1, time_width_frames=1000))(frames()).isfinite().all()
    assert int(draw_spans(500, 1, 1000, 7).sum(dim=1).max()) == 7


def test_an_utterance_is_masked_with_its_probability():
    config = SpecAugment(probability=0.3, frequency_width_mels=20, time_width_frames=40)
    whole = frames(1000)
    share = (FrameMasks(config)(whole) != whole).any(dim=(1, 2)).float().mean()
    assert 0.25 < float(share) < 0.35


def test_torchs_own_generator_decides_the_masks():
    whole, masks = frames(), FrameMasks(ALWAYS)
    torch.manual_seed(5)
    first = masks(whole)
    torch.manual_seed(5)
    assert torch.equal(masks(whole), first)
    assert not torch.equal(masks(whole), first)


@pytest.mark.parametrize("normalisation", ["fixed", "level", "mean", "instance"])
def test_a_front_end_masks_while_it_trains_and_has_no_weights_for_it(normalisation):
    plain = features.build(LogMel(normalisation=normalisation))
    masking = features.build(LogMel(normalisation=normalisation, spec_augment=ALWAYS))
    assert plain.state_dict().keys() == masking.state_dict().keys()
    waveforms = torch.randn(3, 8000, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(masking(waveforms), plain(waveforms))
    assert torch.equal(masking.eval()(waveforms), plain(waveforms))


@pytest.mark.parametrize(
    "masks",
    [
        {"frequency_masks": 0, "time_masks": 0},
        {"frequency_masks": 0, "time_width_frames": 0},
        {"frequency_width_mels": 0, "time_width_frames": 0},
    ],
)
def test_masks_that_mask_nothing_are_refused(masks):
    with pytest.raises(ValueError, match="masks nothing"):
        SpecAugment(**masks)

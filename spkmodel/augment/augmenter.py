"""Apply all augmentation steps of a config in their order, drawn anew for each crop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.augment import data_pp
from spkmodel.augment.channel import (
    LONGEST_FILTER_SAMPLES,
    fast_size,
    filter_response,
    room_spectra,
)
from spkmodel.augment.data_pp import PreProcessingDraws
from spkmodel.augment.draws import (
    AmbienceDraws,
    BabbleDraws,
    FilterAndRoomDraws,
    draw_ambiences,
    draw_babble,
    draw_filter_and_room,
    draw_gain_db,
    draw_of_categories,
)
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.augment.sound_store import Sound, Sounds, read_excerpt
from spkmodel.augment.sounds import babble, gain, mix_talkers, scale_to_snr
from spkmodel.config import Augment
from spkmodel.core.device_copy import copy_to_device

_CACHED_BINS = 1 << 23
"""Bins of room spectra that are kept, 64 MB; of more rooms, each batch transforms its own."""


@dataclass(slots=True)
class AugmentationDraws:
    """What was drawn for one batch; None for a step that the config does not have."""

    gain_db: Float[Tensor, " batch"] | None = None
    channel: FilterAndRoomDraws | None = None
    babble: BabbleDraws | None = None
    ambiences: AmbienceDraws | None = None
    data_pp: PreProcessingDraws | None = None


class Augmenter:
    """Draws anew for every crop; the same generator state gives the same crops.

    Crops must be on `device`; the generator is the CPU's, where rooms and ambiences lie too.
    Speed is not in here: `batches` reads what it needs more or less of.
    """

    def __init__(
        self, config: Augment, noise_and_rooms: NoiseAndRooms, device: torch.device | str = "cpu"
    ) -> None:
        self._config = config
        self._device = torch.device(device)
        self._rooms, self._ambiences = noise_and_rooms.rooms, noise_and_rooms.ambiences
        # A flat folder has no categories: all of its recordings count as noise.
        everything = {"noise": np.arange(len(self._ambiences))}
        self._ambience_categories = noise_and_rooms.ambience_categories or everything
        use_rooms = config.categories is not None
        self._room_categories = noise_and_rooms.room_categories if use_rooms else {}
        self._room_spectra: tuple[int, Tensor] | None = None
        if config.room_probability > 0 and not self._rooms:
            raise ValueError("augment.room_probability is above 0, but there are no rooms")
        if config.noise_probability > 0 and not self._ambiences:
            raise ValueError("augment.noise_probability is above 0, but there are no ambiences")

    def __call__(
        self,
        waveforms: Float[Tensor, "batch samples"],
        generator: torch.Generator,
        speakers: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch samples"]:
        """Return the augmented crops; `speakers`, on the CPU, tell babble whose they are."""
        return self.apply(waveforms, self.draw(waveforms.shape, generator, speakers))

    def draw(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        speakers: Int[Tensor, " batch"] | None = None,
    ) -> AugmentationDraws:
        """Draw on the CPU what happens to crops of a shape (batch, samples)."""
        config, (batch, samples) = self._config, shape
        draws = AugmentationDraws()
        if config.gain_db > 0:
            draws.gain_db = draw_gain_db(config.gain_db, batch, generator)
        if config.filter_probability > 0 or config.room_probability > 0:
            rooms = self._room_categories or len(self._rooms)
            draws.channel = draw_filter_and_room(config, rooms, batch, generator)
        if config.babble is not None:
            assert speakers is not None, "babble needs to know whose crops these are"
            draws.babble = draw_babble(config.babble, speakers, generator)
        if config.noise_probability > 0 and config.categories is not None:
            draws.ambiences = draw_of_categories(
                config.categories,
                config.noise_probability,
                self._ambience_categories,
                batch,
                generator,
            )
        elif config.noise_probability > 0:
            draws.ambiences = draw_ambiences(config, len(self._ambiences), batch, generator)
        if config.data_pp is not None:
            draws.data_pp = data_pp.draw(batch, samples, config.data_pp, generator)
        return draws

    def apply(
        self, waveforms: Float[Tensor, "batch samples"], draws: AugmentationDraws
    ) -> Float[Tensor, "batch samples"]:
        """Return the crops with what was drawn for them; on a GPU the host waits for nothing."""
        if draws.gain_db is not None:
            waveforms = gain(waveforms, self._on_device(draws.gain_db))
        if draws.channel is not None and len(draws.channel.touched):
            waveforms = self._filter_and_reverberate(waveforms, draws.channel)
        # Levels of babble and ambience are relative to the speech alone, not to each other.
        speech = waveforms
        if draws.babble is not None and len(draws.babble.rows):
            voices = babble(speech, self._on_device(draws.babble.talking))
            waveforms = self._with(speech, speech, draws.babble.rows, voices, draws.babble.snr_db)
        if draws.ambiences is not None and len(draws.ambiences.rows):
            waveforms = self._add_ambiences(waveforms, speech, draws.ambiences)
        if draws.data_pp is not None:
            waveforms = data_pp.apply(waveforms, draws.data_pp)
        return waveforms

    def _filter_and_reverberate(self, waveforms: Tensor, draws: FilterAndRoomDraws) -> Tensor:
        samples = waveforms.shape[1]
        # Long enough for filter and room together, or the end would wrap around to the beginning.
        longest = int(self._rooms.lengths.max(initial=1))
        size = fast_size(samples + min(longest, samples) + LONGEST_FILTER_SAMPLES)
        place = self._on_device(draws.touched)
        spectra = torch.fft.rfft(waveforms[place], size)
        spectra *= filter_response(self._on_device(draws.points_db), size)
        if len(draws.in_room):
            rooms = self._spectra_of_rooms(draws.rooms, samples, size)
            spectra[self._on_device(draws.in_room)] *= rooms
        # A copy: the crops that come in may still be in use.
        result = waveforms.clone()
        result[place] = torch.fft.irfft(spectra, size)[:, :samples]
        return result

    def _spectra_of_rooms(self, rooms: Sequence[int], samples: int, size: int) -> Tensor:
        """Return the spectrum of each of some rooms, for crops of one length."""
        if len(self._rooms) * (size // 2 + 1) > _CACHED_BINS:
            used = sorted(set(rooms))
            every, places = self._transform(used, samples, size), [used.index(r) for r in rooms]
            return every[self._on_device(torch.tensor(places))]
        if self._room_spectra is None or self._room_spectra[0] != size:
            every = self._transform(range(len(self._rooms)), samples, size)
            self._room_spectra = (size, every)
        return self._room_spectra[1][self._on_device(torch.tensor(rooms))]

    def _transform(self, rooms: Iterable[int], samples: int, size: int) -> Tensor:
        taps = [self._on_device(torch.from_numpy(self._rooms[room])) for room in rooms]
        return room_spectra(taps, samples, size)

    def _add_ambiences(self, waveforms: Tensor, speech: Tensor, draws: AmbienceDraws) -> Tensor:
        samples = waveforms.shape[1]
        excerpts = np.empty((len(draws.rows), samples), dtype=np.float32)
        for row, (which, offset) in enumerate(zip(draws.ambiences, draws.offsets, strict=True)):
            excerpts[row] = _read_talkers(self._ambiences, which, offset, samples)
        sounds = self._on_device(torch.from_numpy(excerpts))
        return self._with(waveforms, speech, draws.rows, sounds, draws.snr_db)

    def _with(
        self, waveforms: Tensor, speech: Tensor, rows: Tensor, sounds: Tensor, snr_db: Tensor
    ) -> Tensor:
        """Add a sound to some rows, at a level relative to the speech alone."""
        place = self._on_device(rows)
        levelled = scale_to_snr(speech[place], sounds, self._on_device(snr_db))
        return waveforms.index_add(0, place, levelled)

    def _on_device(self, drawn: Tensor) -> Tensor:
        # What was drawn is known on the host: which rows are touched, and how many, is decided
        # there, and nothing waits for the device.
        return copy_to_device(drawn, self._device)


def _read_talkers(
    sounds: Sounds, which: Sequence[int], offsets: Sequence[float], samples: int
) -> Sound:
    read = [read_excerpt(sounds, *each, samples) for each in zip(which, offsets, strict=True)]
    return mix_talkers(np.stack(read))

"""Apply all augmentation steps of a config in their order, drawn anew for each crop."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.augment.channel import (
    LONGEST_FILTER_SAMPLES,
    draw_filter,
    fast_size,
    filter_response,
    room_spectra,
)
from spkmodel.augment.data_pp import pre_process
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.augment.sounds import babble, draw_talkers, excerpt, gain, scale_to_snr
from spkmodel.config import Augment, Babble


class Augmenter:
    """Draws anew for every crop; the same generator state gives the same crops.

    Rooms and ambiences lie on `device`, where the crops must be too; the generator is the CPU's.
    Speed is not in here: `batches` reads what it needs more or less of.
    """

    def __init__(
        self, config: Augment, noise_and_rooms: NoiseAndRooms, device: torch.device | str = "cpu"
    ) -> None:
        self._config = config
        self._device = torch.device(device)
        self._rooms = [torch.from_numpy(room).to(device) for room in noise_and_rooms.rooms]
        self._ambiences = [torch.from_numpy(each).to(device) for each in noise_and_rooms.ambiences]
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
        config = self._config
        if config.gain_db > 0:
            gain_db = _uniform(len(waveforms), generator) * 2 * config.gain_db - config.gain_db
            waveforms = gain(waveforms, gain_db.to(self._device))
        if config.filter_probability > 0 or config.room_probability > 0:
            waveforms = self._filter_and_reverberate(waveforms, generator)
        # Levels of babble and ambience are relative to the speech alone, not to each other.
        speech = waveforms
        if config.babble is not None:
            assert speakers is not None, "babble needs to know whose crops these are"
            waveforms = self._add_babble(config.babble, speech, speakers, generator)
        if config.noise_probability > 0:
            waveforms = self._add_ambiences(waveforms, speech, generator)
        if config.data_pp is not None:
            waveforms = pre_process(waveforms, config.data_pp, generator)
        return waveforms

    def _filter_and_reverberate(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        config, batch = self._config, len(waveforms)
        # Drawn for every crop, used or not: what one crop gets does not depend on the others.
        filtered = _uniform(batch, generator) < config.filter_probability
        points_db = draw_filter(batch, config.filter_db, generator) * filtered.unsqueeze(1)
        in_room = _uniform(batch, generator) < config.room_probability
        which = torch.randint(max(1, len(self._rooms)), (batch,), generator=generator)
        touched = (filtered | in_room).nonzero().squeeze(1)
        if not len(touched):
            return waveforms
        samples = waveforms.shape[1]
        # Long enough for filter and room together, or the end would wrap around to the beginning.
        longest = max((len(room) for room in self._rooms), default=1)
        size = fast_size(samples + min(longest, samples) + LONGEST_FILTER_SAMPLES)
        place = touched.to(self._device)
        spectra = torch.fft.rfft(waveforms[place], size)
        spectra *= filter_response(points_db[touched].to(self._device), size)
        rooms = in_room[touched].nonzero().squeeze(1)
        if len(rooms):
            chosen = which[touched][rooms].to(self._device)
            spectra[rooms.to(self._device)] *= self._spectra_of_rooms(samples, size)[chosen]
        # A copy: the crops that come in may still be in use.
        result = waveforms.clone()
        result[place] = torch.fft.irfft(spectra, size)[:, :samples]
        return result

    def _spectra_of_rooms(self, samples: int, size: int) -> Tensor:
        """Return the spectra of all rooms, cached for crops of one length."""
        if self._room_spectra is None or self._room_spectra[0] != size:
            self._room_spectra = (size, room_spectra(self._rooms, samples, size))
        return self._room_spectra[1]

    def _add_babble(
        self, config: Babble, speech: Tensor, speakers: Tensor, generator: torch.Generator
    ) -> Tensor:
        batch = len(speech)
        behind = _uniform(batch, generator) < config.probability
        talkers = torch.randint(
            config.talkers_low, config.talkers_high + 1, (batch,), generator=generator
        )
        snr_db = _between(config.snr_db_low, config.snr_db_high, batch, generator)
        talking = draw_talkers(speakers, talkers, generator)
        rows = behind.nonzero().squeeze(1)
        if not len(rows):
            return speech
        voices = babble(speech, talking[rows].to(self._device))
        return self._with(speech, speech, rows, voices, snr_db)

    def _add_ambiences(
        self, waveforms: Tensor, speech: Tensor, generator: torch.Generator
    ) -> Tensor:
        config, batch = self._config, len(waveforms)
        noisy = _uniform(batch, generator) < config.noise_probability
        snr_db = _between(config.snr_db_low, config.snr_db_high, batch, generator)
        which = torch.randint(max(1, len(self._ambiences)), (batch,), generator=generator)
        offsets = _uniform(batch, generator)
        rows = noisy.nonzero().squeeze(1)
        if not len(rows):
            return waveforms
        excerpts = torch.stack(
            [
                excerpt(self._ambiences[which[row]], float(offsets[row]), waveforms.shape[1])
                for row in rows.tolist()
            ]
        )
        return self._with(waveforms, speech, rows, excerpts, snr_db)

    def _with(
        self, waveforms: Tensor, speech: Tensor, rows: Tensor, sounds: Tensor, snr_db: Tensor
    ) -> Tensor:
        """Add a sound to some rows, at a level relative to the speech alone."""
        place = rows.to(self._device)
        levelled = scale_to_snr(speech[place], sounds, snr_db[rows].to(self._device))
        return waveforms.index_add(0, place, levelled)


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + _uniform(count, generator) * (high - low)

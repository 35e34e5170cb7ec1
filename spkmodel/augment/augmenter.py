"""Apply all augmentation steps of a config in their order, drawn anew for each crop."""

from collections.abc import Sequence
from dataclasses import dataclass

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
)
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.augment.sounds import babble, excerpt, gain, scale_to_snr
from spkmodel.config import Augment
from spkmodel.core.device_copy import copy_to_device


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
            draws.channel = draw_filter_and_room(config, len(self._rooms), batch, generator)
        if config.babble is not None:
            assert speakers is not None, "babble needs to know whose crops these are"
            draws.babble = draw_babble(config.babble, speakers, generator)
        if config.noise_probability > 0:
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
        longest = max((len(room) for room in self._rooms), default=1)
        size = fast_size(samples + min(longest, samples) + LONGEST_FILTER_SAMPLES)
        place = self._on_device(draws.touched)
        spectra = torch.fft.rfft(waveforms[place], size)
        spectra *= filter_response(self._on_device(draws.points_db), size)
        if len(draws.in_room):
            chosen = self._on_device(draws.rooms)
            spectra[self._on_device(draws.in_room)] *= self._spectra_of_rooms(samples, size)[chosen]
        # A copy: the crops that come in may still be in use.
        result = waveforms.clone()
        result[place] = torch.fft.irfft(spectra, size)[:, :samples]
        return result

    def _spectra_of_rooms(self, samples: int, size: int) -> Tensor:
        """Return the spectra of all rooms, cached for crops of one length."""
        if self._room_spectra is None or self._room_spectra[0] != size:
            self._room_spectra = (size, room_spectra(self._rooms, samples, size))
        return self._room_spectra[1]

    def _add_ambiences(self, waveforms: Tensor, speech: Tensor, draws: AmbienceDraws) -> Tensor:
        excerpts = torch.stack(
            [
                excerpt(self._ambiences[which], offset, waveforms.shape[1])
                for which, offset in zip(draws.ambiences, draws.offsets, strict=True)
            ]
        )
        return self._with(waveforms, speech, draws.rows, excerpts, draws.snr_db)

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

"""Apply a recording condition to one utterance; its path is the seed."""

import hashlib
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Float32, Int16

from spkmodel import augment
from spkmodel.augment.conditions import codec, telephone
from spkmodel.augment.noise_and_rooms import NoiseAndRooms
from spkmodel.config import Augment, Categories
from spkmodel.core.condition_names import Condition
from spkmodel.data.audio import SAMPLE_RATE

ROOM_PROBABILITY = 0.5
FILTER_DB = 8.0
SNR_DB_LOW, SNR_DB_HIGH = 5.0, 20.0

SHORT_SECONDS = 1.0

FAR_SNR_DB_LOW, FAR_SNR_DB_HIGH = 0.0, 10.0
DIRECT_TO_REVERBERANT_DB_LOW, DIRECT_TO_REVERBERANT_DB_HIGH = -6.0, 0.0
DIRECT_SAMPLES = 40
"""2.5 ms from a response's peak on, as ISO 3382 and the ACE challenge have it; the rest is
reverberant."""

QUIET_DB_LOW, QUIET_DB_HIGH = 30.0, 50.0
CLIPPED_LOW, CLIPPED_HIGH = 0.01, 0.1

_PEAK = 0.99

Conditioned = Float32[np.ndarray, " heard"]


def apply_to_waveform(
    condition: Condition,
    waveform: Float32[np.ndarray, " samples"],
    utterance: str,
    noise_and_rooms: NoiseAndRooms,
) -> Conditioned:
    """Apply a condition to an utterance; its path is the seed, so order and process do not matter.

    Mismatched: a smooth random filter within +-8 dB, in half the cases a room, an ambience 5 to
    20 dB below the speech; of recordings with categories, one of a category and at its levels, as
    `config.Categories` draws them. Telephone: see `telephone`. Short: one second from anywhere.
    Far field: a room whose direct sound is 0 to 6 dB below its reverberation (or as far below as it
    is there), an ambience 0 to 10 dB below the speech. Codec: see `codec`. Quiet: 30 to 50 dB less,
    and stored with 16 bits again. Clipped: 1 to 10 % of the samples, the loudest, cut to one level.
    """
    match condition:
        case "clean":
            return waveform
        case "mismatched":
            return _mismatched(waveform, utterance, noise_and_rooms)
        case "telephone":
            return telephone.transmit(waveform)
        case "short":
            return _short(waveform, _seeded(condition, utterance))
        case "far_field":
            return _far_field(waveform, noise_and_rooms, _seeded(condition, utterance))
        case "codec":
            chosen = torch.randint(len(codec.CODECS), (), generator=_seeded(condition, utterance))
            return codec.encode_and_decode(waveform, codec.CODECS[int(chosen)])
        case "quiet" | "clipped":
            change = _quiet if condition == "quiet" else _clipped
            return change(waveform, _seeded(condition, utterance))
        case _:
            assert_never(condition)


def apply_to_stored(
    condition: Condition,
    waveform: Int16[np.ndarray, " samples"],
    utterance: str,
    noise_and_rooms: NoiseAndRooms,
) -> Int16[np.ndarray, " heard"]:
    """Apply a condition to stored samples; a result that would clip is scaled down as a whole."""
    if condition == "clean":
        return waveform
    processed = apply_to_waveform(
        condition, waveform.astype(np.float32) / np.float32(32768), utterance, noise_and_rooms
    )
    return _to_int16(processed)


def _to_int16(
    waveform: Float32[np.ndarray, " samples"],
) -> Int16[np.ndarray, " samples"]:
    peak = float(np.abs(waveform).max(initial=0))
    # Scaled as a whole: clipping single samples would be a condition of its own.
    scale = min(1.0, _PEAK / peak) if peak > 0 else 1.0
    return np.rint(waveform * np.float32(scale * 32768)).astype(np.int16)


def _generator(text: str) -> torch.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def _seeded(condition: Condition, utterance: str) -> torch.Generator:
    """Seed a generator by condition and path; the older "mismatched" has the path alone."""
    return _generator(f"{condition} {utterance}")


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + float(torch.rand((), generator=generator)) * (high - low)


def _mismatched(waveform: np.ndarray, utterance: str, noise_and_rooms: NoiseAndRooms) -> np.ndarray:
    if noise_and_rooms.ambience_categories or noise_and_rooms.room_categories:
        return _mismatched_of_categories(waveform, utterance, noise_and_rooms)
    generator = _generator(utterance)
    # Everything is drawn before it is used, so that a change in one step moves no other.
    in_room, snr, offset = torch.rand(3, generator=generator).tolist()
    room = int(torch.randint(len(noise_and_rooms.rooms), (), generator=generator))
    ambience = int(torch.randint(len(noise_and_rooms.ambiences), (), generator=generator))
    points_db = augment.draw_filter(1, FILTER_DB, generator)
    processed = augment.smooth_filter(torch.from_numpy(waveform).unsqueeze(0), points_db)
    if in_room < ROOM_PROBABILITY:
        processed = augment.reverberate(processed, [torch.from_numpy(noise_and_rooms.rooms[room])])
    sound = torch.from_numpy(noise_and_rooms.ambiences[ambience])
    processed = augment.add_ambience(
        processed,
        augment.excerpt(sound, offset, len(waveform)).unsqueeze(0),
        torch.tensor([SNR_DB_LOW + snr * (SNR_DB_HIGH - SNR_DB_LOW)]),
    )
    return np.asarray(processed.squeeze(0).numpy())


def _mismatched_of_categories(
    waveform: np.ndarray, utterance: str, noise_and_rooms: NoiseAndRooms
) -> np.ndarray:
    """Let a training crop's own steps do it, as an utterance of the one batch that there is."""
    config = Augment(
        filter_probability=1.0,
        filter_db=FILTER_DB,
        room_probability=ROOM_PROBABILITY,
        noise_probability=1.0,
        categories=Categories(),
    )
    augmenter = augment.Augmenter(config, noise_and_rooms)
    crop = torch.from_numpy(waveform).unsqueeze(0)
    return np.asarray(augmenter(crop, _generator(utterance)).squeeze(0).numpy())


def _short(waveform: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Cut a short excerpt at random; a shorter utterance stays whole."""
    samples = round(SHORT_SECONDS * SAMPLE_RATE)
    spare = max(0, len(waveform) - samples)
    start = int(torch.randint(spare + 1, (), generator=generator))
    return waveform[start : start + samples]


def _far_field(
    waveform: np.ndarray, noise_and_rooms: NoiseAndRooms, generator: torch.Generator
) -> np.ndarray:
    room = int(torch.randint(len(noise_and_rooms.rooms), (), generator=generator))
    ambience = int(torch.randint(len(noise_and_rooms.ambiences), (), generator=generator))
    ratio_db = _uniform(DIRECT_TO_REVERBERANT_DB_LOW, DIRECT_TO_REVERBERANT_DB_HIGH, generator)
    snr_db = _uniform(FAR_SNR_DB_LOW, FAR_SNR_DB_HIGH, generator)
    offset = _uniform(0.0, 1.0, generator)
    response = torch.from_numpy(lower_direct_sound(noise_and_rooms.rooms[room], ratio_db))
    processed = augment.reverberate(torch.from_numpy(waveform).unsqueeze(0), [response])
    sound = torch.from_numpy(noise_and_rooms.ambiences[ambience])
    around = augment.excerpt(sound, offset, len(waveform)).unsqueeze(0)
    processed = augment.add_ambience(processed, around, torch.tensor([snr_db]))
    return np.asarray(processed.squeeze(0).numpy())


def lower_direct_sound(
    response: Float32[np.ndarray, " taps"], most_direct_to_reverberant_db: float
) -> Float32[np.ndarray, " taps"]:
    """Lower a room's direct sound to that ratio at most, and scale the response to unit energy."""
    direct = float(np.sum(np.square(response[:DIRECT_SAMPLES], dtype=np.float64)))
    reverberant = float(np.sum(np.square(response[DIRECT_SAMPLES:], dtype=np.float64)))
    wanted = reverberant * 10 ** (most_direct_to_reverberant_db / 10)
    farther = response.astype(np.float64)
    # Only lowered: a room that is more distant already stays as it was recorded.
    if 0 < wanted < direct:
        farther[:DIRECT_SAMPLES] *= np.sqrt(wanted / direct)
    return np.asarray(farther / np.sqrt(np.sum(farther**2)), dtype=np.float32)


def _quiet(waveform: np.ndarray, generator: torch.Generator) -> np.ndarray:
    fall_db = _uniform(QUIET_DB_LOW, QUIET_DB_HIGH, generator)
    return waveform * np.float32(10 ** (-fall_db / 20))


def _clipped(waveform: np.ndarray, generator: torch.Generator) -> np.ndarray:
    share = _uniform(CLIPPED_LOW, CLIPPED_HIGH, generator)
    level = np.quantile(np.abs(waveform), 1 - share).astype(np.float32)
    return np.clip(waveform, -level, level)

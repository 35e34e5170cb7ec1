"""Voices of the built-in corpus: eSpeak NG variants drawn from a seed.

Each voice is a variant file of its own: formants, pitch, breath, roughness, accent.
"""

import shutil
from pathlib import Path

import numpy as np

_ACCENTS = (
    "en",
    "en-US",
    "en-GB-x-rp",
    "en-GB-scotland",
    "en-GB-x-gbclan",
    "en-GB-x-gbcwmd",
    "en-029",
)
"""Files of eSpeak NG's folder `lang/gmw`."""


def utterance_path(voice: int, utterance: int) -> str:
    """Return the path of an utterance, relative to the corpus."""
    return f"wav/{voice_name(voice)}/{utterance:02d}.flac"


def voice_name(voice: int) -> str:
    """Return the name of a voice, which is its speaker in the lists."""
    return f"voice{voice:03d}"


def is_high_voice(voice: int, seed: int) -> bool:
    """Return whether a voice is a high one; every second voice is, so that every split has both."""
    return (voice + seed) % 2 == 1


def _draw_variant(voice: int, seed: int) -> tuple[str, str]:
    """Draw a voice's accent and its variant file, in eSpeak NG's percentages of its plain voice."""
    chance = np.random.default_rng((seed, 2, voice))
    high = is_high_voice(voice, seed)
    low_hz = chance.uniform(125, 190) if high else chance.uniform(75, 130)
    tract = chance.uniform(1.06, 1.20) if high else chance.uniform(0.92, 1.06)
    lines = [
        "language variant",
        f"name {voice_name(voice)}",
        f"gender {'female' if high else 'male'}",
        f"pitch {low_hz:.0f} {low_hz * chance.uniform(1.25, 1.75):.0f}",
        f"flutter {chance.integers(0, 10)}",
        f"roughness {chance.integers(0, 4)}",
        f"voicing {chance.integers(80, 121)}",
        f"consonants {chance.integers(75, 131)} {chance.integers(75, 131)}",
    ]
    for formant in range(6):
        frequency = 100 * tract * (1 + 0.03 * np.clip(chance.standard_normal(), -2, 2))
        strength, width = chance.integers(80, 121), chance.integers(80, 131)
        lines.append(f"formant {formant} {frequency:.0f} {strength} {width}")
    if chance.random() < 0.4:
        strengths = chance.integers(0, 12, 8)
        lines.append("breath 0 " + " ".join(str(strength) for strength in strengths))
    return str(chance.choice(_ACCENTS)), "\n".join(lines) + "\n"


def write_espeak_data(data: Path, folder: Path, voices: int, seed: int) -> list[str]:
    """Copy eSpeak NG's data for English, add the drawn variants, and return the voices' names."""
    target = folder / "espeak-ng-data"
    (target / "lang").mkdir(parents=True)
    for name in ("phondata", "phonindex", "phontab", "intonations", "en_dict"):
        shutil.copyfile(data / name, target / name)
    shutil.copytree(data / "lang" / "gmw", target / "lang" / "gmw")
    variants = target / "voices" / "!v"
    variants.mkdir(parents=True)
    names = []
    for voice in range(voices):
        accent, text = _draw_variant(voice, seed)
        (variants / voice_name(voice)).write_text(text)
        names.append(f"{accent}+{voice_name(voice)}")
    return names

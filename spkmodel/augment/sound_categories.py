"""Tell the category of a recording from the folders that it lies in, as MUSAN and RIRS_NOISES do.

MUSAN (Snyder et al. 2015, arXiv:1510.08484) has the folders noise, music and speech. RIRS_NOISES
(Ko et al. 2017, openslr.org/28) has simulated rooms, in smallroom, mediumroom and largeroom; real
rooms and isotropic noises, which their names tell apart; and pointsource noises.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["ambience", "room"]

CATEGORIES: dict[Kind, tuple[str, ...]] = {
    "ambience": ("noise", "music", "speech"),
    "room": ("small", "medium", "large", "real"),
}
"""In the order in which draws count them."""

_SIMULATED = {"smallroom": "small", "mediumroom": "medium", "largeroom": "large"}


def categorise(names: Sequence[str]) -> list[str]:
    """Return the category of each file, by its path below the folder; empty: none.

    noise, music and speech are categories where two of the three lie side by side. A folder in
    which no file has a category is a flat one: all of its files are alike.
    """
    found: dict[str, set[str]] = {}
    for name in names:
        parts = name.lower().split("/")
        for place, part in enumerate(parts[:-1]):
            if part in CATEGORIES["ambience"]:
                found.setdefault("/".join(parts[:place]), set()).add(part)
    tops = {top for top, folders in found.items() if len(folders) >= 2}
    return [_find_category(name.lower().split("/"), tops) for name in names]


def _find_category(parts: Sequence[str], tops: set[str]) -> str:
    file = parts[-1]
    for place, part in enumerate(parts[:-1]):
        if part == "simulated_rirs":
            return _SIMULATED.get(parts[place + 1], "")
        if part == "pointsource_noises":
            return "noise"
        if part == "real_rirs_isotropic_noises":
            is_room = "_rir_" in file or file.startswith("air_")
            return "real" if is_room else "noise" if "_noise_" in file else ""
        if part in CATEGORIES["ambience"] and "/".join(parts[:place]) in tops:
            return part
    return ""

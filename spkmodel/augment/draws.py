"""Draw what happens to each crop of a batch, on the CPU and before anything is computed.

How many crops are touched, and which, is known here, so that the device need not be asked. All
draws are made for every crop, used or not: what one crop gets does not depend on the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from spkmodel.augment.channel import draw_filter
from spkmodel.augment.sounds import draw_talkers
from spkmodel.config import Augment, Babble, Categories


@dataclass(frozen=True, slots=True)
class FilterAndRoomDraws:
    """The crops that are filtered or in a room; `touched` lists their rows."""

    touched: Int[Tensor, " touched"]
    points_db: Float[Tensor, "touched points"]
    """Gains of the filter; 0 for a crop that is only in a room."""
    in_room: Int[Tensor, " reverberant"]
    """Places in `touched` of the crops that are in a room."""
    rooms: list[int]
    """The room of each, by its index."""


@dataclass(frozen=True, slots=True)
class BabbleDraws:
    """The crops with talkers behind them."""

    rows: Int[Tensor, " rows"]
    talking: Float[Tensor, "rows batch"]
    """1 where a crop of the batch talks behind a row."""
    snr_db: Float[Tensor, " rows"]


@dataclass(frozen=True, slots=True)
class AmbienceDraws:
    """The crops with an ambience behind them."""

    rows: Int[Tensor, " rows"]
    ambiences: list[tuple[int, ...]]
    """Of each row; several are talkers, to be brought to one level."""
    offsets: list[tuple[float, ...]]
    """Where each excerpt begins, as a fraction of its ambience."""
    snr_db: Float[Tensor, " rows"]


def draw_gain_db(gain_db: float, batch: int, generator: torch.Generator) -> Float[Tensor, " batch"]:
    """Draw changes of level, uniform within +- `gain_db`."""
    return _uniform(batch, generator) * 2 * gain_db - gain_db


def draw_filter_and_room(
    config: Augment,
    rooms: int | Mapping[str, Int[np.ndarray, " _places"]],
    batch: int,
    generator: torch.Generator,
) -> FilterAndRoomDraws:
    """Draw a filter and one of so many rooms, or of the rooms of some categories, for each crop."""
    filtered = _uniform(batch, generator) < config.filter_probability
    points_db = draw_filter(batch, config.filter_db, generator) * filtered.unsqueeze(1)
    in_room = _uniform(batch, generator) < config.room_probability
    if isinstance(rooms, int):
        which = torch.randint(max(1, rooms), (batch,), generator=generator)
    else:
        which = draw_room_of_categories(rooms, batch, generator)
    touched = (filtered | in_room).nonzero().squeeze(1)
    places = in_room[touched].nonzero().squeeze(1)
    return FilterAndRoomDraws(touched, points_db[touched], places, which[touched][places].tolist())


def draw_babble(
    config: Babble, speakers: Int[Tensor, " batch"], generator: torch.Generator
) -> BabbleDraws:
    """Draw who talks behind which crop; see `sounds.draw_talkers` for the errors."""
    batch = len(speakers)
    behind = _uniform(batch, generator) < config.probability
    talkers = torch.randint(
        config.talkers_low, config.talkers_high + 1, (batch,), generator=generator
    )
    snr_db = _between(config.snr_db_low, config.snr_db_high, batch, generator)
    talking = draw_talkers(speakers, talkers, generator)
    rows = behind.nonzero().squeeze(1)
    return BabbleDraws(rows, talking[rows], snr_db[rows])


def draw_ambiences(
    config: Augment, ambiences: int, batch: int, generator: torch.Generator
) -> AmbienceDraws:
    """Draw an excerpt of one of so many ambiences for each crop."""
    noisy = _uniform(batch, generator) < config.noise_probability
    snr_db = _between(config.snr_db_low, config.snr_db_high, batch, generator)
    which = torch.randint(max(1, ambiences), (batch,), generator=generator)
    offsets = _uniform(batch, generator)
    rows = noisy.nonzero().squeeze(1)
    return AmbienceDraws(
        rows,
        [(ambience,) for ambience in which[rows].tolist()],
        [(offset,) for offset in offsets[rows].tolist()],
        snr_db[rows],
    )


def draw_of_categories(
    levels: Categories,
    probability: float,
    places: Mapping[str, Int[np.ndarray, " _places"]],
    batch: int,
    generator: torch.Generator,
) -> AmbienceDraws:
    """Draw a category for each crop, then excerpts of one file of it, or of several of speech.

    Args:
        levels: the ranges of the categories.
        probability: of a crop to be drawn for at all.
        places: the ambiences of each category, all of which are equally likely.
        batch: the number of crops.
        generator: on the CPU; what it is asked for depends on `batch` and `levels` alone.
    """
    noisy = _uniform(batch, generator) < probability
    kinds = _uniform(batch, generator)
    level = _uniform(batch, generator)
    talkers = torch.randint(
        levels.talkers_low, levels.talkers_high + 1, (batch,), generator=generator
    ).tolist()
    most = levels.talkers_high
    which = torch.rand(batch, most, generator=generator, dtype=torch.float64).tolist()
    offsets = torch.rand(batch, most, generator=generator).tolist()
    rows = noisy.nonzero().squeeze(1)
    names = list(places)
    ambiences, begins, snr_db = [], [], []
    for row in rows.tolist():
        category = names[int(kinds[row] * len(names))]
        count = talkers[row] if category == "speech" else 1
        own = places[category]
        ambiences.append(tuple(int(own[int(place * len(own))]) for place in which[row][:count]))
        begins.append(tuple(offsets[row][:count]))
        low, high = levels.snr_db_range(category)
        snr_db.append(low + float(level[row]) * (high - low))
    return AmbienceDraws(rows, ambiences, begins, torch.tensor(snr_db, dtype=torch.float32))


def draw_room_of_categories(
    places: Mapping[str, Int[np.ndarray, " _places"]], batch: int, generator: torch.Generator
) -> Int[Tensor, " batch"]:
    """Draw a room for each crop: each category is as likely as the others, then each of its rooms.

    In place of a draw from all rooms, 99 % of which are simulated in RIRS_NOISES.
    """
    kinds = _uniform(batch, generator).tolist()
    which = torch.rand(batch, generator=generator, dtype=torch.float64).tolist()
    own = [places[name] for name in places]
    chosen = [own[int(kind * len(own))] for kind in kinds]
    return torch.tensor([int(c[int(w * len(c))]) for c, w in zip(chosen, which, strict=True)])


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + _uniform(count, generator) * (high - low)

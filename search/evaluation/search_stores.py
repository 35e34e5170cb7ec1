"""Open the stores that a search trained and chose on, made again if they were removed."""

from pathlib import Path
from typing import TYPE_CHECKING

from search.core.errors import UsageError
from search.core.progress import Display
from search.data import location
from search.evaluation import corpus_store
from search.ledger.settings import SearchSettings

if TYPE_CHECKING:
    from spkmodel.data.store import Store


def open_store(search: SearchSettings, display: Display) -> "Store":
    """Open the store that the trials trained on; pack it again if it was removed.

    Raises:
        UsageError: if the corpus has changed since.
    """
    from spkmodel.data.store import Store

    folder = location.find_store_folder(search)
    if folder.is_dir():
        return Store.open(folder)
    place = location.parse_location(search.corpus)
    if isinstance(place, str):
        store = Store.open(location.fetch_store(place).folder)
    else:
        store = corpus_store.open_packed_corpus(place, display, search.seed)
    if store.sha256 != search.corpus_sha256:
        raise UsageError(
            f"{search.corpus}: the corpus has changed since the search; use the corpus as it was"
        )
    return store


def open_dev_store(search: SearchSettings, store: "Store", display: Display) -> "Store":
    """Open the store of dev utterances that the trials used; make it again if it was removed."""
    from spkmodel.augment import conditions
    from spkmodel.data.store import Store

    folder, condition = Path(search.dev_store), search.dev_condition
    if search.dev_store == search.store:
        return store
    if folder.is_dir():
        return Store.open(folder)
    with display.task(f"preparing the {condition} dev pairs", "utterances") as progress:
        return conditions.conditioned_store(
            store, "dev", condition, *noise_and_rooms(search), progress
        )


def noise_and_rooms(search: SearchSettings) -> tuple[Path | None, Path | None]:
    """Return the folders of ambient noise and of rooms; None for the built-in ones."""
    noise, rooms = search.noise, search.rooms
    return Path(noise) if noise else None, Path(rooms) if rooms else None

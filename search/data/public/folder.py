"""What a fetched corpus's folder says of itself: its lists, its source, its licence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from search.core.errors import EnvironmentSetupError, UsageError
from search.data.public.catalogue import PublicCorpus
from search.data.public.gather import Gathered
from search.data.public.layouts import Layout, Split
from spkmodel.data import corpus as corpora
from spkmodel.data import splits
from spkmodel.data.lists import (
    DEV_LIST,
    TEST_LIST,
    TRAIN_LIST,
    Pair,
    TrainEntry,
    read_pairs,
    write_pairs,
    write_train_list,
)

MARK = "source.json"
"""Written last: a folder that has it is whole."""
NOTE = "SOURCE.md"
PEOPLE = "speakers.tsv"


@dataclass(frozen=True)
class Fetched:
    """A whole corpus folder."""

    corpus: str
    licence: str
    page: str
    files: dict[str, str]
    """What it was made from, with SHA-256."""
    utterances: int
    speakers: dict[str, int]
    """By split."""
    pairs: dict[str, int]
    """By list."""
    test_list: str
    """The official list that `test_trials.txt` is; empty where its pairs were drawn."""
    seed: int
    unusable: dict[str, str]
    notices: list[str]


def official_pairs(
    path: Path, expected: int, layout: Layout, there: Mapping[str, Any]
) -> list[Pair]:
    """The pairs of a published list, with the paths of our folder.

    Raises:
        EnvironmentSetupError: if it has not as many pairs as were published.
        UsageError: if an utterance is not there.
    """
    pairs = read_pairs(path)
    if len(pairs) != expected:
        raise EnvironmentSetupError(
            f"{path.name}: {len(pairs)} pairs, published were {expected}: it was changed or cut "
            "short; remove it and try again"
        )
    renamed = {}
    for name in {name for pair in pairs for name in (pair.enrolment, pair.test)}:
        place = layout.place(name)
        renamed[name] = "" if place is None else place.target
    missing = sorted(name for name, target in renamed.items() if target not in there)
    if missing:
        raise UsageError(
            f"{path.name}: {len(missing)} of its {len(renamed)} utterances are not there, such as "
            f"{missing[0]}: part of the corpus is missing"
        )
    return [Pair(pair.target, renamed[pair.enrolment], renamed[pair.test]) for pair in pairs]


def write_lists(
    folder: Path,
    gathered: Gathered,
    layout: Layout,
    lists: Mapping[str, Sequence[Pair]],
    test_list: str,
    seed: int,
) -> corpora.Corpus:
    """The three lists of a folder with `wav/`, by the publisher's splits where there are some."""
    for name, pairs in lists.items():
        write_pairs(folder / name, pairs)
    assigned = dict(layout.splits(gathered.texts))
    assigned |= {p.speaker: p.split for p in gathered.places.values() if p.split is not None}
    if test_list and set(assigned.values()) == {"test"}:
        write_pairs(folder / TEST_LIST, lists[test_list])
        return corpora.open_corpus(folder)
    official = lists[test_list] if test_list else None
    return corpora.split_corpus(folder, seed, assigned=assigned, test_pairs=official)


def write_identification(
    folder: Path, parts: Path, gathered: Gathered, layout: Layout, seed: int
) -> corpora.Corpus:
    """The lists of a corpus whose utterances, not speakers, are parted.

    Args:
        folder: with `wav/`.
        parts: the publisher's lines `<1|2|3> <path>`: train, dev, test.
        gathered: what the archives held.
        layout: that places them.
        seed: of the pairs drawn.
    """
    of: dict[str, list[TrainEntry]] = {"1": [], "2": [], "3": []}
    for number, line in enumerate(parts.read_text(encoding="utf-8").splitlines(), 1):
        part, _, path = line.partition(" ")
        place = layout.place(path.strip())
        if part not in of or place is None:
            raise UsageError(f"{parts}:{number}: {line!a} is not '<1|2|3> <path>'")
        if place.target in gathered.places:
            of[part].append(TrainEntry(place.speaker, place.target))
    rng = np.random.default_rng(seed)
    write_train_list(folder / TRAIN_LIST, of["1"])
    write_pairs(folder / DEV_LIST, splits.balanced_pairs(of["2"], splits.PAIRS, rng))
    write_pairs(folder / TEST_LIST, splits.balanced_pairs(of["3"], splits.PAIRS, rng))
    return corpora.open_corpus(folder, allow_overlap=True)


def write_people(path: Path, people: Mapping[str, Mapping[str, str]], speakers: set[str]) -> None:
    """`speakers.tsv`: a row for each speaker that is there; nothing if nothing is known."""
    rows = {name: facts for name, facts in sorted(people.items()) if name in speakers}
    if not rows:
        return
    columns = list(dict.fromkeys(key for facts in rows.values() for key in facts))
    lines = ["\t".join(["speaker", *columns])]
    lines += [
        "\t".join([name, *(facts.get(c, "") for c in columns)]) for name, facts in rows.items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def speakers_by_split(corpus: corpora.Corpus) -> dict[str, int]:
    """How many are in train, dev and test."""
    names: tuple[Split, ...] = ("train", "dev", "test")
    return {
        name: len({corpus.speaker_of[path] for path in corpus.of_split(name)}) for name in names
    }


def write_note(folder: Path, public: PublicCorpus, fetched: Fetched) -> None:
    """`SOURCE.md`, for people."""
    said = ", ".join(f"{count} in {split}" for split, count in fetched.speakers.items())
    lines = [
        f"# {public.name}",
        "",
        f"{public.about[0].upper()}{public.about[1:]}. {public.note}",
        "",
        f"- Source: {public.page}",
        f"- Licence: {public.licence}",
        f"- Here: {fetched.utterances:,} utterances as 16 kHz mono FLAC; speakers: {said}",
        f"- test_trials.txt: {fetched.test_list or f'pairs drawn from seed {fetched.seed}'}",
        *(f"- {notice}" for notice in fetched.notices),
        *(f"- Left out: {name} ({why})" for name, why in fetched.unusable.items()),
        "",
        "Made by `spksearch corpus fetch` from:",
        "",
        *(f"- {name}, SHA-256 {sha256}" for name, sha256 in fetched.files.items()),
    ]
    (folder / NOTE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_mark(folder: Path, fetched: Fetched) -> None:
    """`source.json`, in one step."""
    try:
        number = version("spksearch")
    except PackageNotFoundError:
        number = ""
    document = {
        "schema": "spksearch.source/1",
        **asdict(fetched),
        "spksearch": number,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    beside = folder / f".{MARK}.tmp"
    beside.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(folder / MARK)


def read_mark(folder: Path) -> Fetched | None:
    """What a whole folder says of itself; None where there is no mark.

    Raises:
        UsageError: for a mark that is not ours.
    """
    path = folder / MARK
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
        return Fetched(**{name: document[name] for name in Fetched.__dataclass_fields__})
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not written by `spksearch corpus fetch` ({error!r})") from error

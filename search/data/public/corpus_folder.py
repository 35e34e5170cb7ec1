"""Write the lists, the source and the licence of a fetched corpus into its folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from search.core.errors import EnvironmentSetupError, UsageError
from search.data.public.conversion import ConvertedUtterances
from search.data.public.layouts import Layout, Split
from search.data.public.public_corpus import PublicCorpus
from spkmodel.core import foreign_file
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
class FetchedCorpus:
    """A whole corpus folder."""

    corpus: str
    licence: str
    page: str
    files: dict[str, str]
    """The files that it was made from, with their SHA-256."""
    utterances: int
    speakers: dict[str, int]
    """The number of speakers by split."""
    pairs: dict[str, int]
    """The number of pairs by list."""
    test_list: str
    """The official list that `test_trials.txt` is; empty where its pairs were drawn."""
    seed: int
    unusable: dict[str, str]
    notices: list[str]


def read_official_pairs(
    path: Path, expected: int, layout: Layout, there: Mapping[str, Any]
) -> list[Pair]:
    """Read the pairs of a published list, with the paths of our folder.

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
        destination = layout.locate(name)
        renamed[name] = "" if destination is None else destination.target
    missing = sorted(name for name, target in renamed.items() if target not in there)
    if missing:
        raise UsageError(
            f"{path.name}: {len(missing)} of its {len(renamed)} utterances are not there, such as "
            f"{missing[0]}: part of the corpus is missing"
        )
    return [Pair(pair.target, renamed[pair.enrolment], renamed[pair.test]) for pair in pairs]


def write_lists(
    folder: Path,
    converted: ConvertedUtterances,
    layout: Layout,
    lists: Mapping[str, Sequence[Pair]],
    test_list: str,
    seed: int,
) -> corpora.Corpus:
    """Write the three lists of a folder with `wav/`, by the publisher's splits if there are any."""
    for name, pairs in lists.items():
        write_pairs(folder / name, pairs)
    assigned = dict(layout.splits(converted.texts))
    assigned |= {p.speaker: p.split for p in converted.destinations.values() if p.split is not None}
    if test_list and set(assigned.values()) == {"test"}:
        write_pairs(folder / TEST_LIST, lists[test_list])
        return corpora.open_corpus(folder)
    official = lists[test_list] if test_list else None
    return corpora.split_corpus(folder, seed, assigned=assigned, test_pairs=official)


def write_identification(
    folder: Path, parts: Path, converted: ConvertedUtterances, layout: Layout, seed: int
) -> corpora.Corpus:
    """Write the lists of a corpus in which all speakers are in train, dev and test.

    Args:
        folder: with `wav/`.
        parts: the publisher's lines `<1|2|3> <path>`: train, dev, test.
        converted: the utterances of the archives.
        layout: by which their paths are found.
        seed: for the pairs that are drawn.
    """
    entries: dict[str, list[TrainEntry]] = {"1": [], "2": [], "3": []}
    text = foreign_file.read_text(parts, foreign_file.MOST_LIST_BYTES)
    for number, line in enumerate(text.splitlines(), 1):
        part, _, path = line.partition(" ")
        destination = layout.locate(path.strip())
        if part not in entries or destination is None:
            shown = foreign_file.shorten(ascii(line))
            raise UsageError(f"{parts}:{number}: {shown} is not '<1|2|3> <path>'")
        if destination.target in converted.destinations:
            entries[part].append(TrainEntry(destination.speaker, destination.target))
    rng = np.random.default_rng(seed)
    write_train_list(folder / TRAIN_LIST, entries["1"])
    write_pairs(folder / DEV_LIST, splits.balanced_pairs(entries["2"], splits.PAIRS, rng))
    write_pairs(folder / TEST_LIST, splits.balanced_pairs(entries["3"], splits.PAIRS, rng))
    return corpora.open_corpus(folder, allow_overlap=True)


def write_people(path: Path, people: Mapping[str, Mapping[str, str]], speakers: set[str]) -> None:
    """Write `speakers.tsv` with a row for each speaker that is there, if anything is known."""
    rows = {name: facts for name, facts in sorted(people.items()) if name in speakers}
    if not rows:
        return
    columns = list(dict.fromkeys(key for facts in rows.values() for key in facts))
    lines = ["\t".join(["speaker", *columns])]
    lines += [
        "\t".join([name, *(facts.get(c, "") for c in columns)]) for name, facts in rows.items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def count_speakers_by_split(corpus: corpora.Corpus) -> dict[str, int]:
    """Return how many speakers are in train, dev and test."""
    names: tuple[Split, ...] = ("train", "dev", "test")
    return {
        name: len({corpus.speaker_of[path] for path in corpus.of_split(name)}) for name in names
    }


def write_note(folder: Path, public: PublicCorpus, fetched: FetchedCorpus) -> None:
    """Write `SOURCE.md`, for people."""
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


def write_mark(folder: Path, fetched: FetchedCorpus) -> None:
    """Write `source.json` in one step."""
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
    # In one step: half a mark would pass for a folder that somebody else made.
    beside = folder / f".{MARK}.tmp"
    beside.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(folder / MARK)


def read_mark(folder: Path) -> FetchedCorpus | None:
    """Read `source.json` of a whole folder; None if there is none.

    Raises:
        UsageError: for a mark that is not ours.
    """
    path = folder / MARK
    if not path.is_file():
        return None
    try:
        document = foreign_file.read_json_object(path)
        return FetchedCorpus(
            **{name: document[name] for name in FetchedCorpus.__dataclass_fields__}
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: not written by `spksearch corpus fetch` ({error!r})") from error

"""Define how public corpora are laid out: which file is whose utterance, who is in test."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "dev", "test"]
Texts = Mapping[str, str]
"""Text files of a corpus, by the end of their path."""
People = dict[str, dict[str, str]]
"""What is known of each speaker: gender, age."""


@dataclass(frozen=True)
class Destination:
    """The place of an utterance in a corpus folder: `wav/<speaker>/<path>`."""

    speaker: str
    path: str
    split: Split | None = None
    """The publisher's split, if the path tells it."""

    @property
    def target(self) -> str:
        """The path below the corpus's folder."""
        return f"wav/{self.speaker}/{self.path}"


@dataclass(frozen=True)
class Layout:
    """The way in which a publisher lays out a corpus."""

    locate: Callable[[str], Destination | None]
    """Called with a member's name; returns None for what is no utterance."""
    texts: tuple[str, ...] = ()
    """The ends of the paths of text files that `splits` and `people` read."""
    splits: Callable[[Texts], Mapping[str, Split]] = lambda _: {}
    """Returns the split of speakers whose paths do not tell it."""
    people: Callable[[Texts], People] = lambda _: {}
    pairs: Callable[[Texts, str], Iterable[str]] = lambda _texts, _name: ()
    """Returns the lines `<1|0> <path> <path>` of a list of pairs that is in the archives."""
    shows: str = ""
    """An example of a path, for messages."""


def _match(pattern: str, path: str) -> Callable[[str], Destination | None]:
    """Return a function that locates an utterance by a pattern for the end of its name.

    The pattern has a group `speaker`; `path` is a template of its groups.
    """
    expression = re.compile(rf"(?:^|/){pattern}$")

    def locate(name: str) -> Destination | None:
        match = expression.search(name)
        return None if match is None else Destination(match["speaker"], match.expand(path))

    return locate


# --- LibriSpeech -------------------------------------------------------------------------------

# The name repeats speaker and chapter; one that does not agree with its folder is no utterance.
_LIBRISPEECH = re.compile(
    r"(?:^|/)(?P<part>(?P<split>train|dev|test)-(?:clean|other)(?:-\d+)?)"
    r"/(?P<speaker>\d+)/(?P<chapter>\d+)/(?P<name>(?P=speaker)-(?P=chapter)-\d+)\.flac$"
)


def make_librispeech_layout(parts: tuple[str, ...], official: bool) -> Layout:
    """Return the layout of some of its parts; `official`: the parts are the splits."""

    def locate(name: str) -> Destination | None:
        match = _LIBRISPEECH.search(name)
        if match is None or match["part"] not in parts:
            return None
        path = f"{match['chapter']}/{match['name']}.flac"
        split: Split = match["split"]  # type: ignore[assignment]
        return Destination(match["speaker"], path, split if official else None)

    def people(texts: Texts) -> People:
        rows = [line.split("|") for line in texts.get("SPEAKERS.TXT", "").splitlines()]
        return {
            row[0].strip(): {"gender": row[1].strip().lower()}
            for row in rows
            if len(row) >= 3 and row[2].strip() in parts
        }

    return Layout(
        locate,
        texts=("SPEAKERS.TXT",),
        people=people,
        shows=f"LibriSpeech/{parts[0]}/19/198/19-198-0000.flac",
    )


# --- VCTK --------------------------------------------------------------------------------------


def make_vctk_layout() -> Layout:
    """Return the layout of its first microphone, the only one that recorded every speaker."""

    def people(texts: Texts) -> People:
        rows = [line.split() for line in texts.get("speaker-info.txt", "").splitlines()[1:]]
        return {row[0]: {"gender": row[2].lower(), "age": row[1]} for row in rows if len(row) >= 3}

    return Layout(
        _match(
            r"wav48_silence_trimmed/(?P<speaker>p\d+|s5)/(?P<name>(?P=speaker)_\d+)_mic1\.flac",
            r"\g<name>.flac",
        ),
        texts=("speaker-info.txt",),
        people=people,
        shows="wav48_silence_trimmed/p225/p225_001_mic1.flac",
    )


# --- Speech Commands ---------------------------------------------------------------------------


def make_speech_commands_layout() -> Layout:
    """Return its layout; the speakers of dev and test stand in two lists of the archive."""

    def splits(texts: Texts) -> Mapping[str, Split]:
        found: dict[str, Split] = {}
        lists: tuple[tuple[str, Split], ...] = (
            ("validation_list.txt", "dev"),
            ("testing_list.txt", "test"),
        )
        for name, split in lists:
            for line in texts[name].split():
                found[line.rpartition("/")[2].partition("_nohash_")[0]] = split
        return found

    return Layout(
        _match(
            r"(?P<word>[a-z]+)/(?P<speaker>[0-9a-z]+)_nohash_(?P<take>\d+)\.wav",
            r"\g<word>_\g<take>.flac",
        ),
        texts=("validation_list.txt", "testing_list.txt"),
        splits=splits,
        shows="yes/004ae714_nohash_0.wav",
    )


# --- VoxCeleb1 ---------------------------------------------------------------------------------

VOXCELEB_TEST = tuple(f"id{number}" for number in range(10270, 10310))
"""The speakers of its test part, those whose names begin with an E."""


def make_voxceleb_layout() -> Layout:
    """Return its layout: the 40 speakers of its test part are in test, the others in train."""
    locate = _match(
        r"(?P<speaker>id1\d{4})/(?P<video>[\w-]+)/(?P<take>\d+)\.wav",
        r"\g<video>/\g<take>.flac",
    )

    def with_split(name: str) -> Destination | None:
        found = locate(name)
        if found is None:
            return None
        split: Split = "test" if found.speaker in VOXCELEB_TEST else "train"
        return Destination(found.speaker, found.path, split)

    return Layout(with_split, shows="wav/id10270/x6uYqmx31kE/00001.wav")


# --- VoxCeleb2 and CN-Celeb ---------------------------------------------------------------------


def make_voxceleb2_layout() -> Layout:
    """Return the layout of VoxCeleb2's dev part, all train, with all of VoxCeleb1, all test."""
    train = _match(
        r"(?P<speaker>id0\d{4})/(?P<video>[\w-]+)/(?P<take>\d+)\.(?:m4a|wav|flac)",
        r"\g<video>/\g<take>.flac",
    )
    test = make_voxceleb_layout().locate

    def locate(name: str) -> Destination | None:
        if (found := train(name)) is not None:
            return Destination(found.speaker, found.path, "train")
        found = test(name)
        return None if found is None else Destination(found.speaker, found.path, "test")

    return Layout(locate, shows="dev/aac/id00012/21Uxsk56VDQ/00001.m4a")


_CNCELEB = re.compile(
    r"(?:^|/)CN-Celeb(?P<second>2?)_flac/(?:data/(?P<train>id\d+)/(?P<path>[^/]+\.flac)"
    r"|eval/(?P<part>enroll|test)/(?P<file>(?P<test>id\d+)-[^/]+\.flac))$"
)
_CNCELEB_TRIALS, _CNCELEB_ENROLMENTS = "eval/lists/trials.lst", "eval/lists/enroll.lst"
_FIRST_OF_EVAL = 800


def make_cnceleb_layout() -> Layout:
    """Return its layout: speakers below id00800 and those of CN-Celeb2 are in train.

    Of the others, `data` has the recordings that their enrolments were joined from: left out.
    """

    def locate(name: str) -> Destination | None:
        match = _CNCELEB.search(name)
        if match is None:
            return None
        if match["test"]:
            return Destination(match["test"], f"{match['part']}/{match['file']}", "test")
        is_eval = not match["second"] and int(match["train"][2:]) >= _FIRST_OF_EVAL
        return None if is_eval else Destination(match["train"], match["path"], "train")

    def pairs(texts: Texts, _: str) -> Iterator[str]:
        rows = (line.split() for line in texts[_CNCELEB_ENROLMENTS].splitlines())
        enrolments = {row[0]: row[1] for row in rows if len(row) >= 2}
        for line in texts[_CNCELEB_TRIALS].splitlines():
            enrolment, test, label = line.split()
            # The lists say .wav, the archives have .flac.
            files = [
                f"CN-Celeb_flac/eval/{path.rpartition('.')[0]}.flac"
                for path in (enrolments[enrolment], test)
            ]
            yield f"{label} {files[0]} {files[1]}"

    return Layout(
        locate,
        texts=(_CNCELEB_TRIALS, _CNCELEB_ENROLMENTS),
        pairs=pairs,
        shows="CN-Celeb_flac/data/id00000/singing-01-001.flac",
    )


# --- speechocean762 ----------------------------------------------------------------------------


def make_speechocean_layout() -> Layout:
    """Return its layout: its own train and test speakers; genders are m and f, ages in years."""
    halves: tuple[Split, ...] = ("train", "test")

    def table(texts: Texts, name: str) -> dict[str, str]:
        lines = (line.split() for line in texts.get(name, "").splitlines())
        return {row[0].removeprefix("SPEAKER"): row[1] for row in lines if len(row) >= 2}

    def splits(texts: Texts) -> Mapping[str, Split]:
        return {
            speaker: half for half in halves for speaker in table(texts, f"{half}/utt2spk").values()
        }

    def people(texts: Texts) -> People:
        found: People = {}
        for half in halves:
            ages = table(texts, f"{half}/spk2age")
            for speaker, gender in table(texts, f"{half}/spk2gender").items():
                found[speaker] = {"gender": gender.lower(), "age": ages.get(speaker, "")}
        return found

    return Layout(
        _match(
            r"WAVE/SPEAKER(?P<speaker>\d{4})/(?P<name>\d+)\.(?:wav|WAV)",
            r"\g<name>.flac",
        ),
        texts=tuple(
            f"{half}/{name}" for half in halves for name in ("utt2spk", "spk2gender", "spk2age")
        ),
        splits=splits,
        people=people,
        shows="speechocean762/WAVE/SPEAKER0001/000010011.WAV",
    )

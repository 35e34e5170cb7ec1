"""List the public corpora that can be fetched.

Addresses and checksums are torchaudio's, read from its modules when a corpus is fetched; listing
the corpora loads nothing of it.
"""

import difflib
from dataclasses import dataclass

from search.core.errors import UsageError
from search.data.public import layouts
from search.data.public.celebrities import CELEBRITIES
from search.data.public.public_corpus import Archive, PublicCorpus
from search.data.public.transfer import Remote

GIGABYTE = 10**9


def find_public_corpus(name: str) -> PublicCorpus:
    """Return the public corpus of a name.

    Raises:
        UsageError: if there is none, naming the nearest one.
    """
    known = {corpus.name: corpus for corpus in CORPORA}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(
        f"no public corpus {name!r} is known; {hint}`spksearch corpus fetch --list` names them"
    )


# --- LibriSpeech -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    name: str
    speakers: int
    utterances: int
    hours: float
    megabytes: int


_PARTS = (
    _Part("dev-clean", 40, 2703, 5.4, 338),
    _Part("dev-other", 33, 2864, 5.3, 314),
    _Part("test-clean", 40, 2620, 5.4, 347),
    _Part("test-other", 33, 2939, 5.1, 329),
    _Part("train-clean-100", 251, 28539, 100.6, 6387),
    _Part("train-clean-360", 921, 104014, 363.6, 23049),
    _Part("train-other-500", 1166, 148688, 496.7, 30594),
)


def _make_librispeech(
    name: str, about: str, parts: tuple[str, ...], official: bool
) -> PublicCorpus:
    chosen = [part for part in _PARTS if part.name in parts]
    bytes_ = 10**6 * sum(part.megabytes for part in chosen)
    return PublicCorpus(
        name=name,
        about=about,
        speakers=sum(part.speakers for part in chosen),
        utterances=sum(part.utterances for part in chosen),
        hours=round(sum(part.hours for part in chosen), 1),
        download_bytes=bytes_,
        folder_bytes=bytes_,
        licence="CC BY 4.0",
        page="https://www.openslr.org/12",
        layout=layouts.make_librispeech_layout(parts, official),
        archives=lambda: tuple(_make_librispeech_archive(part) for part in parts),
        note="Read English (Panayotov et al. 2015). "
        + (
            "Train, dev and test are the publisher's parts; the pairs are drawn, since it has none."
            if official
            else "One part, split by speaker here; its publisher uses it whole."
        ),
    )


def _make_librispeech_archive(part: str) -> Archive:
    from torchaudio.datasets import librispeech

    (url,) = (url for url in librispeech._CHECKSUMS if url.endswith(f"/{part}.tar.gz"))
    return Archive((Remote(url, librispeech._CHECKSUMS[url]),))


_CLEAN = ("dev-clean", "test-clean")
_ALL_DEV_TEST = ("dev-clean", "dev-other", "test-clean", "test-other")


# --- VCTK, Speech Commands ---------------------------------------------------------------------


def _make_vctk_archives() -> tuple[Archive, ...]:
    from torchaudio.datasets import vctk

    return (Archive((Remote(vctk.URL, vctk._CHECKSUMS[vctk.URL]),)),)


def _make_speech_commands_archives(version: str) -> tuple[Archive, ...]:
    from torchaudio.datasets import speechcommands

    sums = speechcommands._CHECKSUMS
    (url,) = (url for url in sums if url.endswith(f"_v{version}.tar.gz"))
    return (Archive((Remote(url, sums[url]),)),)


# --- speechocean762 ----------------------------------------------------------------------------

_SPEECHOCEAN = "https://www.openslr.org/resources/101/speechocean762.tar.gz"


CORPORA: tuple[PublicCorpus, ...] = (
    PublicCorpus(
        name="speechocean762",
        about="English of Mandarin speakers, half of them children",
        speakers=250,
        utterances=5000,
        hours=5.6,
        download_bytes=520 * 10**6,
        folder_bytes=450 * 10**6,
        licence="CC BY 4.0",
        page="https://www.openslr.org/101",
        layout=layouts.make_speechocean_layout(),
        archives=lambda: (Archive((Remote(_SPEECHOCEAN),)),),
        note="Zhang et al. 2021 (arXiv:2104.01378). Test speakers are the publisher's, dev "
        "speakers are drawn from its train; one session and device a speaker. It publishes no "
        "checksum: the archive's own check has to do.",
    ),
    *(
        _make_librispeech(
            f"librispeech-{part.name}", "one part of LibriSpeech", (part.name,), False
        )
        for part in _PARTS
    ),
    _make_librispeech(
        "librispeech-100",
        "train-clean-100, dev-clean, test-clean",
        ("train-clean-100", *_CLEAN),
        True,
    ),
    _make_librispeech(
        "librispeech-460",
        "both clean train parts, dev-clean, test-clean",
        ("train-clean-100", "train-clean-360", *_CLEAN),
        True,
    ),
    _make_librispeech(
        "librispeech-960",
        "all of LibriSpeech",
        ("train-clean-100", "train-clean-360", "train-other-500", *_ALL_DEV_TEST),
        True,
    ),
    PublicCorpus(
        name="vctk",
        about="read English, many accents, studio",
        speakers=110,
        utterances=44_000,
        hours=41.0,
        download_bytes=11_750 * 10**6,
        folder_bytes=4 * GIGABYTE,
        licence="CC BY 4.0",
        page="https://datashare.ed.ac.uk/handle/10283/3443",
        layout=layouts.make_vctk_layout(),
        archives=_make_vctk_archives,
        note="VCTK 0.92 (Yamagishi et al. 2019), first microphone, silence trimmed, 48 to 16 kHz. "
        "It has no official split; speakers are parted here.",
    ),
    PublicCorpus(
        name="speech-commands-v0.01",
        about="single words of a second, first version",
        speakers=1881,
        utterances=64_727,
        hours=17.8,
        download_bytes=1_490 * 10**6,
        folder_bytes=1_500 * 10**6,
        licence="CC BY 4.0",
        page="https://arxiv.org/abs/1804.03209",
        layout=layouts.make_speech_commands_layout(),
        archives=lambda: _make_speech_commands_archives("0.01"),
        note="Warden 2018. Train, dev and test speakers are the publisher's; the pairs are drawn.",
    ),
    PublicCorpus(
        name="speech-commands",
        about="single words of a second, version 0.02",
        speakers=2618,
        utterances=105_829,
        hours=29.0,
        download_bytes=2_429 * 10**6,
        folder_bytes=2_500 * 10**6,
        licence="CC BY 4.0",
        page="https://arxiv.org/abs/1804.03209",
        layout=layouts.make_speech_commands_layout(),
        archives=lambda: _make_speech_commands_archives("0.02"),
        note="Warden 2018. Train, dev and test speakers are the publisher's; the pairs are drawn.",
    ),
    *CELEBRITIES,
)

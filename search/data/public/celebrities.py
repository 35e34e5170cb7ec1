"""List the corpora of celebrities that can be fetched: VoxCeleb1 and 2, CN-Celeb.

Checksums of VoxCeleb1 are torchaudio's; those of VoxCeleb2 and CN-Celeb are the MD5 sums that their
publishers give.
"""

from collections.abc import Callable

from search.data.public import layouts
from search.data.public.public_corpus import Archive, Lists, PublicCorpus
from search.data.public.transfer import Remote

# --- VoxCeleb1 ---------------------------------------------------------------------------------

_META = "https://www.robots.ox.ac.uk/~vgg/data/voxceleb/meta/"
_PAIRS = {
    "veri_test.txt": 37_720,
    "veri_test2.txt": 37_611,
    "list_test_all.txt": 581_480,
    "list_test_all2.txt": 579_818,
    "list_test_hard.txt": 552_536,
    "list_test_hard2.txt": 550_894,
}
"""VoxCeleb1-O, E and H; those with a 2 are the cleaned ones."""
_ORIGINAL = ("veri_test.txt", "veri_test2.txt")
_ACCESS = (
    "VoxCeleb is given to those who ask for a key at "
    "https://mm.kaist.ac.kr/datasets/voxceleb/ (a form, answered by mail): download its files with "
    "the key, put them into one folder, and give that folder with --from FOLDER"
)


def _make_voxceleb_archives(*parts: str) -> tuple[Archive, ...]:
    from torchaudio.datasets import voxceleb1

    found = []
    for part in parts:
        config = voxceleb1._ARCHIVE_CONFIGS[part]
        urls = config.get("urls") or [config["url"]]
        sums = config.get("checksums") or [config["checksum"]]
        pieces = tuple(Remote(*each) for each in zip(urls, sums, strict=True))
        found.append(Archive(pieces, joined=config["archive_name"] if len(pieces) > 1 else ""))
    return tuple(found)


def _make_voxceleb_lists(names: tuple[str, ...]) -> Lists:
    return Lists({Remote(_META + name): _PAIRS[name] for name in names})


def _make_identification_list() -> Lists:
    from torchaudio.datasets import voxceleb1

    return Lists({}, identification=Remote(voxceleb1._IDEN_SPLIT_URL))


def _make_voxceleb1(
    name: str, about: str, lists: Callable[[], Lists], note: str, test_only: bool = False
) -> PublicCorpus:
    return PublicCorpus(
        name=name,
        about=about,
        speakers=40 if test_only else 1251,
        utterances=4874 if test_only else 153_516,
        hours=11.2 if test_only else 351.6,
        download_bytes=(1_080 if test_only else 39_000) * 10**6,
        folder_bytes=(900 if test_only else 30_000) * 10**6,
        licence="CC BY 4.0",
        page="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
        layout=layouts.make_voxceleb_layout(),
        archives=lambda: _make_voxceleb_archives(*(("test",) if test_only else ("dev", "test"))),
        lists=lists,
        access=_ACCESS,
        note=f"Nagrani et al. 2017; the recordings remain their owners'. {note}",
    )


# --- VoxCeleb2, CN-Celeb -----------------------------------------------------------------------


def _make_voxceleb2_archives() -> tuple[Archive, ...]:
    base = "https://thor.robots.ox.ac.uk/~vgg/data/voxceleb/vox1a/"
    pieces = tuple(
        Remote(f"{base}vox2_dev_aac_parta{end}", md5=md5) for end, md5 in _VOXCELEB2_MD5.items()
    )
    return (Archive(pieces, joined="vox2_dev_aac.zip"), *_make_voxceleb_archives("dev", "test"))


_VOXCELEB2_MD5 = {
    "a": "da070494c573e5c0564b1d11c3b20577",
    "b": "17fe6dab2b32b48abaf1676429cdd06f",
    "c": "1de58e086c5edf63625af1cb6d831528",
    "d": "5a043eb03e15c5a918ee6a52aad477f9",
    "e": "cea401b624983e2d0b2a87fb5d59aa60",
    "f": "fc886d9ba90ab88e7880ee98effd6ae9",
    "g": "d160ecc3f6ee3eed54d55349531cb42e",
    "h": "6b84a81b9af72a9d9eecbb3b1f602e65",
}
_CLEANED = ("veri_test2.txt", "list_test_all2.txt", "list_test_hard2.txt")
_CNCELEB = "https://www.openslr.org/resources/82/"


def _make_cnceleb_archives() -> tuple[Archive, ...]:
    first = Remote(f"{_CNCELEB}cn-celeb_v2.tar.gz", md5="7ab1b214028a7439e26608b2d5a0336c")
    sums = {
        "a": "4cdf738cff565ce35ad34274848659c3",
        "b": "4ff59a7009b79ef7043498ad3882b81b",
        "c": "3aa8e6e7f7ec4382f9926b1b31498228",
    }
    pieces = tuple(
        Remote(f"{_CNCELEB}cn-celeb2_v2.tar.gza{end}", md5=md5) for end, md5 in sums.items()
    )
    return (Archive((first,)), Archive(pieces, joined="cn-celeb2_v2.tar.gz"))


CELEBRITIES: tuple[PublicCorpus, ...] = (
    _make_voxceleb1(
        "voxceleb1",
        "celebrities on video, for verification",
        lambda: _make_voxceleb_lists(tuple(_PAIRS)),
        "The 40 test speakers are the publisher's, the pairs VoxCeleb1-O; dev speakers are drawn "
        "from the other 1,211. The lists E and H (list_test_all, list_test_hard) are of all 1,251: "
        "only a network that was trained on other speakers may be judged by them.",
    ),
    _make_voxceleb1(
        "voxceleb1-test",
        "its test part alone: to evaluate, not to train",
        lambda: _make_voxceleb_lists(_ORIGINAL),
        "Test pairs only: VoxCeleb1-O and its cleaned version.",
        test_only=True,
    ),
    _make_voxceleb1(
        "voxceleb1-identification",
        "the same speakers in train, dev and test",
        _make_identification_list,
        "Utterances, not speakers, are parted (the publisher's iden_split.txt), so that the verbs "
        "want --allow-overlap and an EER here is one of known speakers; the pairs are drawn.",
    ),
    PublicCorpus(
        name="voxceleb2",
        about="VoxCeleb2's dev part to train on, VoxCeleb1 to test on",
        speakers=5994 + 1251,
        utterances=1_092_009 + 153_516,
        hours=2_650.0,
        download_bytes=116_500 * 10**6,
        folder_bytes=230_000 * 10**6,
        licence="CC BY 4.0",
        page="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/",
        layout=layouts.make_voxceleb2_layout(),
        archives=_make_voxceleb2_archives,
        lists=lambda: _make_voxceleb_lists(_CLEANED),
        access=_ACCESS,
        note="Chung et al. 2018, Nagrani et al. 2017; the recordings remain their owners'. Test "
        "pairs are the cleaned VoxCeleb1-O; E and H (list_test_all2, list_test_hard2) lie beside "
        "them. The size of the folder is an estimate. To train on the m4a where they are, see "
        "`corpus import --from voxceleb`.",
    ),
    PublicCorpus(
        name="cnceleb",
        about="Chinese celebrities in eleven genres, CN-Celeb1 and 2",
        speakers=2796 + 196,
        utterances=600_000,
        hours=1_200.0,
        download_bytes=75_000 * 10**6,
        folder_bytes=75_000 * 10**6,
        licence="CC BY-SA 4.0",
        page="https://www.openslr.org/82",
        layout=layouts.make_cnceleb_layout(),
        archives=_make_cnceleb_archives,
        lists=lambda: Lists({}, inside={"trials.lst": 196 * 17_777}),
        note="Fan et al. 2020, Li et al. 2022. Train is CN-Celeb1's dev speakers and CN-Celeb2; "
        "test pairs are its 3,484,292 trials. Numbers of utterances and sizes are estimates.",
    ),
)

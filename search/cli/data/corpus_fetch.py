"""The verb `corpus fetch`: download a public corpus by its name."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.data import corpus_report
from search.cli.options import Json
from search.core.errors import UsageError
from search.reporting import console
from search.reporting.console import help_text
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    from search.data.public.noise_sets import NoiseSet
    from search.data.public.public_corpus import PublicCorpus

FETCH = help_text(
    "Download a public corpus, check and convert it, and write its lists.",
    "spksearch corpus fetch --list                            # what there is",
    "spksearch corpus fetch speechocean762 data/ocean         # the same call again resumes it",
    "spksearch corpus fetch voxceleb1-test data/vox --from downloads",
    "spksearch corpus fetch musan data/noise                  # noise and rooms: rirs_noises too",
    more="Utterances become 16 kHz mono FLAC below wav/SPEAKER/. Train, dev and test are the "
    "publisher's where it has them, else drawn by speaker from the seed. SOURCE.md says where "
    "everything is from, and its licence.",
)
_Name = Annotated[
    str | None, typer.Argument(metavar="NAME", help="Name of the corpus; see --list.")
]
_Folder = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="A new folder, or one left unfinished.")
]
_Seed = Annotated[
    int,
    typer.Option(
        metavar="N", min=0, help="Seed of splits and pairs where there are no official ones."
    ),
]


def fetch(
    name: _Name = None,
    folder: _Folder = None,
    list_wanted: Annotated[
        bool, typer.Option("--list", help="Name the corpora, with size, speakers and licence.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Folder that has the archives, or their contents, already.",
        ),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(metavar="URL", help="Another address of the same files.")
    ] = None,
    test_list: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Official list that becomes test_trials.txt [default: the first one].",
        ),
    ] = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Do not remove what was downloaded.")
    ] = False,
    seed: _Seed = 0,
    json_wanted: Json = False,
) -> None:
    """Fetch a public corpus into a folder; a complete folder is left as it is."""
    from search.data.public import catalogue, noise_sets
    from search.data.public.fetch import fetch_corpus
    from search.reporting.terminal import stderr_display

    if list_wanted:
        _print_public_corpora(catalogue.CORPORA, json_wanted)
        return
    if name is None or folder is None:
        raise typer.BadParameter("fetch takes the NAME of a corpus and a DIR, or --list")
    if (noise := noise_sets.find_noise_set(name)) is not None:
        _require_no_pairs(name, test_list, seed)
        _fetch_noise(noise, folder, source, mirror, keep_archives, json_wanted)
        return
    fetched = fetch_corpus(
        catalogue.find_public_corpus(name),
        folder,
        source=source,
        mirror=mirror,
        test_list=test_list,
        keep_archives=keep_archives,
        seed=seed,
        display=stderr_display(),
    )
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("fetched", folder=str(folder.absolute()), **asdict(fetched)))
    else:
        console.print_result(*corpus_report.format_fetched(folder, fetched))


def _require_no_pairs(name: str, test_list: str | None, seed: int) -> None:
    if test_list is not None or seed:
        raise UsageError(f"{name} has no pairs; leave --test-list and --seed out")


def _fetch_noise(
    noise: "NoiseSet",
    folder: Path,
    source: Path | None,
    mirror: str | None,
    keep_archives: bool,
    json_wanted: bool,
) -> None:
    from search.data.public.noise_sets import fetch_noise_set
    from search.reporting.terminal import stderr_display

    fetched = fetch_noise_set(
        noise,
        folder,
        source=source,
        mirror=mirror,
        keep_archives=keep_archives,
        display=stderr_display(),
    )
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("fetched", **asdict(fetched)))
        return
    shown = quote_path(folder)
    console.print_result(
        f"{quote_path(Path(fetched.folder))}: {fetched.files:,} recordings",
        f"licence: {fetched.licence}; see {fetched.page}",
    )
    console.print_note(f"next: spksearch noise pack {shown}")


def _print_public_corpora(corpora: "tuple[PublicCorpus, ...]", json_wanted: bool) -> None:
    from search.data.public.noise_sets import NOISE_SETS

    if not json_wanted:
        console.print_result(corpus_report.public_corpora_table(corpora))
        console.print_result("", corpus_report.noise_sets_table(NOISE_SETS))
        return
    from search.reporting.documents import document

    plain = (str, int, float)
    rows, sets = (
        [
            {key: value for key, value in vars(each).items() if isinstance(value, plain)}
            for each in group
        ]
        for group in (corpora, NOISE_SETS)
    )
    console.print_json(document("corpora", corpora=rows, noise_sets=sets))

"""The verbs that prepare a corpus: fetch, import, check, pack, split."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.data import corpus_report
from search.cli.data.corpus_fetch import FETCH, fetch
from search.cli.options import Json
from search.core.errors import UsageError
from search.reporting import console
from search.reporting.console import help_text
from spkmodel.core.shell import quote_path

if TYPE_CHECKING:
    pass

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=help_text(
        "Fetch a public corpus; check one, pack it, split it into train, dev and test.",
        "spksearch corpus fetch --list",
        "spksearch corpus check data/speech",
        "spksearch corpus split data/speech          # writes the three lists",
        "spksearch corpus pack data/speech           # launch does this by itself on first use",
        more="A corpus is a folder with wav/SPEAKER/.../UTTERANCE.wav (or flac, ogg), 16 kHz mono, "
        "and, if there are any, the lists train_list.txt, valid_trials.txt, test_trials.txt.",
    ),
)

_SPLITS = ("train", "dev", "test")
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_Corpus = Annotated[Path, typer.Argument(metavar="DIR", help="The corpus.")]
_AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Accept a speaker in two of train, dev and test.")
]


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Open every list and file of a corpus, and name all that is wrong, by kind.",
        "spksearch corpus check data/speech",
        "spksearch corpus check data/speech --json",
        "spksearch corpus check s3://BUCKET/speech     # every byte that pack --to has put there",
    ),
)
def check(
    corpus: Annotated[str, typer.Argument(metavar="DIR|URI", help="The corpus.")],
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Seed of drawing dev speakers where there is no dev list."
        ),
    ] = 0,
    allow_overlap: _AllowOverlap = False,
    json_wanted: Json = False,
) -> None:
    """Read the lists and audio of a corpus; exit with 2 if anything has to be mended."""
    from search.data import location
    from search.reporting.terminal import stderr_display

    source = location.parse_location(corpus)
    with stderr_display().task("reading utterances", "utterances") as progress:
        report = location.check_corpus(source, seed, allow_overlap, progress)
    if json_wanted:
        from search.reporting.documents import document

        where = location.format_location(source)
        console.print_json(document("corpus", folder=where, **asdict(report)))
    else:
        console.print_result(*corpus_report.format_report(report))
    if report.problems:
        console.print_note(corpus_report.format_counts(report))
        raise typer.Exit(2)


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Decode a corpus once into the file that trials read.",
        "spksearch corpus pack data/speech",
        "spksearch corpus pack data/phone --resample     # from another rate, or from stereo",
        "spksearch corpus pack data/vox2 --workers 8     # where it was killed, it goes on",
        "spksearch corpus pack data/speech --to s3://BUCKET/speech",
        more="At a URI (s3, gs, abfs, file) the store can be launched on: launch --corpus URI. "
        "Every node of a cluster fetches one copy, verified by its hash, into SPKSEARCH_CACHE "
        "(default: a folder of its /tmp); file:// names storage that all nodes mount.",
    ),
)
def pack(
    folder: _Corpus,
    resample: Annotated[
        bool, typer.Option("--resample", help="Convert to 16 kHz mono while packing.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="URI", help="Publish the packed corpus at this URI, with its test pairs."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Processes that decode [default: one for each core]."
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, help="Seed of drawing dev speakers where there is no dev list."
        ),
    ] = 0,
    allow_overlap: _AllowOverlap = False,
) -> None:
    """Write the store of a corpus below SPKSEARCH_HOME, and publish it if a URI is given."""
    from search.core.paths import home, make_home
    from search.data import location
    from search.reporting.terminal import stderr_display
    from spkmodel.data import corpus
    from spkmodel.data.checks.other_files import find_ignored
    from spkmodel.data.store import Store
    from spkmodel.data.store_writing import pack_corpus

    opened = corpus.open_corpus(folder, seed=seed, allow_overlap=allow_overlap)
    for _, text, _ in find_ignored(opened):
        console.print_note(f"not read: {text}")
    with stderr_display().task("packing", "utterances") as progress:
        make_home(say=console.print_note)
        packed = pack_corpus(opened, home(), resample, progress, workers)
    console.print_result(str(packed))
    if to is not None:
        uri = location.parse_location(to)
        if not isinstance(uri, str):
            raise UsageError(f"--to takes a URI, such as s3://BUCKET/speech, got {to}")
        with stderr_display().task(f"publishing at {uri}", "bytes") as progress:
            sha256 = location.publish_store(opened, Store.open(packed), uri, progress)
        console.print_result(f"{uri} ({sha256[:16]})")


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Write train_list.txt, valid_trials.txt and test_trials.txt, no speaker in two of them.",
        "spksearch corpus split data/speech",
        "spksearch corpus split data/speech --dev-speakers 20 --test-speakers 40 --seed 1",
    ),
)
def split(
    folder: _Corpus,
    seed: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Seed that decides which speaker is in which list."),
    ] = 0,
    dev_speakers: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="[default: a fifth, at most 100].")
    ] = None,
    test_speakers: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="[default: a fifth, at most 100].")
    ] = None,
    pairs: Annotated[
        int, typer.Option(metavar="N", min=2, help="Pairs in each of the two lists.")
    ] = 6000,
) -> None:
    """Write the lists of a corpus; existing lists are never overwritten."""
    from spkmodel.data import corpus

    lists = corpus.split_corpus(folder, seed, dev_speakers, test_speakers, pairs)
    speakers = {name: len({lists.speaker_of[p] for p in lists.of_split(name)}) for name in _SPLITS}
    counts = ", ".join(f"{count} speakers in {name}" for name, count in speakers.items())
    console.print_result(f"{quote_path(folder)}: lists written, {counts}")


@app.command(
    "import",
    context_settings=_HELP,
    help=help_text(
        "Make a corpus from audio and lists of another tool; the audio stays where it is.",
        "spksearch corpus import data/train data/test --from kaldi --to speech",
        "spksearch corpus import people.csv --from csv --to speech    # path, speaker, split",
        "spksearch corpus import downloads/vctk --from folders --to speech",
        "spksearch corpus import vox1 --from voxceleb --test veri_test2.txt --to vox",
        more="kaldi: wav.scp and utt2spk (trials), or WeSpeaker's raw.list. csv: a header, then "
        "commas, semicolons or tabs. folders: a folder of each speaker, at any depth. voxceleb: "
        "id10001/..., veri_test2.txt. Speakers of pairs are not trained on. Nothing in a list is "
        "run.",
    ),
)
def import_corpus(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders or files to import; several make one corpus."
        ),
    ],
    form: Annotated[
        Literal["kaldi", "csv", "folders", "voxceleb"],
        typer.Option("--from", help="Form of the lists."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The new corpus [default: the first DIR, -corpus]."),
    ] = None,
    dev: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Dev pairs [default: drawn by the seed].")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Test pairs [default: those in DIR].")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Seed of drawing pairs.")] = 0,
    json_wanted: Json = False,
) -> None:
    """Make a corpus whose speakers' folders are links; a folder with something in it is refused."""
    from search.data.imports import writing

    first = sources[0].resolve()
    folder = to if to is not None else first.with_name(f"{first.stem}-corpus")
    made = writing.import_corpus(sources, form, folder, dev, test, seed)
    if json_wanted:
        from search.reporting.documents import document

        console.print_json(document("imported", folder=str(folder.absolute()), **asdict(made)))
        return
    speakers = ", ".join(f"{count} in {split}" for split, count in made.speakers.items() if count)
    shown = quote_path(folder)
    console.print_result(f"{shown}: {made.utterances:,} utterances; speakers: {speakers}")
    for notice in made.notices:
        console.print_note(notice)
    console.print_note(f"next: spksearch corpus check {shown}")


app.command("fetch", context_settings=_HELP, help=FETCH)(fetch)

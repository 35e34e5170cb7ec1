"""The verbs that prepare data: corpus check, pack, split."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search import console
from search.console import help_text

if TYPE_CHECKING:
    from rich.table import Table

    from spkmodel.corpus import CorpusReport

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=help_text(
        "Check a corpus, pack it for training, split it into train, dev and test.",
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
        "Open every file of a corpus, and name what is wrong.",
        "spksearch corpus check data/speech",
        "spksearch corpus check data/speech --json",
    ),
)
def check(
    folder: _Corpus,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of dev speakers carved out.")] = 0,
    allow_overlap: _AllowOverlap = False,
    json_wanted: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Read lists and audio; exit 2 if anything is wrong."""
    from search.live import for_stderr
    from spkmodel import corpus

    there = corpus.open_corpus(folder, seed=seed, allow_overlap=allow_overlap)
    with for_stderr().task("reading utterances", "utterances") as progress:
        report = corpus.check(there, progress)
    if json_wanted:
        from search.documents import document

        console.data(document("corpus", folder=str(folder.absolute()), **asdict(report)))
    else:
        console.answer(report_table(report))
        for problem in report.problems:
            console.answer(problem)
    if report.problems:
        console.say(f"{len(report.problems)} of {sum(report.utterances.values())} cannot be used")
        raise typer.Exit(2)


def report_table(report: "CorpusReport") -> "Table":
    """A corpus in numbers, a split a row."""
    from rich.table import Table

    from search.tables import duration

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("split")
    for heading in ("speakers", "utterances", "length", "target pairs", "non-target pairs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for split, speakers in report.speakers.items():
        table.add_row(
            split,
            str(speakers),
            str(report.utterances[split]),
            duration(report.seconds[split]),
            str(report.target_pairs.get(split, "")),
            str(report.non_target_pairs.get(split, "")),
        )
    return table


@app.command(
    context_settings=_HELP,
    help=help_text(
        "Decode a corpus once into the store that trials read; re-used by its content.",
        "spksearch corpus pack data/speech",
        "spksearch corpus pack data/phone --resample     # from another rate, or from stereo",
    ),
)
def pack(
    folder: _Corpus,
    resample: Annotated[
        bool, typer.Option("--resample", help="Convert to 16 kHz mono while packing.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of dev speakers carved out.")] = 0,
    allow_overlap: _AllowOverlap = False,
) -> None:
    """Write the store below SPKSEARCH_HOME."""
    from search.home import home
    from search.live import for_stderr
    from spkmodel import corpus, store

    there = corpus.open_corpus(folder, seed=seed, allow_overlap=allow_overlap)
    with for_stderr().task("packing", "utterances") as progress:
        packed = store.pack(there, home(), resample=resample, progress=progress)
    console.answer(str(packed))


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
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Decides who goes where.")] = 0,
    dev_speakers: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="[default: a fifth, at most 100].")
    ] = None,
    test_speakers: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="[default: a fifth, at most 100].")
    ] = None,
    pairs: Annotated[
        int, typer.Option(metavar="N", min=2, help="In each of the two lists.")
    ] = 6000,
) -> None:
    """Write the lists; lists that are there are never overwritten."""
    from spkmodel import corpus

    there = corpus.split(folder, seed, dev_speakers, test_speakers, pairs)
    speakers = {name: len({there.speaker_of[p] for p in there.of_split(name)}) for name in _SPLITS}
    said = ", ".join(f"{count} speakers in {name}" for name, count in speakers.items())
    console.answer(f"{folder}: lists written, {said}")

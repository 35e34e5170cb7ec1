"""Options that several verbs take, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from spkmodel.core.condition_names import Condition

SearchName = Annotated[str, typer.Argument(metavar="NAME", help="The search.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Concurrent = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Trials that run at once.")
]
GpusPerTrial = Annotated[
    float | None, typer.Option(metavar="N", min=0.0, help="GPUs of one trial; may be a fraction.")
]
CpusPerTrial = Annotated[
    float | None, typer.Option(metavar="N", min=0.1, help="CPU threads of one trial.")
]
KeepCheckpoints = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Trials whose best checkpoint is kept [default: 5]."),
]
DiskGb = Annotated[
    float | None,
    typer.Option(metavar="GB", help="Disk space for all checkpoints [default: no limit]."),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Join a running Ray cluster [default: this machine]."),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Join a cluster without a token although others can reach it."),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(metavar="URI", help="MLflow server [default: a local one, started for you]."),
]
DevCondition = Annotated[
    Condition | None,
    typer.Option(help="Condition that the dev utterances are put into [default: clean]."),
]
Noise = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of background noise; also $SPKSEARCH_NOISE."),
]
Rooms = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of room responses; also $SPKSEARCH_ROOMS."),
]
AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Accept a speaker in two of train, dev, test.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; start and write nothing.")]


def require_page(path: Path | None, flag: str) -> None:
    """Require that a page can be written to a path, before hours of work for it.

    Raises:
        UsageError: if its name does not end in .html, or its folder is not there.
    """
    from search.core.errors import UsageError

    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{flag} writes a page: name a file .html, got {path}")
    if not path.parent.is_dir():
        raise UsageError(f"{flag} {path}: no folder {path.parent}")

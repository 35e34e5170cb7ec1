"""Options that several verbs take, each declared once."""

from pathlib import Path
from typing import Annotated

import typer

from spkmodel.core.condition_names import Condition

SearchName = Annotated[str, typer.Argument(metavar="NAME", help="The search.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Concurrent = Annotated[int | None, typer.Option(metavar="N", min=1, help="Trials at once.")]
GpusPerTrial = Annotated[
    float | None, typer.Option(metavar="N", min=0.0, help="May be a fraction.")
]
CpusPerTrial = Annotated[
    float | None, typer.Option(metavar="N", min=0.1, help="Threads of one trial.")
]
KeepCheckpoints = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Trials whose best checkpoint is kept [default: 5]."),
]
DiskGb = Annotated[
    float | None,
    typer.Option(metavar="GB", help="What all checkpoints may use [default: what there is]."),
]
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="A running Ray cluster [default: this machine]."),
]
Insecure = Annotated[
    bool,
    typer.Option("--insecure", help="Join a cluster without a token although others can reach it."),
]
TrackingUri = Annotated[
    str | None, typer.Option(metavar="URI", help="An MLflow server [default: one of our own].")
]
DevCondition = Annotated[
    Condition | None, typer.Option(help="How the dev pairs sound [default: clean].")
]
Noise = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Ambiences; also $SPKSEARCH_NOISE.")
]
Rooms = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Room responses; also $SPKSEARCH_ROOMS.")
]
AllowOverlap = Annotated[
    bool, typer.Option("--allow-overlap", help="Accept a speaker in two of train, dev, test.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; start and write nothing.")]

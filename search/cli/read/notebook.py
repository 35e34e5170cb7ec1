"""The verb `notebook`: print the log or a user's notebook, begin one, append to it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from search.cli.options import Json
from search.reporting import console
from search.reporting.console import help_text
from spkmodel.core.shell import quote_path

HELP = help_text(
    "The experiment log as data, or a notebook of your own in the same form.",
    "spksearch notebook                   # all entries",
    "spksearch notebook 116               # one: its change, config, weights, finding",
    "spksearch notebook --tree            # what was kept, and what was tried beside it",
    "spksearch notebook init my.toml      # a notebook that goes on where the log ends",
    "spksearch notebook add --from-trial triplet/t0007 --file my.toml",
)
_SHOW = "show"


class EntriesOrVerbs(TyperGroup):
    """A group that shows an entry when its first argument is not one of its verbs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # `spksearch notebook 116` reads better than `spksearch notebook show 116`.
        wants_help = any(arg in ("-h", "--help") for arg in args)
        if not wants_help and (not args or args[0] not in self.commands):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="notebook",
    cls=EntriesOrVerbs,
    help=HELP,
    short_help="Read and continue the experiment log.",
    no_args_is_help=False,
    rich_markup_mode=None,
    subcommand_metavar="[ENTRY | init | add] [--tree] [--file FILE] [--json]",
)


@app.command(_SHOW, help="Entries of a notebook.", hidden=True)
def show(
    entry: Annotated[
        str | None, typer.Argument(metavar="ENTRY", help="Such as 116; otherwise all.")
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="As branches.")] = False,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own notebook [default: the log].")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Print entries of a notebook."""
    from search.notebook import tables as pages
    from search.notebook.notebooks import load_notebook
    from search.reporting.documents import document

    notebook = load_notebook(file)
    if entry is not None:
        from search.space.model_size import count_weights

        found = notebook.entry(entry)
        weights = count_weights(found.config, found.protocol.speakers)
        if json_wanted:
            console.print_json(document("entry", **pages.full_entry_document(found, weights)))
        else:
            console.print_result(*pages.entry_page(notebook, found, weights))
    elif json_wanted:
        rows = [pages.entry_document(each) for each in notebook.own]
        console.print_json(document("notebook", name=notebook.name, entries=rows))
    elif tree:
        console.print_result(*pages.tree_lines(notebook))
    else:
        console.print_result(notebook.header.title, "", pages.entry_table(notebook.own), "")
        console.print_result(pages.summary_line(notebook.own))


@app.command(
    "init",
    help=help_text(
        "Create your own notebook.",
        "spksearch notebook init my.toml",
        "spksearch notebook init my.toml --fresh   # not based on the log",
    ),
)
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="To be made.")] = Path(
        "notebook.toml"
    ),
    title: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from nothing, not from the log.")
    ] = False,
) -> None:
    """Create an empty notebook."""
    from spaces.logged.writing import create_notebook

    notebook = create_notebook(file, title, continues_log=not fresh)
    after = "" if fresh else f", after {notebook.entries[-1].number} of the log"
    shown = quote_path(file)
    console.print_result(f"{shown}: an empty notebook{after}")
    console.print_result(f"next    spksearch notebook add --from-trial SEARCH/TRIAL --file {shown}")


@app.command(
    "add",
    help=help_text(
        "Append a finished trial to a notebook, as the entry that comes next.",
        "spksearch notebook add --from-trial triplet/t0007 --finding 'better than 125'",
        "spksearch notebook add --from-trial triplet/t0009 --based-on 129 --dropped",
        more="The entry's delta is worked out from the config of the one that it is based on, and "
        "its dev EER is written down with it.",
    ),
)
def add(
    from_trial: Annotated[str, typer.Option(metavar="SEARCH/TRIAL", help="A finished trial.")],
    file: Annotated[Path, typer.Option(metavar="FILE", help="The notebook.")] = Path(
        "notebook.toml"
    ),
    change: Annotated[
        str | None, typer.Option(metavar="TEXT", help="In words [default: the delta].")
    ] = None,
    finding: Annotated[str, typer.Option(metavar="TEXT", help="What came of it.")] = "",
    based_on: Annotated[
        str | None,
        typer.Option(metavar="ENTRY", help="[default: the last one that was kept]."),
    ] = None,
    mark: Annotated[str, typer.Option(metavar="MARK", help="Such as '(unchanged)'.")] = "",
    dropped: Annotated[
        bool, typer.Option("--dropped", help="The next entries do not start from it.")
    ] = False,
    json_wanted: Json = False,
) -> None:
    """Append a finished trial to a notebook, and print it as an entry."""
    from search.notebook import tables as pages
    from search.notebook.notebooks import add_trial, load_notebook
    from search.reporting.documents import document
    from search.space.model_size import count_weights

    entry = add_trial(
        file,
        from_trial,
        change=change,
        finding=finding,
        based_on=based_on,
        mark=mark,
        kept=not dropped,
    )
    weights = count_weights(entry.config, entry.protocol.speakers)
    if json_wanted:
        console.print_json(document("entry", **pages.full_entry_document(entry, weights)))
    else:
        console.print_result(*pages.entry_page(load_notebook(file), entry, weights))

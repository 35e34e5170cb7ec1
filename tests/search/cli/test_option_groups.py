"""Options that are declared as fields of dataclasses."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from search.cli.option_groups import expand_groups


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option(help="Of the box.")]
    deep: Annotated[bool, typer.Option("--deep", help="Or flat.")] = False


def command(
    name: Annotated[str, typer.Argument()],
    *,
    size: Size,
    loud: Annotated[bool, typer.Option()] = False,
) -> None:
    """Print what was typed."""
    typer.echo(f"{name} {size} {loud}")


def carry_out(*arguments: str) -> str:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(expand_groups(command))
    return CliRunner().invoke(app, list(arguments)).output


def test_a_group_arrives_as_its_dataclass_with_what_was_typed_and_the_defaults():
    assert carry_out("box", "--width", "3") == f"box {Size(width=3)} False\n"
    assert (
        carry_out("box", "--width", "3", "--deep", "--loud")
        == f"box {Size(width=3, deep=True)} True\n"
    )


def test_the_options_of_a_group_stand_where_the_group_stands():
    text = carry_out("--help")
    assert text.index("--width") < text.index("--deep") < text.index("--loud")
    assert "Print what was typed." in text


def test_a_required_field_is_a_required_option():
    assert "Missing option '--width'" in carry_out("box")

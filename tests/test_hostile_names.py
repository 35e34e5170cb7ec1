"""Somebody else's text stays text in all that is generated: Python, Markdown, HTML, shell lines."""

import ast
import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from search.cli.demo import _next_commands
from search.importers.voxceleb_trainer import commands, space_file
from search.importers.voxceleb_trainer.options import parse_options
from search.ledger.state import SearchState
from search.notebook import replay
from search.notebook.tables import _next
from search.promotion.model_card import format_card
from search.reporting.markdown import escape_text, format_code
from search.reporting.snapshot import format_resume_command
from search.reporting.trial_tables import trial_page
from search.tracking.experiment_note import format_note
from search.tracking.projection import SEARCH, RunProjection
from spkmodel.config import TrainConfig
from tests.support import three_trials

NAMES = (
    'x""";__import__("os").abort();""".yaml',
    '"',
    'ends with a slash\\"""\\',
    "it's",
    "$(touch owned) `touch owned`; touch owned",
    "two\nlines\r\n\u2028three\x1b[31m",
    "<script>alert(1)</script>",
    "a|b [x](javascript:alert(1)) ![y](z) **b** # c",
    "```\n# heading\n```",
    "\udcff",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_space_file_holds_a_name_as_text_only(name: str) -> None:
    text = space_file.format_space(TrainConfig(), f"Better ({name})?")
    tree = ast.parse(text)
    kinds = [type(node).__name__ for node in tree.body]
    assert kinds == ["Expr", "ImportFrom", "ImportFrom", "If", "FunctionDef"]
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in name)
    assert ast.get_docstring(tree, clean=False) == f"Better ({shown})?"
    assert ast.literal_eval(space_file._format_text(name)) == name


def _trainer_commands(name: str) -> list[str]:
    return commands.format_training_commands(parse_options([]), f"{name}/s.py", 3, name)


def _evaluation_command(name: str) -> list[str]:
    return commands.format_evaluation_commands(
        parse_options(["--initial_model", name, "--eval"]), name
    )


def _trial_commands(name: str) -> list[str]:
    events = [three_trials.search_event(corpus=name), three_trials.trial_event("t0001", 1, 32)]
    state = SearchState.from_events(events)
    page = trial_page(state, state.trials["t0001"], "stopped", Path("/none"), {})
    return [str(page[-1]).strip()]


def _resume_command(name: str) -> list[str]:
    return [format_resume_command(three_trials.search_event(space_file=name))]


def _notebook_commands(name: str) -> list[str]:
    entry = SimpleNamespace(based_on="", number="01")
    lines = _next(SimpleNamespace(name="mine", path=Path(name)), entry)  # type: ignore[arg-type]
    return [line.removeprefix("next").strip() for line in lines]


def _replay_command(name: str) -> list[str]:
    scale = SimpleNamespace(text="small")
    request = SimpleNamespace(
        entries="01", corpus=Path(name), scale=scale, file=Path(name), check=False, seeds=1
    )
    return [replay._format_command(request)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "generate",
    [
        _trainer_commands,
        _evaluation_command,
        _trial_commands,
        _resume_command,
        _notebook_commands,
        _replay_command,
    ],
)
def test_a_printed_command_takes_a_name_as_one_word(generate, tmp_path) -> None:
    named = 0
    for name in NAMES:
        for command in generate(name):
            # The command itself is not run: its words are printed, each with a NUL behind it.
            words = subprocess.run(
                ["bash", "-c", f"printf '%s\\0' {command}"],
                cwd=tmp_path,
                capture_output=True,
                check=True,
            ).stdout.decode(errors="surrogateescape")
            assert words.startswith("spksearch\0")
            named += name in [word.removesuffix("/s.py") for word in words.split("\0")]
    assert named >= len(NAMES)
    assert not list(tmp_path.iterdir())


def test_the_demos_commands_take_its_folder_as_one_word(tmp_path) -> None:
    for name in NAMES:
        line = _next_commands(Path("/x") / name)[1].rpartition("#")[0]
        shown = line.replace("spksearch ui", 'printf %s "$SPKSEARCH_HOME"; : ', 1)
        shown = shown.strip().replace(" printf", "; printf", 1)
        said = subprocess.run(["bash", "-c", shown], cwd=tmp_path, capture_output=True, check=True)
        assert said.stdout.decode(errors="surrogateescape") == f"/x/{name}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_text_in_markdown_has_neither_markup_nor_html_nor_lines(name: str) -> None:
    shown = escape_text(name)
    assert shown.isprintable()
    assert "<" not in shown
    bare = re.sub(r"\\(.)", "", shown)
    assert not set(bare) & set("`*_[]()#!|")
    code = format_code(name)
    fence = re.match("`+", code)
    assert fence is not None
    assert code.isprintable()
    assert not re.search(rf"(?<!`){fence[0]}(?!`)", code[len(fence[0]) : -len(fence[0])])


def _card(name: str) -> str:
    figures = {
        "eer": 0.1, "eer_low": 0.05, "eer_high": 0.2, "min_dcf_p01": 0.5, "min_dcf_p05": 0.5,
        "at_dev_threshold": {"miss": 0.1, "false_alarm": 0.1}, "condition": "clean",
    }  # fmt: skip
    listed = {
        "name": name, "pairs": 4, "targets": 2, "non_targets": 2, "speakers": 3, "sha256": "0" * 64
    }  # fmt: skip
    model = {"encoder": "tdnn", "parameters": 9, "embedding_dim": 3, "sha256": "0" * 64}
    dev = {**figures, "list": listed, "condition": "clean", "threshold": 0.5}
    conditions = {"clean": {**figures, "floors": [{**figures, "name": name}]}}
    report = {
        "search": "s", "trial": "t0001", "epoch": 3, "space": name, "corpus_sha256": "0" * 64,
        "scoring": "cosine", "registered_as": f"models:/s@{name}", "dev": dev,
        "model": {**model, "signature": "0" * 8},
        "test": {"list": listed, "looks": 0, "conditions": conditions},
        "utterance_seconds": {"low": 1.0, "high": 2.0, "median": 1.5},
    }  # fmt: skip
    return format_card(report, {"weights": name})


def _note(name: str) -> str:
    projection = RunProjection()
    projection.add(three_trials.search_event(space=name))
    projection.runs[SEARCH].tags["hold"] = name
    return format_note(projection, {})


@pytest.mark.parametrize("generate", [_card, _note])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_the_same_form_whatever_a_name_is(generate, name: str) -> None:
    def form(text: str) -> list[str]:
        return [re.match(r"(#+|```\w*|\||\s*)", line)[0] for line in text.splitlines()]  # type: ignore[index]

    assert form(generate(name)) == form(generate("plain"))
    text = re.sub(r"(`+).*?[^`]\1(?!`)", "", re.sub(r"(?ms)^```.*?^```$", "", generate(name)))
    assert "<script" not in text


@pytest.mark.parametrize("name", NAMES)
def test_code_of_a_card_holds_a_name_as_text_only(name: str) -> None:
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```$", _card(name))
    named = {f"models:/s@{name}"}
    for block, others in zip(blocks, (named, set()), strict=True):
        tree = ast.parse(block)
        statements = {type(node).__name__ for node in tree.body}
        assert statements <= {"Import", "Assign"}
        nodes = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        texts = {each for each in nodes if isinstance(each, str)}
        assert texts - {"recording.wav", "float32", "."} == others
    (config,) = re.findall(r"(?ms)^```json\n(.*?)^```$", _card(name))
    assert json.loads(config) == {"weights": name}

"""What the pages show is what the code does."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from bench.site import cli_reference
from search.space import loader
from spkmodel import config
from tests.support.command_line import answered
from tests.support.pages import code_blocks
from tests.support.pages.code_blocks import PAGES, ROOT
from tests.support.tone_corpus import write_corpus

MODELS = Path(__file__).parent.parent / "docs" / "models.md"


def _page() -> str:
    return MODELS.read_text(encoding="utf-8")


def test_the_example_of_the_model_library_builds():
    (code,) = re.findall(r"```python\n(.*?)```", _page(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code.replace("\n\nTrainConfig(", "\n\nexample = TrainConfig("), names)
    assert isinstance(names["example"], config.TrainConfig)


def test_every_variant_of_every_family_is_on_the_page_of_the_model_library():
    parts = [name for name in config.__all__ if _is_part(name)]
    bases = {"FrozenModel", "MelSpectrogram", "BatchRenorm", "Weighted", "TrainConfig"}
    missing = [name for name in parts if name not in _page() and name not in bases]
    assert missing == []


def _is_part(name: str) -> bool:
    thing = getattr(config, name)
    return isinstance(thing, type) and issubclass(thing, config.FrozenModel)


def test_every_test_that_the_security_page_names_is_there():
    page = (MODELS.parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w/]+/)?test_\w+\.py|[\w/]+/)`", page)) - {"spaces/", "cluster/"}
    tests = MODELS.parents[1] / "tests"
    there = {str(path.relative_to(tests.parent)) + "/" * path.is_dir() for path in tests.rglob("*")}
    assert len(named) > 10
    assert [name for name in sorted(named) if not any(each.endswith(name) for each in there)] == []


# --- commands and snippets -----------------------------------------------------------------------

COMMANDS = dict(cli_reference.commands())
PROGRAM_LINES = [
    pytest.param(words[1:], id=f"{page}: {' '.join(words)[:60]}")
    for page in PAGES
    for words in code_blocks.commands(page)
    if words[0] == "spksearch" and len(words) > 1
]


@pytest.mark.parametrize("words", PROGRAM_LINES)
def test_every_command_of_the_pages_exists_with_its_options(words):
    count = 2 if " ".join(words[:2]) in COMMANDS else 1
    name = " ".join(words[:count])
    if name == "--version":
        return
    assert name in COMMANDS, f"there is no command {name!r}"
    parse(name, words[count:])


def parse(name, arguments):
    """Parse without calling, and without opening what the arguments name."""
    command = COMMANDS[name]
    command.make_parser(click.Context(command)).parse_args(list(arguments))


def test_the_pages_have_commands():
    assert len(PROGRAM_LINES) > 80


def test_an_option_that_does_not_exist_is_found():
    with pytest.raises(Exception, match="--trails"):
        parse("launch", ["x", "--trails", "3"])


def test_every_module_script_and_target_that_the_pages_call_is_there():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [words for page in PAGES for words in code_blocks.commands(page)]
    modules = {words[2] for words in lines if words[:2] == ["python", "-m"]}
    scripts = {word for words in lines if words[0] == "sbatch" for word in words if "/" in word}
    assert {words[1] for words in lines if words[0] == "make"} <= targets
    assert {name for name in modules if importlib.util.find_spec(name) is None} == set()
    scripts = {name for name in scripts if name.startswith("cluster/")}
    assert {name for name in scripts if not (ROOT / name).exists()} == set()
    assert len(modules) > 3
    assert scripts


@pytest.mark.parametrize(
    ("page", "code"),
    [
        pytest.param(page, code, id=f"{page} {number}")
        for page in PAGES
        for number, code in enumerate(code_blocks.blocks(page, "python"))
        if str(page) != "docs/how-to/use-a-model.md"  # run in tests/spksearch, with a model
    ],
)
def test_every_python_block_runs_and_a_space_can_be_searched(page, code, tmp_path, capsys):
    if "def space(" not in code:
        exec(compile(code, str(page), "exec"), {})
        return
    file = tmp_path / "my_space.py"
    file.write_text(code, encoding="utf-8")
    assert len(loader.branches(loader.load(str(file)))) > 1
    assert "learning_rate" in answered(capsys, "describe", str(file))


def test_the_commands_of_the_readme_about_data_do_what_it_says(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path / "runs"))
    speech = write_corpus(tmp_path / "data" / "speech")
    for name in ("train_list.txt", "valid_trials.txt", "test_trials.txt"):
        (speech / name).unlink()
    lines = [words for words in code_blocks.commands("README.md") if words[1:2] == ["corpus"]]
    by_verb = {words[2]: words[1:] for words in lines if words[-1] != "--list"}
    for verb in ("split", "check", "pack"):
        line = [word.replace("data/vox1", "data/speech") for word in by_verb[verb]]
        answered(capsys, *line)
    assert (speech / "test_trials.txt").exists()


# --- the README, the changelog, and the worked example -------------------------------------------


def test_the_readme_is_short_and_explains_its_words():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.split()) <= 1300
    for word in ("trial", "rungs", "segment", "ledger", "entries", "pairs"):
        first = re.search(rf"(?<![\w/(.-]){word}\b", readme)
        assert readme[first.start() - 1] == "*", f"{word!r} is not explained where it first stands"


def test_the_space_of_the_readme_has_ten_to_fifteen_lines():
    (code,) = code_blocks.blocks("README.md", "python")
    assert 10 <= len(code.splitlines()) <= 15


def test_the_changelog_begins_with_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)[0] == version


@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_worked_example_of_a_loss_works_when_it_is_followed(tmp_path):
    tree = tmp_path / "tree"
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    (diff,) = code_blocks.blocks("CONTRIBUTING.md", "diff")
    (tree / "focal.diff").write_text(diff, encoding="utf-8")
    (calls,) = [
        [words for words in map(code_blocks.split, block.splitlines()) if words]
        for block in code_blocks.blocks("CONTRIBUTING.md", "sh")
        if "focal.diff" in block
    ]
    for words in calls:
        line = [sys.executable if word == "python" else word for word in words]
        done = subprocess.run(line, cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    (tree / "focal.diff").unlink()
    for tool in (["ruff", "check", "spkmodel", "tests/spkmodel"], ["ruff", "format", "--check"]):
        line = [str(Path(sys.executable).parent / tool[0]), *tool[1:]]
        assert subprocess.run(line, cwd=tree).returncode == 0

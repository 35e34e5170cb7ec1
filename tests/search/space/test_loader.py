import subprocess
import sys
from itertools import combinations

import pytest

from search.core.errors import UsageError
from search.space import loader

NESTED = '''"""Which loss, and how hard should it push?

More words.
"""
from spkmodel.config import AAMSoftmax, Softmax, TrainConfig, Triplet, Combined, AdamW
from spkmodel.config import TDNN, Weighted

def space(trial):
    match trial.suggest_categorical("loss", ["softmax", "aam", "triplet", "combined"]):
        case "softmax":
            loss = Softmax()
        case "aam":
            loss = AAMSoftmax(margin_rad=trial.suggest_float("margin_rad", 0.1, 0.5))
        case "triplet" | "combined" as kind:
            mines = trial.suggest_categorical("mining", ["batch_all", "batch_hard"])  # log: 100-102
            margin = 0.3
            if mines == "batch_hard":
                margin = trial.suggest_float(  # log: 103-105
                    "triplet_margin", 0.01, 1.0, log=True
                )
            loss = Triplet(margin=margin, mining=mines)
            if kind == "combined":
                loss = Combined(terms=(Weighted(loss=Softmax()), Weighted(loss=loss)))
    return TrainConfig(
        loss=loss,
        encoder=TDNN(channels=trial.suggest_int("channels", 32, 128, step=32)),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
    )
'''

HEAD = "from spkmodel.config import TrainConfig, Triplet, AdamW, Batches\n"


@pytest.fixture
def make(tmp_path):
    """A space from its source."""

    def from_source(source):
        path = tmp_path / "made.py"
        path.write_text(source)
        return loader.load(str(path))

    return from_source


def _space_of(*lines):
    return HEAD + "def space(trial):\n" + "".join(f"    {line}\n" for line in lines)


def test_a_space_knows_its_name_its_question_and_its_source(make):
    space = make(NESTED)
    assert (space.name, space.question) == ("made", "Which loss, and how hard should it push?")
    assert len(space.sha256) == 64
    assert space.sha256 != make(NESTED + "\n").sha256


def test_every_combination_of_choices_is_a_branch_and_none_is_twice(make):
    branches = loader.branches(make(NESTED))
    assert [tuple(branch.choices.values()) for branch in branches] == [
        ("softmax",),
        ("aam",),
        ("triplet", "batch_all"),
        ("triplet", "batch_hard"),
        ("combined", "batch_all"),
        ("combined", "batch_hard"),
    ]
    assert branches[1].axes == ("loss", "margin_rad", "channels", "learning_rate")
    assert branches[1].config.loss.margin_rad == pytest.approx(0.3)
    assert branches[3].config.loss.margin == pytest.approx(0.1)
    assert branches[0].config.encoder.channels in (64, 96)


def test_an_axis_is_described_with_range_condition_and_the_entries_behind_it(make):
    table = {axis.name: axis for axis in loader.describe(make(NESTED))}
    assert list(table) == [
        "loss",
        "channels",
        "learning_rate",
        "margin_rad",
        "mining",
        "triplet_margin",
    ]
    assert table["loss"].range_text == "softmax | aam | triplet | combined"
    assert table["channels"].range_text == "32 .. 128, step 32"
    assert table["learning_rate"].range_text == "0.0001 .. 0.01, log"
    assert {name: axis.condition for name, axis in table.items() if axis.condition} == {
        "margin_rad": "loss = aam",
        "mining": "loss = triplet or combined",
        "triplet_margin": "mining = batch_hard",
    }
    assert {name: axis.entries for name, axis in table.items() if axis.entries} == {
        "mining": "100-102",
        "triplet_margin": "103-105",
    }


def test_an_unknown_space_is_answered_with_the_nearest_and_all():
    with pytest.raises(UsageError, match=r"did you mean 'quickstart'\? there are .*triplet"):
        loader.load("quikstart")
    with pytest.raises(UsageError, match=r"no space file nowhere/x\.py"):
        loader.load("nowhere/x.py")


def test_the_spaces_that_come_along_can_be_loaded_by_name():
    assert {"quickstart", "triplet", "margin_softmax", "lognet"} <= set(loader.available())
    assert loader.load("quickstart").question.endswith(".")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def space(trial: return", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("x = 1", r"no function space\(trial\)"),
    ],
)
def test_a_file_that_is_no_space_is_refused_with_its_path(make, source, words):
    with pytest.raises(UsageError, match=rf"made\.py .*{words}"):
        make(source)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [
                'k = trial.suggest_categorical("k", [1, 2])',
                "return TrainConfig(loss=Triplet(), batches=Batches(utterances=k))",
            ],
            r"with k = 1 .*batches\.utterances must be at least 2",
        ),
        (
            [
                'x = trial.suggest_float("x", 0, 1)',
                "return TrainConfig(optimiser=AdamW(learning_rate=x))",
            ],
            r"numbers at the low.*learning_rate",
        ),
        (['return trial.suggest_floot("x", 0, 1)'], "AttributeError.*suggest_floot"),
        (["return 3"], "must return a TrainConfig, got int"),
        (
            [
                'high = trial.suggest_categorical("high", [1, 2])',
                'trial.suggest_float("x", 0, high)',
                "return TrainConfig()",
            ],
            r"axis 'x' has two ranges, 0 \.\. 1 and 0 \.\. 2",
        ),
        (
            [
                'trial.suggest_float("x", 0, 1)',
                'trial.suggest_int("x", 0, 1)',
                "return TrainConfig()",
            ],
            "two ranges",
        ),
        (['return TrainConfig(seed=trial.suggest_int("seed", 0, 9))'], "neither a seed nor"),
        (['trial.suggest_int("epochs", 1, 9)', "return TrainConfig()"], "nor the fidelity"),
        (
            [
                'which = trial.suggest_categorical("which", ["a", "b"])',
                'return TrainConfig(seed=1 if which == "a" else 2)',
            ],
            r"sets config\.seed to 1 and to 2",
        ),
        (
            ['trial.suggest_categorical("x", [(1, 2), (3, 4)])', "return TrainConfig()"],
            "strings, numbers, booleans or None",
        ),
        (['trial.suggest_categorical("x", [])', "return TrainConfig()"], "needs different choices"),
        (['trial.suggest_float("x", 0, 1, log=True)', "return TrainConfig()"], "no such range"),
        (['trial.suggest_float("x", 2, 1)', "return TrainConfig()"], "no such range"),
        (
            ['trial.suggest_int("x", 1, 8, step=2, log=True)', "return TrainConfig()"],
            "not both",
        ),
    ],
)
def test_what_no_search_could_run_is_refused_before_it_starts(make, lines, words):
    with pytest.raises(UsageError, match=words):
        loader.branches(make(_space_of(*lines)))


def test_an_axis_may_be_named_after_a_configs_epochs(make):
    lines = ['trial.suggest_float("warmup_epochs", 0, 1)', "return TrainConfig()"]
    assert [axis.name for axis in loader.describe(make(_space_of(*lines)))] == ["warmup_epochs"]


def test_of_a_space_without_end_a_selection_is_walked_in_which_every_two_choices_meet(make):
    lines = [f'trial.suggest_categorical("x{i}", [1, 2, 3, 4])' for i in range(20)]
    space = make(_space_of(*lines, "return TrainConfig()"))
    branches = loader.branches(space)
    assert len(branches) < 700
    met = {
        (one, other)
        for branch in branches
        for one, other in combinations(sorted(branch.choices.items()), 2)
    }
    assert len(met) == 20 * 19 // 2 * 16
    text = loader.format_extent(space, len(branches))
    assert text.endswith("in which every two meet, build (of at least 1e+12 in all)")


def test_a_selection_meets_conditions_and_what_fails_for_two_choices_is_found(make):
    lines = [f'trial.suggest_categorical("x{i}", [1, 2, 3])' for i in range(12)]
    lines += [
        'outer = trial.suggest_categorical("outer", ["a", "b", "c"])',
        'inner = trial.suggest_categorical("inner", [1, 2]) if outer == "c" else 0',
        "{fault}",
        "return TrainConfig()",
    ]
    text = "\n".join(lines)
    sound = make(_space_of(*text.replace("{fault}", "pass").split("\n")))
    conditions = {axis.name: axis.condition for axis in loader.describe(sound)}
    assert conditions["inner"] == "outer = c"
    assert not any(conditions[f"x{i}"] for i in range(12))
    met = {(b.choices["x7"], b.choices.get("inner")) for b in loader.branches(sound)}
    assert met >= {(x, inner) for x in (1, 2, 3) for inner in (1, 2, None)}
    fault = 'assert not (inner == 2 and x7 == 3), "these two"'
    faulty = text.replace("{fault}", fault).replace(
        'trial.suggest_categorical("x7"', 'x7 = trial.suggest_categorical("x7"'
    )
    with pytest.raises(UsageError, match="these two"):
        loader.branches(make(_space_of(*faulty.split("\n"))))


def test_a_space_that_is_found_too_large_on_the_way_is_walked_in_part(make, monkeypatch):
    monkeypatch.setattr("search.space.branches.MOST_BRANCHES", 10)
    lines = [
        'if trial.suggest_categorical("many", [False, True]):',
        *(f'    trial.suggest_categorical("x{i}", [1, 2])' for i in range(6)),
        "return TrainConfig()",
    ]
    branches = loader.branches(make(_space_of(*lines)))
    assert 10 < len(branches) <= 65
    assert {"many": False} in [dict(branch.choices) for branch in branches]
    assert len({tuple(branch.choices.items()) for branch in branches}) == len(branches)


def test_describing_loads_neither_optuna_nor_torch_nor_ray():
    program = (
        "import sys; from search import axes; axes.describe(axes.load('triplet'));"
        "sys.exit(str({'optuna', 'torch', 'ray', 'mlflow', 'numpy'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""

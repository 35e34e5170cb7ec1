"""The log as data: every entry builds, every change changes something, every count is the log's."""

import json
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from search.space import loader, model_size
from spaces import logged
from spaces.logged import NotebookError, load_log, open_notebook, writing
from spaces.logged import delta as deltas
from spaces.logged.notebook import dump_before, find_idle_changes
from spkmodel.config import AdamW, Combined, DataPP, Softmax, TrainConfig, Triplet

TOTALS = {
    5_268_826: "01.2 02.1 02.2 03 04 05 06",
    5_006_170: "07",
    5_793_626: "08",
    6_316_334: "09",
    7_363_298: "10 12 13",
    8_410_262: "11",
    1_166_464: "15",
    1_139_328: "16",
    1_291_424: "17",
    1_079_296: "19 20",
    1_046_208: "26",
    1_243_248: "27",
    1_430_368: "28",
    1_381_456: "29",
    1_512_784: "30 31 32 33 37 39 40 41 42",
    1_511_712: "38",
    328_928: "101",
    1_380_384: "103 104 105",
    1_281_888: "106",
    4_325_050: "116",
}
"""Trainable weights with the OutBlock, by the entries that have so many."""


@pytest.fixture(scope="module")
def log():
    return {entry.number: entry for entry in logged.entries()}


@cache
def _counted(config_json, speakers):
    return model_size.count_weights(TrainConfig.model_validate_json(config_json), speakers)


def _weights(entry):
    """Counted once for all entries whose network and classes are the same."""
    config = TrainConfig(
        encoder=entry.config.encoder, loss=entry.config.loss, batches=entry.config.batches
    )
    return _counted(config.model_dump_json(), entry.protocol.speakers)


# --- the 73 ----------------------------------------------------------------------------------


def test_there_are_73_entries_in_the_order_of_the_log(log):
    assert len(log) == 73
    numbers = list(log)
    assert numbers[:5] == ["01.1", "01.2", "02.1", "02.2", "03"]
    assert numbers[-29:] == [str(number) for number in range(100, 129)]
    assert numbers[4:44] == [f"{number:02d}" for number in range(3, 43)]


def test_72_steps_each_have_a_basis_before_them_and_only_changes_that_change_something(log):
    steps = [entry for entry in log.values() if entry.based_on is not None]
    assert len(steps) == 72
    numbers = list(log)
    assert all(numbers.index(e.based_on) < numbers.index(e.number) for e in steps)
    assert list(find_idle_changes(load_log())) == []
    assert {e.number for e in steps if not e.changed} == {"31", "113"}


def test_a_config_differs_from_its_basis_where_its_delta_says_and_nowhere_else(log):
    for entry in log.values():
        if entry.based_on is None:
            continue
        before = dump_before(load_log(), entry)
        after = entry.config.model_dump(mode="json") | {"protocol": entry.protocol.model_dump()}
        changed = deltas.find_delta(before, after)
        for path in changed:
            assert any(path == p or path.startswith(f"{p}.") or p.startswith(f"{path}.")
                       for p in entry.changed), (entry.number, path)  # fmt: skip
        stated = deltas.apply_delta(before, entry.delta)
        assert deltas.apply_delta(stated, entry.hidden) == deltas.apply_delta(before, entry.changed)


@pytest.mark.parametrize("total", TOTALS)
def test_an_entry_has_as_many_weights_as_the_log(log, total):
    for number in TOTALS[total].split():
        assert _weights(log[number]).total == total, number


def test_without_the_outblock_there_are_fewer_and_triplets_have_none(log):
    assert _weights(log["01.2"]).encoder == 5_137_498
    assert _weights(log["15"]).encoder == 1_035_136
    assert _weights(log["116"]).encoder == 1_250_128
    assert _weights(log["106"]).head == 0
    assert _weights(log["122"]).head == 0


def test_input_and_eblocks_are_as_wide_as_the_fcblock_where_the_log_says_so(log):
    for number, width in {"15": 512, "19": 512, "28": 512, "29": 512, "101": 256}.items():
        encoder = log[number].config.encoder
        assert encoder.in_channels + sum(encoder.channels) == width == encoder.dense[-1]


def test_marks_are_those_that_are_printed(log):
    printed = {
        "(unchanged/furthur)": "04 05 13",
        "(furthur)": "21 22 122",
        "(require reinvestigate)": "14",
        "(unchanged)": "07 08 11 17 18 24 25 32 34 35 36 37 38 42 107 114 115 117 118 119 120 "
        "121 123 124 126",
    }
    for mark, numbers in printed.items():
        assert [e.number for e in log.values() if e.mark == mark] == numbers.split(), mark
    assert Counter(e.mark for e in log.values())[""] == 73 - 32


def test_what_was_kept_is_what_the_next_entries_start_from(log):
    dropped = {e.number for e in log.values() if not e.kept}
    assert dropped == {
        *"04 05 07 08 11 13 14 17 18 24 25 32 34 35 36 37 38 42".split(),  # noqa: SIM905
        *map(str, [107, 108, 109, 110, 111, 114, 115, 117, 118, 119, 120, 121, 122, 123, 124]),
        *map(str, [126, 127, 128]),
    }
    kept = [None]
    aside = {"111": "105", "124": "123", "125": "116", "126": "122"}
    for entry in log.values():
        assert entry.stem == aside.get(entry.number, kept[-1]), entry.number
        kept += [entry.number] * entry.kept


def test_the_known_oddities(log):
    assert log["112"].config == log["113"].config
    assert log["15"].config.encoder.in_kernel == 7, "14 leaves its InBlock kernel in the base"
    assert log["15"].config.encoder.kernel == 4, "and not its EBlock kernel"
    assert (log["110"].warm_start, log["111"].warm_start) == ("106", "105")
    assert log["111"].config.encoder.out_dim == 256
    assert deltas.find_delta(
        log["123"].config.model_dump(mode="json"), log["124"].config.model_dump(mode="json")
    ) == {"loss.terms.1.loss.mining": "batch_hard"}
    assert log["126"].based_on == "122"
    assert {e.number for e in log.values() if e.hidden} == {
        "100", "101", "102", "103", "112", "125",
    }  # fmt: skip
    assert log["125"].hidden == {"loss.terms.1.loss.margin": 0.5}
    assert log["120"].config.loss.terms[1].loss.margin == 2.0


def test_facts_picked_by_hand(log):
    config = {number: entry.config for number, entry in log.items()}
    assert config["05"].optimiser.learning_rate == 4e-4
    assert config["06"].optimiser.learning_rate == 1e-3
    assert config["13"].batches.speakers == 64
    assert config["20"].encoder.activation == config["20"].loss.head_activation == "swish"
    assert [config[n].encoder.order for n in ("20", "21", "22", "24", "33")] == [
        "O1", "O2", "O3", "O1", "O1",
    ]  # fmt: skip
    assert [config[n].optimiser.l2 for n in ("31", "32", "33", "37")] == [1e-6, 1e-4, 1e-6, 1e-5]
    assert config["42"].schedule.kind == "exponential_decay"
    assert (config["42"].schedule.every_steps, config["42"].schedule.factor) == (250, 0.99)
    for number in (39, 40, 41, 125):
        assert config[str(number)].augment.data_pp == DataPP.from_entry(number), number
    assert config["102"].augment.data_pp is None
    assert config["38"].loss == config["30"].loss
    assert isinstance(config["42"].loss, Softmax)
    assert isinstance(config["111"].loss, Triplet)
    assert isinstance(config["113"].loss, Combined)
    assert [config[n].loss.margin for n in ("103", "104", "105")] == [0.5, 1.0, 2.0]
    assert config["122"].encoder.embedding_norm == "l2"
    assert config["118"].loss.terms[0].loss.head_dropout == 0.9
    assert config["127"].loss.terms[1].loss.form == "softplus"
    assert config["128"].loss.terms[1].loss.form == "positives_only"
    assert {c.ema.decay for c in config.values()} == {0.999}
    assert [log[n].protocol.speakers for n in ("29", "30", "42", "100")] == [256, 512, 512, 5994]
    infrastructure = [e.number for e in log.values() if e.is_infrastructure]
    assert infrastructure == ["12", "23", "30", "31", "113"]


def test_reading_the_log_loads_neither_optuna_nor_torch_nor_ray():
    program = (
        "import sys; from spaces import logged; logged.entries();"
        "sys.exit(str({'optuna', 'torch', 'ray', 'mlflow', 'numpy'} & set(sys.modules) or ''))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == ""


def test_the_log_is_no_space():
    assert "logged" not in loader.available()


# --- against an independent transcription ----------------------------------------------------

_REFERENCE = next(
    (
        path
        for folder in Path(__file__).resolve().parents
        if (path := folder / "shared" / "reference" / "log_entries.json").is_file()
    ),
    None,
)
_ORDERS = {
    "act>conv>ResBlock": ("O1", None),
    "act>conv>ResBlock>SE>+skip": ("O1", None),
    "act>conv>SE>ResBlock>SE>+skip": ("O1", None),
    "act>conv1x1>act>conv>ResBlocks>SE>+Dense": ("O1", None),
    "act>conv1x1>act>conv>act>ResBlocks>SE>+Dense": ("O2", None),
    "conv1x1>act>conv>act>ResBlocks>SE>+Dense": ("O3", None),
    "bn>act>conv1x1>act>conv>ResBlocks>SE>+Dense": ("O1", "first"),
    "act>conv1x1>bn>act>conv>ResBlocks>SE>+Dense": ("O1", "between"),
}
_NORMS = {None: "none", "BN": "batch", "BatchRenorm": "batch_renorm"}


def _translated(transcribed):
    """A TrainConfig from the transcription's words; shares nothing with the file of entries."""
    order, norm_place = _ORDERS[transcribed["e_order"]]
    is_model1 = transcribed["model"].startswith("model1")
    has_classes = "softmax" in transcribed["loss"]
    embeds_in_outblock = transcribed["head_is"].startswith("embedding")
    encoder = {
        "kind": "log_net",
        "merge": "add" if is_model1 else "concatenate",
        "skip": transcribed["eblock_skip"] is not None,
        "skip_pooling": {"avg": "average", "max": "max"}[transcribed["skip_pool"]],
        "in_channels": transcribed["in_ch"],
        "in_kernel": int(transcribed["in_kernel"][2:]),
        "in_resblock": transcribed["in_resblock"],
        "channels": transcribed["e_ch"],
        "resblocks": transcribed["e_resblocks"],
        "kernel": int(transcribed["e_kernel"][2:]),
        "order": order,
        "bottleneck": True if is_model1 else transcribed["bottleneck"],
        "activation": transcribed["activation"],
        "resblock_norm": _NORMS[transcribed["resblock_norm"]],
        "eblock_norm": "batch" if norm_place else _NORMS[transcribed["eblock_norm"]],
        "eblock_norm_place": norm_place or "after_conv",
        "se_resblock": transcribed["se_resblock"],
        "se_eblock": transcribed["se_eblock"],
        "se_first_conv": "conv>SE>ResBlock" in transcribed["e_order"],
        "dense": transcribed["fc"],
        "dense_skip": transcribed["fc_skip"],
        "dropout": transcribed["dropout"] if embeds_in_outblock else 0.0,
        "out_dim": transcribed["head_dim"] if embeds_in_outblock else None,
        "embedding_norm": {None: "none", "BN": "batch", "LayerNorm": "layer", "L2": "l2"}[
            transcribed["embed_norm"]
        ],
        "init": "lecun",
        "waveform": {"normalisation": "peak"},
    }
    head = transcribed["out_head"].replace(">", "_")
    softmax = {
        "kind": "softmax",
        "head": head,
        "head_activation": None if head == "dense" else transcribed["activation"],
        "head_dropout": transcribed["dropout"],
    }
    mining, _, form = (transcribed["mining"] or "").partition(", ")
    triplet = {
        "kind": "triplet",
        "mining": mining,
        "margin": transcribed["margin"],
        "normalise": False,
        "form": "softplus" if "softplus" in form else "positives_only" if form else "hinge",
    }
    loss = softmax if not mining else triplet
    if mining and has_classes:
        loss = {"kind": "combined", "terms": [{"loss": softmax}, {"loss": triplet}]}
    is_sgdr = transcribed["lr_sched"].startswith("SGDR")
    return TrainConfig.model_validate(
        {
            "encoder": encoder,
            "loss": loss,
            "batches": {
                "speakers": transcribed["batch"] // (transcribed["group"] or 1),
                "utterances": transcribed["group"] or 1,
                "crop_seconds": transcribed["seconds"],
                "level": "peak",
            },
            "augment": {"data_pp": _data_pp(transcribed["datapp"])},
            "optimiser": {
                "kind": "nadam",
                "learning_rate": transcribed["lr"],
                "l2": transcribed["wd"],
                "momentum_decay": 1e4,
            },
            "schedule": {"kind": "sgdr" if is_sgdr else "exponential_decay"},
            "gradient_clip": None,
            "ema": {"decay": transcribed["ema"], "warm_up": False},
        }
    )


def _data_pp(words):
    """From `smooth p.5 s.75`, `while p.7: noise std.025 smooth p.8 s1.5`, `amplitude 0..-40dB`."""
    if not words:
        return None
    if words == ["noise", "amplitude"]:
        words = ["smooth p0 s.75", "noise p.8 std.025 smooth p0 s1.0", "amplitude 0..-40dB"]
    smooth, noise, amplitude = words
    number = r"([0-9.]+)"
    probability, samples = re.fullmatch(rf"smooth p{number} s{number}", smooth).groups()
    repeats = noise.startswith("while")
    p, deviation, noise_p, noise_samples = re.fullmatch(
        rf"(?:while )?(?:noise )?p{number}:? ?(?:noise )?std{number} smooth p{number} s{number}",
        noise,
    ).groups()
    return {
        "smooth_probability": float(probability),
        "smooth_samples": float(samples),
        "noise_probability": float(p),
        "noise_repeats": repeats,
        "noise_deviation": float(deviation),
        "noise_smooth_probability": float(noise_p),
        "noise_smooth_samples": float(noise_samples),
        "attenuation_db": -float(amplitude.removesuffix("dB").rpartition("..")[2]),
    }


@pytest.mark.skipif(_REFERENCE is None, reason="the transcription lies beside the project")
def test_every_entry_is_what_an_independent_transcription_says(log):
    transcribed = {entry["id"]: entry for entry in json.loads(_REFERENCE.read_text())}
    assert list(transcribed) == list(log)
    for number, entry in log.items():
        attempt = transcribed[number]["attempt"]
        assert entry.config == _translated(attempt), number
        assert entry.protocol.validation_utterances == attempt["val"], number
        classifies = attempt["head_is"].startswith("classes")
        assert entry.protocol.speakers == (attempt["head_dim"] if classifies else 5994), number
        assert entry.kept == transcribed[number]["kept"], number
        assert bool(entry.finding) == bool(transcribed[number]["finding"]), number
        warm = attempt["init"]
        assert entry.warm_start == (warm.rpartition(" ")[2] if warm else None), number


# --- reading what is wrong -------------------------------------------------------------------

LOG_NET = 'encoder = { kind = "log_net", waveform = { normalisation = "peak" } }'
TRIPLETS = 'loss = { kind = "triplet" }'
HEAD = '[notebook]\nname = "mine"\n'


@pytest.fixture
def make(tmp_path):
    """A notebook of the given entries, each a tuple of lines below `[[entry]]`."""

    def open_made(*entries, head=HEAD):
        path = tmp_path / "mine.toml"
        path.write_text(head + "".join("\n[[entry]]\n" + "\n".join(e) + "\n" for e in entries))
        return open_notebook(path)

    return open_made


def _entry(number, based_on="", *lines, change="something"):
    basis = [f'based_on = "{based_on}"'] if based_on else []
    return [f'number = "{number}"', f'change = "{change}"', "kept = true", *basis, *lines]


def test_a_cycle_is_named(make):
    with pytest.raises(NotebookError, match=r"based on each other: 1 > 3 > 2 > 1"):
        make(_entry("1", "3"), _entry("2", "1"), _entry("3", "2"))


def test_an_entry_may_stand_before_the_one_it_is_based_on(make):
    rate = "[entry.delta]\noptimiser.learning_rate = 0.01"
    two, one = make(_entry("2", "1"), _entry("1", "", rate)).entries
    assert two.config == one.config
    assert two.config.optimiser.learning_rate == 0.01


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([_entry("2", "1")], r"entry 2: based_on names entry '1', which is not there$"),
        ([_entry("1"), _entry("2", "11")], r"'11', which is not there; did you mean 1\?"),
        ([_entry("1"), _entry("1")], r"entry 1 stands there twice"),
        ([_entry("1", "", 'warm_start = "7"')], r"entry 1: warm_start names entry '7'"),
        (
            [_entry("1", "", "[entry.delta]", "optimiser.learning_rat = 1")],
            r"1: optimiser\.learning_rat: no field 'learning_rat'; did you mean learning_rate",
        ),
        (
            [_entry("1", "", "[entry.delta]", "optimiser.learning_rate = -1")],
            r"entry 1: optimiser\.adamw\.learning_rate: .*greater than 0, got -1",
        ),
        (
            [_entry("1", "", "[entry.delta]", TRIPLETS, "batches.utterances = 1")],
            r"entry 1: .*batches\.utterances must be at least 2",
        ),
        (
            [_entry("1", "", "[entry.delta]", LOG_NET)],
            r"entry 1: batches\.level must be \"peak\" for encoder\.waveform\.normalisation",
        ),
        ([_entry("1", "", "[entry.delta]", "seed.x = 1")], r"1: seed\.x: nothing lies below 0"),
        ([_entry("1", "", "findings = 'x'")], r"1: findings: no such key; did you mean finding"),
        ([_entry("1", "", 'mark = "(further)"')], r"entry 1: mark: .*\(furthur\)"),
        ([_entry("1", "", "[entry.hidden]", "seed = 1")], r"hidden and hidden_from belong"),
        ([_entry("one")], r"entry one: number: "),
        ([["number = 1"]], r"entry 1: number: .*string"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_notebook_is_said_with_its_entry(make, entries, words):
    with pytest.raises(NotebookError, match=rf"mine\.toml: .*{words}"):
        make(*entries)


def test_a_file_that_is_no_notebook_is_refused(make, tmp_path):
    with pytest.raises(NotebookError, match=r"mine\.toml: not TOML: .*line 1"):
        make(head="number: 1\n")
    with pytest.raises(NotebookError, match=r"notebook: Field required"):
        make(_entry("1"), head="")
    with pytest.raises(NotebookError, match="continues names 'other'; it may be logged, or empty"):
        make(head='[notebook]\nname = "mine"\ncontinues = "other"\n')
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(NotebookError, match="not UTF-8"):
        open_notebook(tmp_path / "binary.toml")


def test_entries_are_selected_by_number_and_by_range():
    def selected(text):
        return [entry.number for entry in load_log().select(text)]

    assert selected("101-106,116,122") == [*map(str, range(101, 107)), "116", "122"]
    assert selected("116, 01.1-02.1,116") == ["01.1", "01.2", "02.1", "116"]
    assert selected("3,7-8") == ["03", "07", "08"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("106-101", r"range '106-101' goes backwards; write 101-106"),
        ("43", r"no entry '43'; did you mean 42\?"),
        ("101-", r"'101-' is no list of entries"),
        ("", r"is no list of entries"),
    ],
)
def test_a_selection_that_makes_no_sense_is_refused(text, words):
    with pytest.raises(NotebookError, match=words):
        load_log().select(text)


# --- one's own -------------------------------------------------------------------------------


def test_a_notebook_goes_on_where_the_log_ends(tmp_path):
    path = tmp_path / "mine.toml"
    mine = writing.create_notebook(path, 'What "next"?', continues_log=True)
    assert mine.own == []
    assert len(mine.entries) == 73
    assert writing.next_number(mine) == "129"
    basis = mine.entry("125")
    tried = basis.config.model_copy(update={"optimiser": AdamW(learning_rate=0.003), "seed": 7})
    delta = writing.find_config_delta(basis, tried)
    fields = {"number": "129", "based_on": "125", "change": "AdamW", "kept": True, "delta": delta}
    entry = writing.append_entry(mine, fields)
    assert entry.config == tried.model_copy(update={"seed": 0})
    again = open_notebook(path)
    assert again.own == [entry]
    assert again.header.title == 'What "next"?'
    assert [e.number for e in again.path_to("129")][-3:] == ["116", "125", "129"]


@pytest.mark.parametrize("number", ["15", "100", "101", "113", "116", "122", "125", "128"])
def test_a_config_that_is_written_down_is_read_back_whatever_it_is(tmp_path, log, number):
    mine = writing.create_notebook(tmp_path / "mine.toml", "", continues_log=True)
    delta = writing.find_config_delta(mine.entry("41"), log[number].config)
    fields = {"number": "129", "based_on": "41", "change": "jump", "kept": False, "delta": delta}
    assert writing.append_entry(mine, fields).config == log[number].config


def test_what_would_not_be_valid_is_not_written(tmp_path):
    path = tmp_path / "mine.toml"
    mine = writing.create_notebook(path, "", continues_log=False)
    before = path.read_text()
    with pytest.raises(NotebookError, match=r"mine\.toml: entry 01: optimiser"):
        writing.append_entry(
            mine,
            {"number": "01", "change": "x", "kept": True, "delta": {"optimiser.learning_rate": 9}},
        )
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]
    with pytest.raises(NotebookError, match="is there already"):
        writing.create_notebook(path, "", continues_log=False)

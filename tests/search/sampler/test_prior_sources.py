"""What is taken from the log and from earlier searches, what is left out, and what is said."""

import json
from dataclasses import asdict, replace

import pytest

from search.core.errors import NotFound, UsageError
from search.core.paths import ledger_path
from search.core.progress import Silent
from search.launch import drive, launch, preparation
from search.launch.open_search import read_state
from search.launch.settings import LaunchRequest, decide, read_settings
from search.ledger.ledger import Ledger
from search.sampler import prior_sources
from search.space import loader
from spaces import logged
from spkmodel.config import TrainConfig
from tests.support.events import append

ENTRIES = '''"""Which entry, and how fast?"""
from spaces import logged
def space(trial):
    numbers = ["01.1", "06", "102", "105", "106", "116", "122", "125", "117"]
    entry = logged.load_log().entry(trial.suggest_categorical("entry", numbers))
    rate = trial.suggest_float("learning_rate", 1e-4, 4e-3, log=True)
    optimiser = entry.config.optimiser.model_copy(update={"learning_rate": rate})
    return entry.config.model_copy(update={"optimiser": optimiser})
'''

TINY = '''"""How wide, how fast?"""
from spkmodel.config import TDNN, AdamW, TrainConfig
def space(trial):
    return TrainConfig(
        encoder=TDNN(channels=trial.suggest_categorical("channels", [8, 16, 32])),
        optimiser=AdamW(learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)),
    )
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SPKSEARCH_HOME", str(tmp_path))
    return tmp_path


def _space(folder, source, name="made"):
    path = folder / f"{name}.py"
    path.write_text(source)
    return loader.load(str(path))


def _take(source, space, count=3, objectives=("dev_eer",)):
    return prior_sources.read_prior_source(
        source, space, count, name="new", seed=4, objectives=objectives, read_state=read_state
    )


@pytest.fixture
def earlier(ledger_on_disk):
    """Five trials of a space with other ranges: one out of range, one diverged, one without end."""
    search = ledger_on_disk("earlier")
    search.begin()
    text = '{"name": "FloatDistribution", "attributes": {}}'
    for number, (channels, rate) in enumerate(
        [(8, 1e-3), (16, 2e-3), (64, 3e-3), (32, 4e-3), (8, 5e-3)], start=1
    ):
        config = TrainConfig()
        search.write("trial", trial=f"t{number:04d}", config=config.model_dump(mode="json"),
                     signature=f"{number:08x}", origin="sampler", encoder_parameters=100 * number,
                     axes={"channels": channels, "learning_rate": rate, "crop_seconds": 1.0},
                     distributions={"channels": text, "learning_rate": text,
                                    "crop_seconds": text})  # fmt: skip
    for trial, rung, eer in [("t0001", 1, 0.1), ("t0002", 3, 0.2), ("t0003", 3, 0.05)]:
        search.segment(trial, rung)
        for epoch in range(1, rung + 1):
            search.report(trial, epoch, eer)
    search.segment("t0004", 1)
    search.end("t0004", "failed", 0, "diverged: loss is nan")
    return search


# --- the log ---------------------------------------------------------------------------------


def test_of_the_log_the_end_of_its_path_comes_first_then_what_is_far_from_it(home):
    known = _take("logged", _space(home, ENTRIES), count=3)
    names = [point.name for point in known.prior.points]
    assert names[:2] == ["entry 125", "entry 122"]
    assert names.index("entry 116") < names.index("entry 117") < names.index("entry 106")
    assert names[-1] == "entry 01.1"
    assert [queued.origin for queued in known.queued] == ["entry 125", "entry 122", "entry 116"]
    assert [queued.log_entry for queued in known.queued] == ["125", "122", "116"]
    assert known.source_size == 73


def test_what_is_tried_first_has_the_entrys_config_and_the_searchs_seed(home):
    wish = _take("logged", _space(home, ENTRIES), count=1).queued[0]
    config = TrainConfig.model_validate(wish.config)
    assert config == logged.load_log().entry("125").config.model_copy(update={"seed": 4})
    assert wish.axes == {"entry": "125", "learning_rate": 1e-3}
    assert set(wish.distributions) == {"entry", "learning_rate"}


def test_entries_that_start_from_others_weights_and_repetitions_are_left_out_and_said(home):
    known = _take("logged", _space(home, ENTRIES))
    left_out = dict(known.left_out)
    assert "another entry's weights" in left_out["entry 110"]
    assert "entry 107" in left_out, "it is no point of the space"
    assert len(known.prior.points) + len(left_out) == 73
    text = "\n".join(known.format_lines())
    assert "9 of 73 lie in the space; tried first: entry 125, entry 122, entry 116" in text
    assert "left out: entry 110, entry 111" in text


def test_a_space_that_does_not_span_the_log_is_told_what_would_not_fit():
    with pytest.raises(UsageError) as error:
        _take("logged", loader.load("quickstart"))
    assert "no entry of the log is a point of space 'quickstart'" in str(error.value)
    assert "encoder.kind would be tdnn, not log_net" in str(error.value)
    assert "launch logged_axes, which has it, or name an earlier search" in str(error.value)


def test_in_the_space_that_the_log_spans_every_entry_is_a_point_of_the_prior_or_repeats_one():
    known = _take("logged", loader.load("logged_axes"), count=4)
    reasons = {why for _, why in known.left_out}
    assert all("another entry's weights" in why or "the same point" in why for why in reasons)
    assert len(known.prior.points) >= 60
    assert known.queued[0].origin == "entry 125"
    heads = ("125", "122", "116")
    assert TrainConfig.model_validate(known.queued[0].config).encoder == (
        logged.load_log().entry(heads[0]).config.encoder
    )
    best = [point.name for point in known.prior.points]
    assert [best.index(f"entry {head}") for head in heads] == sorted(
        best.index(f"entry {head}") for head in heads
    )
    kept = [entry.number for entry in logged.entries() if entry.kept or entry.number in heads]
    assert {queued.log_entry for queued in known.queued} <= set(kept)


# --- a search --------------------------------------------------------------------------------


@pytest.mark.usefixtures("earlier")
def test_of_a_search_the_higher_rung_counts_first_and_raw_values_never(home):
    known = _take("earlier", _space(home, TINY))
    assert [point.name for point in known.prior.points] == [
        "earlier/t0002",
        "earlier/t0001",
        "earlier/t0004",
    ]
    assert "0.2" not in json.dumps(asdict(known.prior))
    assert [queued.origin for queued in known.queued] == ["earlier/t0002", "earlier/t0001"]


@pytest.mark.usefixtures("earlier")
def test_axes_are_matched_by_name_and_range_and_the_rest_is_left_out_and_said(home):
    known = _take("earlier", _space(home, TINY))
    assert dict(known.left_out) == {
        "earlier/t0003": "channels=64 is none of 8 | 16 | 32",
        "earlier/t0005": "it has no result at any rung",
    }
    point = known.prior.points[0]
    assert point.axes == {"channels": 16, "learning_rate": 2e-3}
    assert json.loads(point.distributions["channels"])["attributes"]["choices"] == [8, 16, 32]


@pytest.mark.usefixtures("earlier")
def test_an_axis_that_the_source_has_not_is_left_to_the_prior_and_drawn_for_the_first(home):
    clip = 'gradient_clip=trial.suggest_float("clip", 1, 9), optimiser='
    more = TINY.replace("optimiser=", clip)
    known = _take("earlier", _space(home, more))
    assert set(known.prior.points[0].axes) == {"channels", "learning_rate"}
    assert set(known.queued[0].axes) == {"channels", "learning_rate", "clip"}
    assert known.queued[0].axes["channels"] == 16


@pytest.mark.usefixtures("earlier")
def test_for_two_objectives_a_search_is_ordered_by_both(home):
    known = _take("earlier", _space(home, TINY.replace("32]", "32, 64]")), objectives=(
        "dev_eer", "encoder_parameters"))  # fmt: skip
    names = [point.name for point in known.prior.points]
    assert names == ["earlier/t0003", "earlier/t0002", "earlier/t0001", "earlier/t0004"]


@pytest.mark.usefixtures("earlier")
def test_a_search_that_is_not_there_or_has_nothing_that_fits_is_an_error(home):
    space = _space(home, TINY)
    with pytest.raises(NotFound, match="earlier"):
        _take("earlyer", space)
    with pytest.raises(UsageError, match="cannot begin with itself"):
        _take("new", space)
    other = _space(home, TINY.replace('"channels"', '"width"').replace('learning_rate"', 'rate"'))
    with pytest.raises(UsageError, match="none of its 5 trials lies in space 'made'"):
        _take("earlier", other)


# --- launch ----------------------------------------------------------------------------------


def _settings(request, before=None, sha256=""):
    from pathlib import Path

    return decide(request, before, space_name="made", space_sha256="a", corpus_sha256="b",
                  store=Path("s"), dev_store=Path("d"), noise_rooms_fingerprint="c",
                  warm_start_sha256=sha256)  # fmt: skip


def test_a_launch_writes_the_prior_down_once_and_a_resumed_one_takes_nothing_again(
    home, earlier, monkeypatch
):
    monkeypatch.setattr(drive, "drive_search", lambda *_: None)
    space = _space(home, TINY)
    request = LaunchRequest(space="made", corpus=home, warm_start="earlier", trials=9)
    known = preparation.read_prior("new", space, request, None)
    settings = _settings(request, sha256=known.sha256)
    launch.run_search("new", request, space, settings, None, Silent(), known=known)
    events = list(Ledger.open(ledger_path("new")).events())
    assert [event.event for event in events] == ["search", "queued", "queued", "prior"]
    assert (events[0].warm_start, events[0].warm_start_trials) == ("earlier", 3)
    assert events[0].warm_start_sha256 == known.sha256
    state = Ledger.open(ledger_path("new")).state()
    assert [wish.origin for wish in state.queue.values()] == ["earlier/t0002", "earlier/t0001"]
    assert state.prior == known.prior

    earlier.report("t0002", 3, 0.01)
    before = read_settings("new")
    again = LaunchRequest(space="made", corpus=home, trials=30)
    assert preparation.read_prior("new", space, again, before) is None
    extended = _settings(again, before, sha256="other")
    assert extended.warm_start_sha256 == known.sha256
    launch.run_search("new", again, space, extended, before, Silent())
    events = list(Ledger.open(ledger_path("new")).events())
    assert [event.event for event in events].count("queued") == 2


@pytest.mark.usefixtures("earlier")
def test_a_point_of_the_warm_start_that_is_the_default_is_not_tried_twice(home, monkeypatch):
    monkeypatch.setattr(drive, "drive_search", lambda *_: None)
    space = _space(home, TINY)
    request = LaunchRequest(space="made", corpus=home, warm_start="earlier", trials=9)
    known = preparation.read_prior("new", space, request, None)
    default = replace(known.queued[1], key="default", origin="default")
    launch.run_search(
        "new", request, space, _settings(request), None, Silent(), queued=[default], known=known
    )
    state = Ledger.open(ledger_path("new")).state()
    assert [queued.origin for queued in state.queue.values()] == ["default", "earlier/t0002"]


@pytest.mark.usefixtures("earlier")
def test_a_launch_that_died_while_it_took_the_prior_down_takes_it_again(home, monkeypatch):
    monkeypatch.setattr(drive, "drive_search", lambda *_: None)
    space = _space(home, TINY)
    request = LaunchRequest(space="made", corpus=home, warm_start="earlier")
    with Ledger.open(ledger_path("new"), write=True, search="new") as ledger:
        append(ledger, "search", **_settings(request).model_dump(), versions={})
    again = LaunchRequest(space="made", corpus=home)
    known = preparation.read_prior("new", space, again, read_settings("new"))
    assert [queued.origin for queued in known.queued] == ["earlier/t0002", "earlier/t0001"]


def test_another_source_is_another_search(home):
    before = _settings(LaunchRequest(space="made", corpus=home, warm_start="logged"))
    with pytest.raises(UsageError, match="--warm-start: logged before, earlier now"):
        _settings(LaunchRequest(space="made", corpus=home, warm_start="earlier"), before)
    plain = _settings(LaunchRequest(space="made", corpus=home))
    with pytest.raises(UsageError, match="--warm-start: none before, logged now"):
        _settings(LaunchRequest(space="made", corpus=home, warm_start="logged"), plain)
    both = ("dev_eer", "encoder_parameters")
    with pytest.raises(UsageError, match="--objectives: dev_eer before"):
        _settings(LaunchRequest(space="made", corpus=home, objectives=both), plain)
    with pytest.raises(UsageError, match="name its source too"):
        _settings(LaunchRequest(space="made", corpus=home, warm_start_trials=3))

"""What is made of ledgers that were written before events were typed: the same as then.

The ledgers `ledgers/format-2*.jsonl` were written by the version before, which also made
`format-2.golden.json` of them: documents, decisions, the sampler's view, MLflow runs, storage,
settings and state.

All that touches the code's insides stands in the adaptors (a) to (g) below. They take events and
give plain JSON. The rest compares.
"""

import contextlib
import io
import json
import os
import re
import tempfile
from pathlib import Path

import pytest

from tests.support.events import event_of

# ============================== adaptors: the only code that knows the insides ====================


def documents(home, arguments):
    """(a) Exit code and stdout of a command line, with `home` as SPKSEARCH_HOME."""
    from search.cli.app import run

    out = io.StringIO()
    kept = {name: os.environ.get(name) for name in ("SPKSEARCH_HOME", "NO_COLOR")}
    os.environ |= {"SPKSEARCH_HOME": str(home), "NO_COLOR": "1"}
    try:
        with contextlib.redirect_stdout(out):
            code = run(arguments)
    finally:
        for name, value in kept.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return code, out.getvalue()


def neutral(job):
    """A job of the rule, as JSON has it."""
    match type(job).__name__:
        case "Resume" | "Advance" as kind:
            return [kind.lower(), job.trial, job.to_rung]
        case "StartQueued":
            return ["queued", job.queued.key, job.to_rung]
        case "NewTrial":
            return ["new", job.to_rung]
        case "Wait":
            return ["wait"]
    return ["done", job.reason]


def decisions(events):
    """(b) After every event: the next job, the ends due, wishes in vain, the ranking of each rung.

    Asked both of all trials (`StateScan`) and of the index that follows the state; they must agree.
    """
    from search.ledger.state import SearchState
    from search.scheduler.asha import find_outcomes
    from search.scheduler.next_job import choose_next_job, unfulfillable_requests
    from search.scheduler.policy import AshaPolicy
    from search.scheduler.rung_index import RungIndex
    from search.scheduler.rung_queries import ranking

    def due(state, policy, trials=None):
        return [
            [e.trial, e.state, e.reason, e.by, e.kind] for e in find_outcomes(state, policy, trials)
        ]

    state = SearchState()
    index = RungIndex(state)
    for event in events:
        state.apply(event)
        policy = AshaPolicy.from_state(state)
        spent = state.spent_hours()
        job, ending = neutral(choose_next_job(state, policy, spent)), due(state, policy)
        seen = index.refresh(policy)
        assert neutral(choose_next_job(state, policy, spent, seen)) == job, event
        assert due(state, policy, seen) == ending, event
        rungs = {str(rung): ranking(state, rung, policy) for rung in policy.rungs}
        yield job, ending, [list(each) for each in unfulfillable_requests(state)], rungs


def wrong(events):
    """(b) Decisions in a ledger that the rule would not have made."""
    from search.scheduler.audit import find_wrong_decisions

    return find_wrong_decisions(events)


def sampler_view(events):
    """(c) Every trial as the sampler is told of it: all, and the rung that they are judged at."""
    from search.ledger.state import SearchState
    from search.sampler.history import SamplerHistory
    from search.scheduler.policy import AshaPolicy

    state = SearchState.from_events(events)
    known = SamplerHistory(state).refresh(AshaPolicy.from_state(state))
    rung = known.model_rung(state.search.strategy)
    return rung, [
        [
            each.number,
            each.state.name,
            each.values,
            each.params,
            {str(step): value for step, value in each.intermediate_values.items()},
            each.constraints,
        ]
        for each in known.frozen_trials(rung)
    ]


def prior_view(events):
    """(c) The points of the prior as the sampler is told of them; None without a prior."""
    from search.ledger.state import SearchState
    from search.sampler import optuna_trials

    prior = SearchState.from_events(events).prior
    if prior is None:
        return None
    return [
        [each.number, each.state.name, each.values, each.params]
        for each in optuna_trials.prior_to_frozen_trials(prior)
    ]


def suggestion(events, space):
    """(c) What the sampler suggests after these events: axes, origin, distributions, config."""
    from search.ledger.state import SearchState
    from search.sampler import sampler
    from search.scheduler.policy import AshaPolicy
    from search.space import loader

    state = SearchState.from_events(events)
    search = state.search
    idea = sampler.suggest(
        loader.load(space), state, AshaPolicy.from_state(state), search.seed, search.strategy
    )
    return {
        "axes": idea.axes,
        "origin": idea.origin,
        "distributions": idea.distributions,
        "config": idea.config.model_dump(mode="json"),
        "signature": idea.config.signature,
    }


def mirrored(events):
    """(d) The MLflow runs that a ledger amounts to; and which runs each event changes."""
    from search.tracking.projection import RunProjection

    mirror = RunProjection()
    changed = [sorted(mirror.add(event)) for event in events]
    runs = {
        key: {
            "name": run.name,
            "started_ms": run.started_ms,
            "ended_ms": run.ended_ms,
            "status": run.status,
            "params": run.params,
            "tags": run.tags,
            "points": [[p.event, p.key, p.value, p.step, p.time_ms] for p in run.points],
        }
        for key, run in mirror.runs.items()
    }
    return mirror.experiment, runs, changed


def kept(events):
    """(e) Hours spent, bytes used, and what retention would remove now, at ease and when tight."""
    from search.checkpoints import retention
    from search.ledger.state import SearchState

    state = SearchState.from_events(events)

    def plan(*, tight):
        found = retention.plan(state, tight=tight)
        return {
            "removals": [[r.trial, list(r.checkpoints), r.bytes] for r in found.removals],
            "kept_bytes": found.kept_bytes,
            "coming_bytes": found.coming_bytes,
            "limit_bytes": found.limit_bytes,
            "excess": found.excess,
        }

    return {
        "spent_hours": state.spent_hours(),
        "checkpoint_bytes": state.checkpoint_bytes,
        "largest_checkpoint": state.largest_checkpoint,
        "best_trials": [trial.trial for trial in retention.best_trials(state, 3)],
        "now": plan(tight=False),
        "tight": plan(tight=True),
    }


def settings(events):
    """(f) What the search was last launched with, and the rule that this sets down."""
    from dataclasses import asdict

    from search.ledger.state import SearchState
    from search.reporting.snapshot import format_resume_command
    from search.scheduler.policy import AshaPolicy

    state = SearchState.from_events(events)
    policy = asdict(AshaPolicy.from_state(state))
    recorded = state.search.settings.model_dump()
    assert recorded.pop("default_trial") is False, "a search of before gets none"
    assert recorded.pop("strategy") == "early_tpe", "a search of before goes on as it began"
    return {
        "settings": recorded,
        "rule": {key: list(v) if isinstance(v, tuple) else v for key, v in policy.items()},
        "command_again": format_resume_command(state.search),
    }


def facts(events):
    """(g) What the events add up to: of the search, and of each trial."""
    from dataclasses import asdict

    from search.ledger.state import SearchState

    state = SearchState.from_events(events)

    def place(report):
        return None if report is None else report.checkpoint

    trials = {
        name: {
            "state": trial.state,
            "reason": trial.reason,
            "ended_by": trial.ended_by,
            "ended": trial.ended,
            "ended_in": trial.ended_in,
            "failure": trial.failure,
            "rung": trial.rung,
            "target": trial.target,
            "attempt": trial.attempt,
            "epochs": [[r.epoch, r.attempt, r.checkpoint] for r in trial.reports.values()],
            "crashes": trial.crashes,
            "cuts": trial.interruptions,
            "last_cut": trial.last_interruption,
            "refusals": trial.refusals,
            "stop_asked": trial.stop_asked,
            "wish": trial.wish,
            "warm_start": trial.warm_start and asdict(trial.warm_start),
            "partial": None if trial.partial is None else str(trial.partial),
            "past_partials": [place(each) for each in trial.past_partials],
            "superseded": [place(each) for each in trial.superseded],
            "removed": sorted(trial.removed),
            "damaged": sorted(trial.damaged),
            "goes_on_from": place(trial.resume_point),
            "next_epoch": trial.resume_point and trial.resume_point.next_epoch,
        }
        for name, trial in state.trials.items()
    }
    whole = {
        "queue": list(state.queue),
        "begun": state.begun,
        "withdrawn": state.withdrawn,
        "prior": state.prior and [state.prior.source, [p.name for p in state.prior.points]],
        "sessions": [[s.began.isoformat(), s.last.isoformat(), s.seconds] for s in state.sessions],
        "driver": state.driver,
        "stops": len(state.stops),
        "promotions": [[e.trial, e.alias] for e in state.promotions],
        "evaluations": [[e.trial, e.protocol, e.conditions] for e in state.evaluations],
        "others": [e.event for e in state.other_events],
        "finish": state.finish and [state.finish.reason, state.finish.totals],
        "search_stop": state.search_stop,
        "exhausted": state.exhausted,
        "holds": state.holds,
        "requests": sorted(state.requests),
        "refused": state.refused,
        "repeated": state.repeated,
        "version": state.version,
        "ranked": [trial.trial for trial in state.ranked()],
    }
    return {"search": whole, "trials": trials}


# ============================== what is asked of them =============================================

FILES = {
    "golden": "format-2.jsonl",
    "front": "format-2-front.jsonl",
    "replay": "format-2-replay.jsonl",
}
"""By name of the search."""

CUTS = {"golden": 194, "front": 128, "replay": 40}
"""Where a ledger is cut off to look at a search in the middle, with trials under way."""

SPACE = "quickstart"
"""Of `golden` and `front`."""

SHOWN = {"golden": ("t0004", "t0007", "t0015"), "front": ("t0002", "t0013"), "replay": ("t0007",)}
SHOWN_AS_JSON = {"golden": ("t0006",), "front": ("t0017",), "replay": ("t0002",)}

NORMALISED = {
    "(a), any text": "the folder of all searches is HOME",
    "(a), list": "age_seconds, which depends on now, is null",
    "(a), describe": "path is its last part; sha256, of the space's source, is ''",
    "(c), suggestions": "floats of axes are rounded to 9 significant digits; configs are compared "
    "with the ledger's own in the same way, not written here",
}


def folder():
    return Path(__file__).parent / "ledgers"


def events_of(name):
    from search.ledger import formats

    return [formats.parse(line) for line in (folder() / FILES[name]).read_bytes().splitlines()]


def rounded(value):
    match value:
        case float():
            return float(f"{value:.9g}")
        case dict():
            return {key: rounded(entry) for key, entry in value.items()}
        case list() | tuple():
            return [rounded(entry) for entry in value]
    return value


def plain(value):
    """As JSON has it: tuples are lists, keys are strings; of numbers nothing is lost."""
    return json.loads(json.dumps(value, allow_nan=False))


def command_lines(names, length):
    """The command lines that are asked; fewer of a search that is cut off in the middle."""
    lines = [["list", "--json"]] if length is None else []
    for name in names:
        lines += [["status", name], ["status", name, "--json"], ["trials", name]]
        if length is None:
            lines += [["show", name, trial] for trial in SHOWN[name]]
            lines += [["show", name, trial, "--json"] for trial in SHOWN_AS_JSON[name]]
            lines += [["trials", name, "--json"], ["trials", name, "--pareto"]]
    if length is None:
        lines += [["trials", "golden", "--sort", "learning_rate"], ["status", "nobody", "--json"]]
        lines += [["describe", SPACE], ["describe", SPACE, "--json"]]
    return lines


def answers(names, length=None):
    """(a) Of every command line: exit code, and the document or the lines."""
    found = {}
    with tempfile.TemporaryDirectory() as home:
        for name in names:
            (Path(home) / name).mkdir()
            text = (folder() / FILES[name]).read_text("utf-8").splitlines(keepends=True)
            (Path(home) / name / "ledger.jsonl").write_text(
                "".join(text[: length and length[name]])
            )
        for arguments in command_lines(names, length):
            code, out = documents(home, arguments)
            # Since 0.2.0 the next commands of a search of two objectives have one more.
            out = re.sub(r"^.*spksearch trials \S+ --pareto\"?,?\n", "", out, flags=re.MULTILINE)
            out = out.replace(os.path.realpath(home), "HOME").replace(home, "HOME")
            answer = json.loads(out) if code == 0 and "--json" in arguments else out.splitlines()
            if arguments[0] == "list":
                for row in answer["searches"]:
                    assert row["age_seconds"] > 0
                    row["age_seconds"] = None
            if arguments[0] == "describe" and "--json" in arguments:
                answer |= {"path": Path(answer["path"]).name, "sha256": ""}
            found[" ".join(arguments)] = {"code": code, "out": answer}
    return found


def decided(name):
    """(b) A row for every event: its place and kind, the job, the ends and vain wishes, if any.

    The rankings of those rungs are added for which they have changed.
    """
    events, rows, before = events_of(name), [], {}
    for place, (event, now) in enumerate(zip(events, decisions(events), strict=True)):
        job, ending, in_vain, rungs = now
        row = [place, event.event, event.trial_name, job]
        more = {"ends": ending, "vain": in_vain}
        more["ranking"] = {r: order for r, order in rungs.items() if before.get(r) != order}
        more = {key: value for key, value in more.items() if value}
        rows.append([*row, more] if more else row)
        before = rungs
    return {"rows": rows, "wrong": wrong(events)}


def sampled(name):
    """(c) What the sampler is told, and what it suggests next and next but one."""
    events = events_of(name)
    rung, trials = sampler_view(events)
    found = {"rung": rung, "told": trials, "prior": prior_view(events)}
    rung, trials = sampler_view(events[: CUTS[name]])
    found |= {"rung_at_cut": rung, "told_at_cut": trials}
    if name == "replay":
        return found
    number = len([event for event in events if event.event == "trial"])
    first = suggestion(events, SPACE)
    made = {"trial": f"t{number + 1:04d}", "encoder_parameters": 10_000}
    trial = event_of("trial", time=events[-1].time, search=name, **made, **first)
    second = suggestion([*events, trial], SPACE)
    found["next"] = [[s["origin"], rounded(s["axes"])] for s in (first, second)]
    # Trials of the sampler, at the moment they were made: they must be suggested again.
    again = []
    for place, event in enumerate(events):
        if event.event == "trial" and not event.wish:
            now = suggestion(events[:place], SPACE)
            for key in ("axes", "origin", "distributions", "config"):
                assert rounded(now[key]) == rounded(getattr(event, key)), (event.trial, key)
            again.append([event.trial, now["origin"], rounded(now["axes"])])
    return found | {"again": again}


def tracked(name):
    """(d) The runs, points by metric: [event, value, step, time in ms]."""
    experiment, runs, changed = mirrored(events_of(name))
    for run in runs.values():
        points = {}
        for event, key, *rest in run["points"]:
            points.setdefault(key, []).append([event, *rest])
        run["points"] = points
    return {"experiment": experiment, "runs": runs, "changed": [" ".join(c) for c in changed]}


def stored(name):
    """(e) At the end, and on the way at every twentieth event."""
    events = events_of(name)
    found = {str(length): kept(events[:length]) for length in range(20, len(events), 20)}
    return found | {str(len(events)): kept(events)}


def settled(name):
    """(f) After each `search` event."""
    events = events_of(name)
    places = [place for place, event in enumerate(events) if event.event == "search"]
    return {str(place): settings(events[: place + 1]) for place in places}


def added_up(name):
    """(g) At the end, and in the middle."""
    events = events_of(name)
    return {"end": facts(events), "cut": facts(events[: CUTS[name]])}


PARTS = {
    "decisions": decided,
    "sampler": sampled,
    "mlflow": tracked,
    "storage": stored,
    "settings": settled,
    "facts": added_up,
}
"""(b) to (g), of every ledger."""


def compute(part, name=None):
    if part == "documents":
        return plain(answers(FILES))
    if part == "documents_at_cut":
        return plain(answers(FILES, CUTS))
    return plain(PARTS[part](name))


# ============================== the comparison ====================================================


@pytest.fixture(scope="module")
def golden():
    return json.loads((folder() / "format-2.golden.json").read_text("utf-8"))


def differences(one, other, path=""):
    """Where two JSON values differ, one line each: a whole diff would be unreadable."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        missing = [key for key in keys if key not in one or key not in other]
        found = [f"{path}/{key}: {'missing' if key in other else 'new'}" for key in missing]
        pairs = [(key, one[key], other[key]) for key in keys if key not in missing]
    elif isinstance(one, list) and isinstance(other, list):
        lengths = f"{path}: {len(one)} entries instead of {len(other)}"
        found = [] if len(one) == len(other) else [lengths]
        pairs = [(at, *both) for at, both in enumerate(zip(one, other, strict=False))]
    else:
        is_number = not isinstance(one, bool) and not isinstance(other, bool)
        is_same_kind = type(one) is type(other) or (is_number and isinstance(one, int | float))
        is_same = one == other and is_same_kind
        return [] if is_same else [f"{path}: {one!r:.300} instead of {other!r:.300}"]
    return found + [each for key, a, b in pairs for each in differences(a, b, f"{path}/{key}")]


def check(now, then):
    found = differences(now, then)
    assert not found, "\n".join([f"{len(found)} differences", *found[:20]])


@pytest.mark.parametrize("part", ["documents", "documents_at_cut"])
def test_read_verbs_print_what_they_printed(golden, part):
    check(compute(part), golden[part])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("part", PARTS)
def test_a_ledger_of_before_means_what_it_meant(golden, part, name):
    check(compute(part, name), golden[part][name])

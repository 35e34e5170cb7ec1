"""Events of ledgers, made up from what a test says of them; the rest is ordinary."""

from search.ledger.event import Event
from search.ledger.events import FORMAT, MalformedEvent
from search.ledger.formats import from_json

ORDINARY = {
    "search": {
        "format": FORMAT,
        "space": "made",
        "space_sha256": "5" * 64,
        "corpus": "/corpora/voices",
        "corpus_sha256": "c" * 64,
        "store": "/stores/voices",
        "dev_store": "/stores/voices/dev",
        "seed": 0,
        "dev_condition": "clean",
        "noise": "",
        "rooms": "",
        "surroundings": "",
        "rule": "promotion",
        "eta": 3,
        "rungs": [1, 3, 9],
        "trials": 24,
        "hours": None,
        "max_epochs": 9,
        "concurrent": None,
        "cpus_per_trial": 1.0,
        "gpus_per_trial": None,
        "tracking_uri": "",
    },
    "driver": {"format": FORMAT, "host": "here", "pid": 1, "started": "0-1"},
    "trial": {
        "config": {},
        "signature": "0" * 8,
        "origin": "sampler",
        "axes": {},
        "distributions": {},
    },
    "segment": {"attempt": 1, "from_epoch": 0},
    "report": {"attempt": 1, "seconds": 1.0, "checkpoint": "", "sha256": ""},
    "crash": {"attempt": 1, "reason": "worker died", "counts": True},
    "end": {"reason": "", "by": "rule", "rung": 0},
    "finish": {"reason": "all trials tried", "totals": {}},
    "queued": {
        "config": {},
        "origin": "somebody",
        "log_entry": "",
        "weights_of": "",
        "axes": {},
        "distributions": {},
    },
    "promoted": {
        "checkpoint": {"epoch": 1, "sha256": "a" * 64},
        "sha256": "a" * 64,
        "folder": "promoted/t0001-1",
        "model": "spksearch-made",
        "version": "1",
        "alias": "candidate",
        "tracking_uri": "",
    },
    "evaluated": {
        "sha256": "a" * 64,
        "list": {"name": "pairs.txt", "sha256": "b" * 64},
        "conditions": ["clean"],
        "protocol": "default",
        "metrics": {},
    },
}


def record_of(kind, /, time="", search="", **fields):
    """A JSON object of a ledger, as today's version writes it."""
    return {
        "event": kind,
        "time": time,
        "search": search,
        **ORDINARY.get(kind, {}),
        **fields,
    }


def event_of(kind, /, time="", search="", **fields) -> Event:
    """An event of this kind."""
    event = from_json(record_of(kind, time, search, **fields))
    assert not isinstance(event, MalformedEvent), event.problem
    return event


def append(ledger, kind, /, **fields) -> Event:
    """Write an event of this kind to a ledger."""
    return ledger.append(event_of(kind, **fields))

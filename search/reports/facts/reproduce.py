"""How to run a search again: commands, versions, digests."""

from dataclasses import dataclass

from search.ledger.events import SearchEvent
from search.ledger.state import SearchState
from search.reporting.snapshot import format_resume_command
from spkmodel.core.shell import quote_path


@dataclass(frozen=True)
class Reproduction:
    """What somebody else needs to run the same search."""

    commands: tuple[tuple[str, str], ...]
    """What each is for, and the command."""
    facts: tuple[tuple[str, str], ...]
    """Versions, digests and settings, by name."""


def describe_reproduction(state: SearchState) -> Reproduction:
    """Return the commands and facts that reproduce a search and use its best trial."""
    search = state.search
    name = search.search
    commands = [("run the search again, under another name", format_launch_command(search))]
    best = next(iter(state.ranked()), None)
    if best is not None:
        trial = best.trial
        commands += [
            ("look at the best trial", f"spksearch show {name} {trial}"),
            ("evaluate it on the test pairs, once", f"spksearch promote {name} --trial {trial}"),
        ]
    commands += [("go on with it", format_resume_command(search))]
    return Reproduction(tuple(commands), tuple(_facts(search)))


def format_launch_command(search: SearchEvent) -> str:
    """Return the command that launches the same search under another name."""
    if search.replay is not None:
        return f"{search.replay.command} --name {search.search}-again"
    parts = ["spksearch launch", quote_path(search.space_file or search.space)]
    parts += [f"--corpus {quote_path(search.corpus)}", f"--name {search.search}-again"]
    parts += [] if search.trials is None else [f"--trials {search.trials}"]
    parts += [] if search.hours is None else [f"--hours {search.hours:g}"]
    parts += [f"--max-epochs {search.max_epochs}", f"--seed {search.seed}"]
    parts += [f"--dev-condition {search.dev_condition}"] if search.dev_condition != "clean" else []
    parts += [f"--noise {quote_path(search.noise)}"] if search.noise else []
    parts += [f"--rooms {quote_path(search.rooms)}"] if search.rooms else []
    parts += [f"--concurrent {search.concurrent}"] if search.concurrent else []
    parts += [f"--rule {search.rule}"] if search.rule != "promotion" else []
    parts += [f"--finalists {search.finalists}"] if search.finalists != 1 else []
    parts += [f"--objectives {','.join(search.objectives)}"] if len(search.objectives) > 1 else []
    parts += [f"--warm-start {search.warm_start}"] if search.warm_start else []
    return " ".join(parts)


def _facts(search: SearchEvent) -> list[tuple[str, str]]:
    rungs = ", ".join(map(str, search.rungs))
    facts = [
        ("corpus", search.corpus),
        ("corpus, SHA-256", search.corpus_sha256),
        ("space", search.space_file or search.space),
        ("space, SHA-256", search.space_sha256),
        ("seed", str(search.seed)),
        ("dev pairs", search.dev_condition),
        ("rungs", f"epochs {rungs}; 1 of {search.eta} advances ({search.rule} rule)"),
    ]
    facts += [("noise and rooms", search.surroundings)] if search.surroundings else []
    facts += [("started from", search.warm_start)] if search.warm_start else []
    return facts + [(f"version of {name}", number) for name, number in search.versions.items()]

"""Write the note above an experiment's table in MLflow, of which the page shows the heading.

Searches of one space share an experiment and its note. The heading names all of them, the search
that was delivered last first, so that nobody takes one search's best for another's.
"""

from collections.abc import Mapping

from search.reporting.markdown import escape_text, format_code
from search.tracking.projection import HOLD, SEARCH, RunProjection

RESULT_TAG = "spksearch.result."
"""How the experiment tags begin that hold each search's heading, by its name."""

_MOST_OTHERS = 4
"""Other searches that the heading names."""


def format_result(projection: RunProjection) -> str:
    """Return what the heading says of a search: its name, its best, and why it waits."""
    eer, trial, epoch = projection.best
    result = f"best dev EER {eer:.2%}, trial {trial} at epoch {epoch}" if trial else "no result yet"
    hold = projection.runs[SEARCH].tags.get(HOLD)
    waits = f"; on hold: {escape_text(hold)}" if hold else ""
    return f"{projection.name}: {result}{waits}"


def format_note(projection: RunProjection, tags: Mapping[str, str]) -> str:
    """Return the note in Markdown.

    Args:
        projection: of the search that is delivered.
        tags: of the experiment, which have the results of its other searches.
    """
    mine = RESULT_TAG + projection.name
    others = [tags[key] for key in sorted(tags) if key.startswith(RESULT_TAG) and key != mine]
    more = len(others) - _MOST_OTHERS
    headings = [format_result(projection), *others[:_MOST_OTHERS]]
    headings += [f"{more} more searches"] if more > 0 else []
    search, name = projection.state.search, projection.name
    lines = [
        "# " + " | ".join(headings),
        f"Space {format_code(search.space)}, dev condition {search.dev_condition}, "
        f"seed {search.seed}, rungs {'/'.join(str(rung) for rung in search.rungs)}.",
        "Rates are fractions. `state` tells stopped trials from complete ones; `rung` is the "
        "highest epoch at which a trial was compared with others.",
        "In MLflow's own column a trial is Running while it trains or is paused at a rung, since "
        "it may go on. `state`: *paused* waits at a rung; *complete* came to the last epoch; "
        "*stopped* was not among the best at its rung, or the budget ended; *killed* was stopped "
        "by hand; *failed* crashed or diverged.",
        f"    spksearch status {name}\n    spksearch ui {name}\n    spksearch promote {name}",
    ]
    return "\n\n".join(lines) + "\n"

"""spksearch from Python: launch a search, read its trials, use its models.

Nothing heavy is imported until it is used: `import spksearch` loads neither torch nor Ray nor
MLflow.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.inference.open_model import load_model
    from search.inference.speaker_model import SpeakerModel, Verification
    from spksearch.searches import Search, launch, open_search

__all__ = ["Search", "SpeakerModel", "Verification", "launch", "load_model", "open_search"]

_HOMES = {
    "Search": "spksearch.searches",
    "launch": "spksearch.searches",
    "open_search": "spksearch.searches",
    "load_model": "search.inference.open_model",
    "SpeakerModel": "search.inference.speaker_model",
    "Verification": "search.inference.speaker_model",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for first (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'spksearch' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

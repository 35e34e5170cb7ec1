"""Everything that keeps a corpus from being packed, in one message."""

from collections import Counter

from spkmodel.data.audio import AudioError

SHOWN = 20
"""So many problems are named; the others are counted."""


class Problems:
    """Collects problems: the first ones by their message, the others by number."""

    def __init__(self) -> None:
        self._first: list[tuple[str, str]] = []
        self._kinds: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._kinds.total()

    def add(self, message: str, kind: str) -> None:
        """Add a problem that names its file."""
        self._kinds[kind] += 1
        if len(self._first) < SHOWN:
            self._first.append((message, kind))

    def raise_any(self, advice: str) -> None:
        """Raise an error of all problems; the advice stands at the end where there are several.

        Raises:
            AudioError: of the first one's kind, if there is any.
        """
        if not self._first:
            return
        (message, kind), *others = self._first
        if not others:
            raise AudioError(f"{message}\n{advice}", kind=kind)
        total = len(self)
        more = [f"and {total - SHOWN} more"] if total > SHOWN else []
        lines = [
            f"{total} utterances cannot be packed:",
            *(message for message, _ in self._first),
            *more,
            advice,
        ]
        raise AudioError("\n".join(lines), kind=kind)

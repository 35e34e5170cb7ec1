"""STYLE.md's vocabulary, where a machine can check it."""

import re
from pathlib import Path

import spkmodel

PACKAGE = Path(spkmodel.__file__).parent


def test_a_training_knows_no_trials():
    # These two are the bridge to the search and carry the trial's name across.
    bridge = {PACKAGE / "worker" / name for name in ("trainable.py", "results.py")}
    list_names = re.compile(r"(valid|test)_trials\.txt|\w*_TRIALS\b")
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in bridge
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"trial", list_names.sub("", line), re.IGNORECASE)
    ]
    assert found == []

"""What the pages show is what the code does."""

import re
from pathlib import Path

from spkmodel import config

MODELS = Path(__file__).parent.parent / "docs" / "models.md"


def _page() -> str:
    return MODELS.read_text(encoding="utf-8")


def test_the_example_of_the_model_library_builds():
    (code,) = re.findall(r"```python\n(.*?)```", _page(), re.DOTALL)
    names: dict[str, object] = {}
    exec(code.replace("\n\nTrainConfig(", "\n\nexample = TrainConfig("), names)
    assert isinstance(names["example"], config.TrainConfig)


def test_every_variant_of_every_family_is_on_the_page_of_the_model_library():
    parts = [name for name in config.__all__ if _is_part(name)]
    bases = {"FrozenModel", "MelSpectrogram", "BatchRenorm", "Weighted", "TrainConfig"}
    missing = [name for name in parts if name not in _page() and name not in bases]
    assert missing == []


def _is_part(name: str) -> bool:
    thing = getattr(config, name)
    return isinstance(thing, type) and issubclass(thing, config.FrozenModel)


def test_every_test_that_the_security_page_names_is_there():
    page = (MODELS.parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[\w/]+/)?test_\w+\.py|[\w/]+/)`", page)) - {"spaces/", "cluster/"}
    tests = MODELS.parents[1] / "tests"
    there = {str(path.relative_to(tests.parent)) + "/" * path.is_dir() for path in tests.rglob("*")}
    assert len(named) > 10
    assert [name for name in sorted(named) if not any(each.endswith(name) for each in there)] == []

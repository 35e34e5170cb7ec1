from ray.tune import registry

from search.engine.tune_registry import asked_once


def test_the_head_is_asked_once_of_a_trainable_and_every_time_of_anything_else(monkeypatch):
    asked = []

    def answer(key):
        asked.append(key)
        return registry.pickle.dumps("what it is")

    monkeypatch.setattr(registry, "_internal_kv_initialized", lambda: True)
    monkeypatch.setattr(registry, "_internal_kv_get", answer)
    known = registry._Registry(prefix="job")
    with asked_once():
        for _ in range(3):
            assert known.get(registry.TRAINABLE_CLASS, "toy") == "what it is"
            assert known.contains(registry.TRAINABLE_CLASS, "toy")
        assert len(asked) == 1
        for _ in range(2):
            assert known.get(registry.ENV_CREATOR, "toy") == "what it is"
        assert len(asked) == 3
    known.get(registry.TRAINABLE_CLASS, "toy")
    assert known.contains(registry.TRAINABLE_CLASS, "toy")
    assert len(asked) == 5, "afterwards Tune is as it was"


def test_what_the_head_does_not_know_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(registry, "_internal_kv_initialized", lambda: True)
    answers = iter([None, b"there now"])
    monkeypatch.setattr(registry, "_internal_kv_get", lambda _: next(answers))
    known = registry._Registry(prefix="job")
    with asked_once():
        assert not known.contains(registry.TRAINABLE_CLASS, "toy")
        assert known.contains(registry.TRAINABLE_CLASS, "toy")

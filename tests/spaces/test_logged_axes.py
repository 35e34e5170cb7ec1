"""The space that the log spans: every entry is a point of it, no axis is without entries."""

import optuna
import pytest

from search.space import loader
from spaces import logged
from spkmodel.config import Combined, Softmax, Triplet

CHANNELS = {
    (22, 32): "22-512",
    (16, 16): "2x16 2x32 6x64",
    (32, 32, 48): "2x32 8x48",
    (16, 32): "1x16 2x32 3x48 4x64",
    (32, 32, 32, 48): "3x32 4x48 3x64",
    (32, 32, 32, 32): "7x32",
}


@pytest.fixture(scope="module")
def space():
    return loader.load("logged_axes")


@pytest.fixture(scope="module")
def described(space):
    return loader.describe(space)


def point_of(config):
    """Where an entry's config lies: worked out from the config alone."""
    encoder, loss, augment = config.encoder, config.loss, config.augment
    plan = next(name for start, name in CHANNELS.items() if encoder.channels[: len(start)] == start)
    place = "none" if encoder.eblock_norm == "none" else encoder.eblock_norm_place
    point = {
        "activation": encoder.activation,
        "channels": plan,
        "resblocks": "one each" if set(encoder.resblocks) == {1} else "0 to 3",
        "merge": encoder.merge,
        "dense": " ".join(map(str, encoder.dense)),
        "data_pp": "none",
        "schedule": config.schedule.kind,
        "learning_rate": config.optimiser.learning_rate,
        "l2": config.optimiser.l2,
    }
    for name in (
        *("skip_pooling", "in_channels", "in_kernel", "in_resblock", "kernel", "resblock_norm"),
        *("se_resblock", "se_eblock", "se_first_conv", "dense_skip", "embedding_norm"),
    ):
        point[name] = getattr(encoder, name)
    if encoder.merge == "add":
        point |= {"skip": encoder.skip, "eblock_norm_add": place}
    else:
        point |= {"order": encoder.order, "bottleneck": encoder.bottleneck}
        point["eblock_norm" if encoder.bottleneck else "eblock_norm_wide"] = place
    if augment.data_pp is not None:
        point["data_pp"] = next(
            str(n)
            for n in (39, 40, 41, 125)
            if augment.data_pp == type(augment.data_pp).from_entry(n)
        )
    return point | _of_loss(loss, encoder) | _of_batches(config.batches)


def _of_loss(loss, encoder):
    match loss:
        case Softmax():
            return {"loss": "softmax", "head": loss.head, "head_dropout": loss.head_dropout}
        case Triplet():
            alone = {"out_dim": encoder.out_dim, "embedding_dropout": encoder.dropout}
            return {"loss": "triplet", "triplet_form_alone": loss.form} | alone | _triplet(loss)
        case Combined(terms=(first, second)):
            both = _of_loss(first.loss, encoder) | _triplet(second.loss)
            return both | {"loss": "combined", "triplet_form": second.loss.form}
    raise AssertionError(loss)


def _triplet(loss):
    return {"mining": loss.mining, "margin": loss.margin}


def _of_batches(batches):
    text = f"{batches.speakers}x{batches.utterances}"
    return {"batch_of_one" if batches.utterances == 1 else "batch_of_pairs": text}


@pytest.mark.parametrize("number", [entry.number for entry in logged.entries()])
def test_every_entry_is_a_point_of_the_space(space, number):
    config = logged.load_log().entry(number).config
    trial = optuna.trial.FixedTrial(point_of(config))
    assert space.function(trial) == config


def test_only_these_entries_are_the_point_of_another_one():
    points = {}
    for entry in logged.entries():
        points.setdefault(tuple(sorted(point_of(entry.config).items(), key=str)), []).append(
            entry.number
        )
    twins = [numbers for numbers in points.values() if len(numbers) > 1]
    # 12, 23, 30, 31 changed the measuring alone; 24, 25 are 20, 21 validated anew; 112 is 113.
    assert sorted(twins) == [
        ["10", "12"],
        ["112", "113"],
        ["20", "24"],
        ["21", "25"],
        ["22", "23"],
        ["29", "30", "31"],
    ]


def test_every_axis_has_entries_behind_it_that_exist(described):
    for axis in described:
        assert axis.entries, f"{axis.name} has neither an entry nor a reason"
        for text in axis.entries.split(","):
            logged.load_log().select(text.strip())


def test_an_entry_behind_an_axis_changed_it(described):
    log = {entry.number: entry for entry in logged.entries()}
    points = {number: point_of(entry.config) for number, entry in log.items()}
    for axis in described:
        behind = logged.load_log().select(axis.entries.replace(" ", ""))
        changed = [
            entry.number
            for entry in behind
            if entry.based_on is None
            or points[entry.number].get(axis.name) != points[entry.based_on].get(axis.name)
        ]
        exempt = {"triplet_form_alone": "the log has the soft margin beside cross-entropy only"}
        assert changed or axis.name in exempt, axis.name
        for entry in behind:
            value = points[entry.number].get(axis.name)
            if axis.kind == "categorical" and value is not None:
                assert value in axis.choices, (axis.name, entry.number)


def test_what_no_entry_chose_is_little(described):
    """Choices of an axis that no entry has: each is named here, with why it is offered."""
    points = [point_of(entry.config) for entry in logged.entries()]
    unused = {
        (axis.name, choice)
        for axis in described
        for choice in axis.choices
        if not any(axis.name in p and p[axis.name] == choice for p in points)
    }
    assert unused == {
        ("batch_of_pairs", "18x4"),  # the log's later batches of 72, after 128
        ("triplet_form_alone", "softplus"),  # 127's soft margin, without cross-entropy
        ("eblock_norm_add", "first"),  # 34's place, in the additive network
        ("eblock_norm", "after_conv"),  # 01.2's place, in the dense network
        ("eblock_norm_wide", "after_conv"),
        ("eblock_norm_wide", "first"),
    }

"""A check names what is wrong with each case, and the remedies that it prints work."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spkmodel.config.corpus_rules import BatchShape
from spkmodel.data.audio import read
from spkmodel.data.checks.corpus_check import check_folder
from spkmodel.data.corpus import open_corpus
from spkmodel.data.lists import CorpusError, ListError
from tests.support.corpora.base import make_base
from tests.support.corpora.cases import CASES, make_case

ERRORS = {
    "cut_wav": {"cut_short"},
    "silent": {"silent_in_pair"},
    "silent_without_lists": {"silent_in_pair"},
    "one_speaker": {"one_speaker"},
    "kaldi_order": {"kaldi_order"},
    "label_words": {"label_words"},
    "swapped_columns": {"swapped_columns"},
    "commas": {"commas"},
    "tabs_and_spaces": {"tabs_or_quotes"},
    "quotes_and_spaces": {"tabs_or_quotes"},
    "space_in_name": {"space_in_name", "other_form"},
    "space_in_pair": {"space_in_name"},
    "space_in_layout": {"space_in_name"},
    "absolute_paths": {"absolute_path"},
    "absolute_elsewhere": {"absolute_path"},
    "backslashes": {"backslashes"},
    "without_wav": {"without_wav"},
    "other_suffix": {"other_suffix"},
    "m4a_for_wav": {"other_suffix"},
    "dss_for_wav": {"other_format"},
    "dss_names": {"other_format"},
    "one_level_too_high": {"speakers_without_wav"},
    "one_level_too_deep": {"speakers_without_wav"},
    "wrong_table": {"table"},
    "table_is_a_device": {"table"},
    "list_is_a_device": {"list"},
}
WARNINGS = {
    "silent": {"silent"},
    "silent_without_lists": {"silent"},
    "float_above_one": {"above_full_scale"},
    "clipped": {"clipped"},
    "self_pairs": {"self_pair", "repeated_pair"},
    "one_utterance_each": {"cannot_carry"},
    "dss_beside": {"ignored_format"},
    "sources_beside": {"ignored_format"},
    "text_beside": {"not_audio"},
    "same_bytes_two_speakers": {"same_audio_two_speakers"},
    "same_bytes_one_speaker": {"repeated_audio"},
}
WITH_REMEDY = [
    "silent",
    "silent_without_lists",
    "kaldi_order",
    "label_words",
    "swapped_columns",
    "commas",
    "tabs_and_spaces",
    "quotes_and_spaces",
    "space_in_pair",
    "space_in_layout",
    "absolute_paths",
    "absolute_elsewhere",
    "backslashes",
    "without_wav",
    "other_suffix",
    "m4a_for_wav",
    "dss_for_wav",
    "dss_names",
    "one_level_too_high",
    "one_level_too_deep",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("base"))


@pytest.fixture
def made(base, tmp_path):
    return lambda name: make_case(name, base, tmp_path / "the corpus" / name)


def kinds(report, severity):
    return {found.kind for found in report.findings if found.severity == severity}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_check_finds_what_is_there_and_nothing_else(made, name):
    report = check_folder(made(name).folder)
    assert kinds(report, "error") == ERRORS.get(name, set())
    # All of these small corpora have few dev speakers.
    assert kinds(report, "warning") - {"few_dev_speakers"} == WARNINGS.get(name, set())
    assert bool(report.problems) == (name in ERRORS)
    assert len(report.problems) == sum(f.count for f in report.findings if f.severity == "error")


def test_few_dev_speakers_are_counted(made):
    (found,) = (
        each
        for each in check_folder(made("two_dev_speakers").folder).findings
        if each.kind == "few_dev_speakers"
    )
    assert found.first == ["2; intervals of the dev EER need 5"]


def test_pairs_that_are_no_evidence_are_named_with_their_lines(made):
    found = {each.kind: each for each in check_folder(made("self_pairs").folder).findings}
    for kind in ("self_pair", "repeated_pair"):
        assert found[kind].count >= 1
        assert all(re.search(r"valid_trials.txt'?:\d+: ", text) for text in found[kind].first)


@pytest.mark.parametrize("name", WITH_REMEDY)
def test_what_a_check_prints_as_a_remedy_mends_the_corpus(made, tmp_path, name):
    folder = made(name).folder
    # Stands in for ffmpeg, which need not be installed: what is tested is what it is called with.
    fake = tmp_path / "bin" / "ffmpeg"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nfor last; do :; done\ncp "$5" "$last"\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    # spksearch is beside the Python that runs the tests, which need not be on the path.
    path = f"{fake.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    findings = check_folder(folder).findings
    for remedy in [r for found in findings if found.severity == "error" for r in found.remedies]:
        subprocess.run(["sh", "-ec", remedy], env={"PATH": path}, check=True, timeout=120)
    mended = folder.with_name(f"{name}-corpus")
    report = check_folder(mended if mended.exists() else folder)
    assert report.problems == []
    assert report.utterances["train"] > 0
    assert report.utterances["dev"] > 0


# The others are known only once audio or tables are read, or are no problem to whoever evaluates.
OPENED = sorted(
    {*ERRORS}
    - {"one_speaker", "cut_wav", "silent", "silent_without_lists"}
    - {"wrong_table", "table_is_a_device"}
)


@pytest.mark.parametrize("name", OPENED)
def test_whoever_opens_a_corpus_is_told_the_same_as_by_a_check(made, name):
    folder = made(name).folder
    with pytest.raises((CorpusError, ListError)) as caught:
        open_corpus(folder)
    found = next(f for f in check_folder(folder).findings if f.kind == caught.value.kind)
    # How many others there are is added where one is told for all.
    assert caught.value.problem.partition(f"; {found.count} of ")[0] == found.first[0]
    assert [f"remedy: {remedy}" for remedy in found.remedies[:1]] == str(caught.value).split("\n")[
        1:
    ]


@pytest.mark.parametrize("name", ["streamed_wav", "streamed_wav_zero"])
def test_a_streamed_file_has_the_samples_of_the_good_one(made, name):
    good, streamed = made("good"), made(name)
    path = good.training[0][1]
    np.testing.assert_array_equal(read(streamed.folder / path), read(good.folder / path))


def test_a_scaled_file_keeps_its_shape(made):
    good, loud = made("good"), made("float_above_one")
    path = good.training[0][1]
    speech = read(good.folder / path).astype(float)
    np.testing.assert_allclose(
        read(loud.folder / path) / 32768, speech / np.abs(speech).max(), atol=2 / 32768
    )


def test_every_finding_of_a_case_has_its_path(made):
    for name, path in {
        "silent": "wav/s00/u0.wav",
        "float_above_one": "wav/s00/u0.wav': up to 3",
        "clipped": "wav/s00/u0.wav",
        "dss_beside": "1 .dss ignored, such as ",
        "sources_beside": ".m4a beside what they were converted to, such as ",
        "text_beside": "2 .txt, such as ",
        "space_in_name": "'wav/s00/my file.wav'",
        "kaldi_order": "valid_trials.txt':1: ",
    }.items():
        report = check_folder(made(name).folder)
        texts = [text for found in report.findings for text in found.first]
        assert any(path in text for text in texts), (name, texts)


def test_pairs_without_evidence_are_named_with_their_lines(made):
    case = made("good")
    (_, a, b), *others = case.dev
    case.write("valid_trials.txt", [(1, a, b), (2, a, b), (1, a, a), *others, (1, b, a)])
    findings = {found.kind: found for found in check_folder(case.folder).findings}
    where = f"'{case.folder / 'valid_trials.txt'}'"
    assert findings["self_pair"].first == [f"{where}:3: {a} with itself"]
    last = 3 + len(others) + 1
    assert findings["repeated_pair"].first == [f"{where}:{last}: the pair of line 1 again"]
    assert findings["label"].count == 1


def test_the_first_ten_of_a_kind_are_shown_and_all_are_counted(made):
    report = check_folder(made("swapped_columns").folder)
    (found,) = [found for found in report.findings if found.severity == "error"]
    assert (found.count, len(found.first)) == (15, 10)
    assert len(report.problems) == 15


def test_one_problem_does_not_hide_the_others(made):
    case = made("space_in_name")
    case.write("valid_trials.txt", [(2, a, b) for _, a, b in case.dev[:3]] + case.dev[3:])
    (case.folder / case.training[-1][1]).unlink()
    (case.folder / case.training[-2][1]).write_bytes(b"")
    assert kinds(check_folder(case.folder), "error") == {
        "space_in_name",
        "other_form",
        "label",
        "missing",
        "unreadable",
    }


def test_what_a_corpus_can_carry_is_told(made):
    assert check_folder(made("good").folder).carries.batches == [BatchShape(5, 1), BatchShape(5, 2)]
    one_each = check_folder(made("one_utterance_each").folder).carries
    assert one_each.batches == [BatchShape(5, 1)]
    assert "triplet" in one_each.other_losses
    assert "aam_softmax" in one_each.losses


def test_nothing_that_a_terminal_acts_on_is_shown(made):
    case = made("same_bytes_two_speakers")
    rows = [(f"\x1b[2J{speaker}", path) for speaker, path in case.training]
    case.write("train_list.txt", [*rows, ("\x1b[2J", "wav/\x1b[31mx.wav"), ("\x1b[0m",)])
    report = check_folder(case.folder)
    texts = [each for found in report.findings for each in (*found.first, *found.remedies)]
    assert {"path", "columns", "same_audio_two_speakers"} <= {f.kind for f in report.findings}
    assert all(text.isprintable() for text in texts)

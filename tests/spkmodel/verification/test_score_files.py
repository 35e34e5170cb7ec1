"""Score files survive being written, and are refused with the line that is wrong."""

import numpy as np
import pytest

from spkmodel.data.lists import ListError, Pair
from spkmodel.verification import score_files

PAIRS = [Pair(True, "a/1.wav", "a/2.wav"), Pair(False, "a/1.wav", "b/1.wav")]
SCORES = np.array([2 / 3, -1e-7])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("ours", "1 a/1.wav a/2.wav 0.6666666666666666\n0 a/1.wav b/1.wav -1e-07\n"),
        ("lab", "0.6667 a/1.wav a/2.wav\n-0.0000 a/1.wav b/1.wav\n"),
        ("kaldi", "a/1.wav a/2.wav 0.6666666666666666\na/1.wav b/1.wav -1e-07\n"),
        ("wespeaker", "a/1.wav a/2.wav 0.66667 target\na/1.wav b/1.wav -0.00000 nontarget\n"),
    ],
)
def test_a_form_is_what_its_tool_writes(form, text, tmp_path):
    path = tmp_path / "scores"
    score_files.write(path, form, PAIRS, SCORES)
    assert path.read_text() == text
    assert score_files.detect_form(path) == form


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("form", score_files.FORMS)
def test_what_was_written_is_read_again(form, exact, tmp_path):
    path = tmp_path / "scores"
    score_files.write(path, form, PAIRS, SCORES, exact=exact)
    found = score_files.read(path, form)
    assert found.sides == (("a/1.wav", "a/2.wav"), ("a/1.wav", "b/1.wav"))
    decimals = {"lab": 4, "wespeaker": 5}.get(form)
    if exact or decimals is None:
        assert np.array_equal(found.scores, SCORES)
    else:
        assert np.abs(found.scores - SCORES).max() <= 0.5 * 10**-decimals
    if form in ("ours", "wespeaker"):
        assert found.targets.tolist() == [True, False]
    else:
        assert found.targets is None
    assert np.array_equal(found.scores_of(PAIRS[::-1]), found.scores[::-1])


@pytest.mark.parametrize(
    ("form", "line", "words"),
    [
        ("ours", "1 a b", r"3 columns; a line is 'label enrolment test score' \(ours\)"),
        ("ours", "2 a b 0.5", "label '2' is neither 1 nor 0"),
        ("lab", "0.5 a b 1", r"4 columns; a line is 'score enrolment test' \(lab\)"),
        ("lab", "half a b", "score 'half' is not a finite number"),
        ("kaldi", "a b nan", "score 'nan' is not a finite number"),
        ("kaldi", "a ../b 1", r"has '\.\.'"),
        ("wespeaker", "a b 0.5 impostor", "label 'impostor' is neither target nor nontarget"),
        ("kaldi", "x y 0.25", "x y is already on line 1"),
    ],
)
def test_a_wrong_line_is_named(form, line, words, tmp_path):
    first = {"ours": "1 x y 1", "lab": "1 x y", "kaldi": "x y 1", "wespeaker": "x y 1 target"}
    path = tmp_path / "scores"
    path.write_text(f"{first[form]}\n{line}\n")
    with pytest.raises(ListError, match=rf"scores:2: .*{words}"):
        score_files.read(path, form)


@pytest.mark.parametrize("line", ["0.5 0.25 0.125", "a b", "a b c d", "1 2"])
def test_a_file_of_no_form_is_told_which_there_are(line, tmp_path):
    path = tmp_path / "scores"
    path.write_text(line)
    with pytest.raises(ListError, match=r"scores:1: .* no line of a score file; ours: label"):
        score_files.detect_form(path)


def test_pairs_that_a_file_lacks_or_labels_otherwise_are_named(tmp_path):
    path = tmp_path / "scores"
    score_files.write(path, "ours", PAIRS, SCORES)
    found = score_files.read(path, "ours")
    more = [*PAIRS, Pair(False, "b/1.wav", "a/1.wav")]
    with pytest.raises(ListError, match=r"no score of b/1.wav a/1.wav \(1 of 3 pairs"):
        found.scores_of(more)
    with pytest.raises(ListError, match=r"scores:2: a/1\.wav b/1\.wav is of the other class"):
        found.scores_of([PAIRS[0], Pair(True, "a/1.wav", "b/1.wav")])

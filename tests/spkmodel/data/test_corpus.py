"""A corpus is read, or completed from its layout, or refused with a reason."""

import os

import numpy as np
import pytest
import soundfile

from spkmodel.data.checks.corpus_check import check_corpus
from spkmodel.data.corpus import open_corpus, split_corpus, with_pairs
from spkmodel.data.lists import CorpusError, ListError, Pair, read_pairs, read_train_list


def utterance(folder, path, samples=1600, rate=16_000, value=1000):
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.full(samples, value, np.int16), rate)
    return path


def layout(folder, speakers=10, utterances=4, deep=""):
    for speaker in range(speakers):
        for number in range(utterances):
            utterance(folder, f"wav/s{speaker:02}/{deep}u{number}.wav")
    return folder


def listed(folder, train="", dev="", test=""):
    for name, text in (
        ("train_list.txt", train),
        ("valid_trials.txt", dev),
        ("test_trials.txt", test),
    ):
        if text:
            (folder / name).write_text(text)
    return folder


def lists_of(a, b):
    """Pairs of two speakers, one target and one not."""
    return f"1 wav/{a}/u0.wav wav/{a}/u1.wav\n0 wav/{a}/u0.wav wav/{b}/u0.wav\n"


TRAIN = "".join(f"s0{s} wav/s0{s}/u{u}.wav\n" for s in range(3) for u in range(2))


@pytest.fixture
def complete(tmp_path):
    return listed(layout(tmp_path), TRAIN, lists_of("s03", "s04"), lists_of("s05", "s06"))


def speakers(corpus, name):
    return {corpus.speaker_of[path] for path in corpus.of_split(name)}


def test_lists_say_who_is_where(complete):
    corpus = open_corpus(complete)
    assert speakers(corpus, "train") == {"s00", "s01", "s02"}
    assert speakers(corpus, "dev") == {"s03", "s04"}
    assert speakers(corpus, "test") == {"s05", "s06"}
    assert corpus.split_of("wav/s03/u1.wav") == "dev"
    assert corpus.test_list == complete / "test_trials.txt"
    assert not corpus.dev_from_train
    assert len(corpus.utterances()) == 6 + 3 + 3


def test_a_layout_alone_is_a_corpus_without_test_pairs(tmp_path):
    corpus = open_corpus(layout(tmp_path, deep="video/"))
    assert corpus.test_pairs == ()
    assert corpus.test_list is None
    assert corpus.dev_from_train
    assert len(speakers(corpus, "train")) == 8
    assert len(speakers(corpus, "dev")) == 2
    assert speakers(corpus, "train").isdisjoint(speakers(corpus, "dev"))


def test_speakers_of_pair_lists_are_not_trained_on_when_the_training_list_is_missing(tmp_path):
    folder = listed(layout(tmp_path), dev=lists_of("s03", "s04"), test=lists_of("s05", "s06"))
    assert speakers(open_corpus(folder), "train") == {f"s0{n}" for n in (0, 1, 2, 7, 8, 9)}


def test_carved_dev_pairs_are_balanced_different_true_and_decided_by_the_seed(tmp_path):
    folder = layout(tmp_path, speakers=20)
    corpus = open_corpus(folder, seed=3)
    pairs = corpus.dev_pairs
    assert sum(pair.target for pair in pairs) * 2 == len(pairs) == 4 * 6 * 2
    assert len({frozenset((pair.enrolment, pair.test)) for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair.target == (corpus.speaker_of[pair.enrolment] == corpus.speaker_of[pair.test])
    assert open_corpus(folder, seed=3) == corpus
    assert open_corpus(folder, seed=4).dev_pairs != pairs


def test_dev_speakers_are_carved_out_of_a_training_list(complete):
    (complete / "valid_trials.txt").unlink()
    (complete / "train_list.txt").write_text(
        "".join(f"s0{s} wav/s0{s}/u{u}.wav\n" for s in (0, 1, 2, 3, 4) for u in range(3))
    )
    corpus = open_corpus(complete)
    assert len(speakers(corpus, "train")) == 3
    assert speakers(corpus, "train") | speakers(corpus, "dev") == {f"s0{n}" for n in range(5)}


def test_too_few_speakers_cannot_be_carved(tmp_path):
    with pytest.raises(CorpusError, match="2 others must remain; there are 3 speakers"):
        open_corpus(layout(tmp_path, speakers=3))


def test_a_speaker_with_one_utterance_is_never_carved(tmp_path):
    layout(tmp_path, speakers=2)
    for speaker in "abcdefgh":
        utterance(tmp_path, f"wav/{speaker}/u0.wav")
    assert speakers(open_corpus(tmp_path), "dev") == {"s00", "s01"}


@pytest.mark.parametrize(
    ("dev", "test", "says"),
    [
        (lists_of("s02", "s04"), "", "1 speakers are in both train and dev: s02"),
        (lists_of("s03", "s04"), lists_of("s01", "s05"), "both train and test: s01"),
        (lists_of("s03", "s04"), lists_of("s05", "s04"), "both dev and test: s04"),
    ],
)
def test_a_speaker_on_two_sides_is_an_error_unless_insisted_on(tmp_path, dev, test, says):
    folder = listed(layout(tmp_path), TRAIN, dev, test)
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder)
    assert says in str(caught.value)
    assert "--allow-overlap" in str(caught.value)
    open_corpus(folder, allow_overlap=True)


def test_with_overlap_an_utterance_is_of_both_splits_and_listed_once(tmp_path):
    corpus = open_corpus(
        listed(layout(tmp_path), TRAIN, lists_of("s02", "s04")), allow_overlap=True
    )
    assert corpus.splits_of("wav/s02/u0.wav") == ("train", "dev")
    assert len(corpus.utterances()) == len(set(corpus.utterances())) == 7


def test_speakers_with_other_names_than_their_folders_are_still_recognised(tmp_path):
    folder = listed(
        layout(tmp_path), TRAIN.replace("s00 ", "7 "), lists_of("s00", "s04"), lists_of("s5", "s6")
    )
    (folder / "test_trials.txt").unlink()
    with pytest.raises(CorpusError, match="both train and dev: 7"):
        open_corpus(folder)


def test_the_folder_that_tells_speakers_apart_is_found(tmp_path):
    for speaker in "abcd":
        for number in (0, 1):
            utterance(tmp_path, f"clean/day{number}/{speaker}/u{number}.wav")
    train = "".join(f"{s} clean/day{n}/{s}/u{n}.wav\n" for s in "ab" for n in (0, 1))
    dev = "1 clean/day0/c/u0.wav clean/day1/c/u1.wav\n0 clean/day0/c/u0.wav clean/day1/d/u1.wav\n"
    assert speakers(open_corpus(listed(tmp_path, train, dev)), "dev") == {"c", "d"}


def test_voxceleb_paths_without_wav_are_read(tmp_path):
    for speaker in ("id1", "id2", "id3", "id4"):
        for number in (0, 1):
            utterance(tmp_path, f"{speaker}/video/{number}.wav")
    train = "".join(f"id{s} id{s}/video/{n}.wav\n" for s in (1, 2) for n in (0, 1))
    dev = "1 id3/video/0.wav id3/video/1.wav\n0 id3/video/0.wav id4/video/0.wav\n"
    assert speakers(open_corpus(listed(tmp_path, train, dev)), "dev") == {"id3", "id4"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 wav/s03/u0.wav wav/s04/u0.wav", "label 1 for a pair of s03 and s04"),
        ("0 wav/s03/u0.wav wav/s03/u1.wav", "label 0 for a pair of speaker s03"),
    ],
)
def test_a_label_that_contradicts_the_speakers_is_named_with_its_line(complete, line, says):
    path = complete / "valid_trials.txt"
    path.write_text(lists_of("s03", "s04") + line + "\n")
    with pytest.raises(ListError, match=r"valid_trials\.txt:3: ") as caught:
        open_corpus(complete)
    assert says in str(caught.value)


def test_missing_utterances_are_counted_and_the_first_is_named(complete):
    (complete / "wav/s01/u0.wav").unlink()
    (complete / "wav/s03/u1.wav").unlink()
    with pytest.raises(ListError) as caught:
        open_corpus(complete)
    assert str(caught.value).startswith(f"{complete}/train_list.txt:3: wav/s01/u0.wav cannot be")
    assert "2 of 12 listed utterances cannot be used" in str(caught.value)


def test_a_link_may_not_lead_out_of_the_corpus(complete, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    utterance(outside, "secret/u0.wav")
    (complete / "wav/s01/u0.wav").unlink()
    (complete / "wav/s01/u0.wav").symlink_to(outside / "secret/u0.wav")
    with pytest.raises(ListError, match=r"train_list\.txt:3: .* leads out of the folder"):
        open_corpus(complete)
    (complete / "wav/s01/u0.wav").unlink()
    (complete / "wav/s01/u0.wav").symlink_to(complete / "wav/s01/u1.wav")
    open_corpus(complete)


def test_the_top_folder_may_be_a_link_to_another_disk(tmp_path, tmp_path_factory):
    disk = layout(tmp_path_factory.mktemp("disk"))
    (tmp_path / "wav").symlink_to(disk / "wav")
    assert len(open_corpus(tmp_path).train) == 32


def test_a_pipe_on_a_list_is_refused_instead_of_waited_for(complete):
    (complete / "wav/s01/u0.wav").unlink()
    os.mkfifo(complete / "wav/s01/u0.wav")
    with pytest.raises(ListError, match="not a regular file"):
        open_corpus(complete)


def test_what_is_no_corpus_is_refused_with_what_would_be(tmp_path):
    with pytest.raises(CorpusError, match="is not a folder"):
        open_corpus(tmp_path / "nowhere")
    with pytest.raises(CorpusError, match=r"neither train_list\.txt nor a folder wav"):
        open_corpus(tmp_path)
    (tmp_path / "wav").mkdir()
    with pytest.raises(CorpusError, match=r"no \.wav, \.flac, \.ogg, \.m4a or"):
        open_corpus(tmp_path)
    utterance(tmp_path, "wav/loose.wav")
    with pytest.raises(CorpusError, match="in no speaker's folder"):
        open_corpus(tmp_path)


def test_a_name_that_a_list_cannot_hold_is_refused(tmp_path):
    utterance(layout(tmp_path), "wav/s01/two words.wav")
    with pytest.raises(CorpusError, match=r"has a character .*; rename it"):
        open_corpus(tmp_path)


def test_hidden_and_other_files_are_left_alone(tmp_path):
    layout(tmp_path)
    (tmp_path / "wav/s01/._u0.wav").write_bytes(b"junk")
    (tmp_path / "wav/s01/notes.txt").write_text("notes")
    assert len(open_corpus(tmp_path).train) == 32


def test_check_names_every_problem_and_counts_the_rest(complete):
    utterance(complete, "wav/s00/u0.wav", rate=8000)
    (complete / "wav/s03/u0.wav").write_bytes(b"")
    utterance(complete, "wav/s05/u0.wav", value=1)
    utterance(complete, "wav/s06/u0.wav", value=32767)
    told = []
    report = check_corpus(open_corpus(complete), lambda done, total: told.append((done, total)))
    assert len(report.problems) == 3
    assert "8000 Hz" in report.problems[0]
    assert "s03/u0.wav" in report.problems[1]
    assert "s05/u0.wav: silent" in report.problems[2]
    assert report.unusable == 2
    assert (report.silent, report.clipped) == (1, 1)
    assert report.speakers == {"train": 3, "dev": 2, "test": 2}
    assert report.utterances == {"train": 6, "dev": 3, "test": 3}
    assert report.seconds["train"] == pytest.approx(0.5)
    assert report.target_pairs == report.non_target_pairs == {"dev": 1, "test": 1}
    assert told[-1] == (12, 12)


def test_split_writes_lists_that_keep_speakers_apart(tmp_path):
    layout(tmp_path)
    corpus = split_corpus(tmp_path, seed=1, dev_speakers=2, test_speakers=3, pairs=10)
    assert open_corpus(tmp_path) == corpus
    assert [len(speakers(corpus, name)) for name in ("train", "dev", "test")] == [5, 2, 3]
    assert len(read_train_list(tmp_path / "train_list.txt")) == 20
    assert len(read_pairs(tmp_path / "test_trials.txt")) == 10


@pytest.mark.parametrize("name", ["train_list.txt", "valid_trials.txt", "test_trials.txt"])
def test_split_never_overwrites(tmp_path, name):
    (layout(tmp_path) / name).write_text("mine")
    with pytest.raises(CorpusError, match=f"{name} is there already"):
        split_corpus(tmp_path)
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.glob("*.txt"))) == 1


@pytest.mark.parametrize(("dev", "test"), [(1, 2), (5, 4), (-1, 2), (0, 2)])
def test_split_refuses_counts_that_cannot_be(tmp_path, dev, test):
    layout(tmp_path)
    with pytest.raises(CorpusError, match="cannot be set aside"):
        split_corpus(tmp_path, dev_speakers=dev, test_speakers=test)
    assert not list(tmp_path.glob("*.txt"))


# --- official splits, evaluation only, one more list ---------------------------------------------


def test_assigned_speakers_keep_their_split_and_a_missing_one_is_drawn_from_train(tmp_path):
    layout(tmp_path, speakers=12)
    official = {f"s{n:02}": "test" if n < 3 else "train" for n in range(12)}
    corpus = split_corpus(tmp_path, assigned=official)
    assert speakers(corpus, "test") == {"s00", "s01", "s02"}
    assert len(speakers(corpus, "dev")) == 2
    assert len(speakers(corpus, "train")) == 7


def test_an_official_list_of_pairs_is_kept_as_it_is(tmp_path):
    layout(tmp_path, speakers=8)
    pairs = [
        Pair(True, "wav/s00/u0.wav", "wav/s00/u1.wav"),
        Pair(False, "wav/s00/u0.wav", "wav/s01/u1.wav"),
    ]
    corpus = split_corpus(tmp_path, assigned={"s00": "test", "s01": "test"}, test_pairs=pairs)
    assert list(corpus.test_pairs) == pairs == read_pairs(tmp_path / "test_trials.txt")
    assert not speakers(corpus, "train") & {"s00", "s01"}


def test_another_split_than_the_three_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="train, dev or test, got eval"):
        split_corpus(layout(tmp_path), assigned={"s00": "eval"})


def test_test_pairs_alone_are_a_corpus_for_evaluation(tmp_path):
    folder = listed(layout(tmp_path, speakers=2), test=lists_of("s00", "s01"))
    corpus = open_corpus(folder)
    assert corpus.train == corpus.dev_pairs == ()
    assert not corpus.dev_from_train
    assert speakers(corpus, "test") == {"s00", "s01"}


def test_one_more_list_brings_its_utterances_with_it(complete):
    corpus = open_corpus(complete)
    more = [
        Pair(True, "wav/s07/u0.wav", "wav/s07/u1.wav"),
        Pair(False, "wav/s00/u0.wav", "wav/s08/u1.wav"),
    ]
    wider = with_pairs(corpus, complete / "more.txt", more)
    assert set(wider.utterances()) - set(corpus.utterances()) == {
        "wav/s07/u0.wav",
        "wav/s07/u1.wav",
        "wav/s08/u1.wav",
    }
    assert with_pairs(wider, complete / "more.txt", more) is wider
    with pytest.raises(ListError, match=r"more\.txt:1: label 1 for a pair of s07 and s08"):
        with_pairs(corpus, complete / "more.txt", [Pair(True, "wav/s07/u0.wav", "wav/s08/u1.wav")])
    with pytest.raises(ListError, match=r"more\.txt:1: wav/s99/u0\.wav cannot be opened"):
        with_pairs(corpus, complete / "more.txt", [Pair(False, "wav/s99/u0.wav", "wav/s08/u1.wav")])

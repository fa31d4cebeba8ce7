import multiprocessing
import pickle
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.data.classification.clips import ClipRow, Head, LabelledClips
from avsf_det.data.classification.texts import Texts

HEADS = (Head("verb", ("cut", "wash")), Head("noun", ("knife", "pan", "plate")))


def table(rows, heads=HEADS, **more):
    return LabelledClips("train", Path("train.csv"), heads, rows, **more)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))))
def test_texts_come_back_as_they_were(texts):
    held = Texts(texts)
    assert list(held) == texts and [held[i] for i in range(len(held))] == texts


def test_texts_keep_file_names_that_are_no_utf8():
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    assert Texts([name])[0] == name


def test_a_clip_is_what_its_row_says():
    clips = table(
        [ClipRow(2, "a.mp4", [(0, 1), (1, 2)], 1.5, 3.0), ClipRow(7, "b.mp4", [(0, 0)]), ClipRow(9, "a.mp4", [(1, 0)])]
    )
    first, second, third = clips
    assert (first.video, first.start, first.end) == ("a.mp4", 1.5, 3.0)
    assert first.labels.tolist() == [0, 1, 0, 0, 1]
    assert (second.video, second.start, second.end) == ("b.mp4", 0.0, None)
    assert second.labels.tolist() == [1, 0, 0, 0, 0]
    assert third.video == "a.mp4" and list(clips.video_names) == ["a.mp4", "b.mp4"]
    assert clips.place(1) == "train.csv:7"
    assert clips.class_counts().tolist() == [1, 1, 1, 0, 1]
    assert clips.head_slices() == [slice(0, 2), slice(2, 5)]


def test_labels_that_hold_for_a_while_are_those_of_the_seconds_asked_for():
    head = Head("action", ("sit", "eat", "read"), multi_label=True)
    clips = table([ClipRow(1, "a.mp4", [(0, 0, 0.0, 4.0), (0, 1, 3.0, 6.0), (0, 1, 8.0, 9.0), (0, 2)])], [head])
    assert clips[0].labels.tolist() == [1, 1, 1]
    assert clips.labels(0, 0.0, 2.0).tolist() == [1, 0, 1]
    assert clips.labels(0, 3.5, 5.0).tolist() == [1, 1, 1]
    assert clips.labels(0, 6.5, 7.5).tolist() == [0, 0, 1]
    assert clips.class_counts().tolist() == [1, 1, 1]  # once a clip, however often it holds


def test_a_split_without_clips_has_none_of_any_class():
    assert len(table([])) == 0 and table([]).class_counts().tolist() == [0] * 5


def _labels(clips, answers):
    answers.put((clips.video(3), clips[3].labels.tolist()))


def test_other_processes_share_the_memory_of_large_tables():
    rows = (ClipRow(i, f"a long folder/of/videos/number_{i:07d}.mp4", [(0, i % 2), (1, i % 3)]) for i in range(20_000))
    clips = table(rows)
    assert clips.nbytes < 20_000 * 100
    assert len(ForkingPickler.dumps(clips)) < 20_000  # names of shared memory, not what is in it
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_labels, args=(clips, answers))
    process.start()
    assert answers.get() == (clips.video(3), clips[3].labels.tolist())
    process.join()


def test_tables_survive_pickling():
    clips = table([ClipRow(1, "a.mp4", [(0, 1)], 0.5, 1.0)], bad=["train.csv:2: bad"])
    again = pickle.loads(pickle.dumps(clips))
    assert list(again.bad) == list(clips.bad) and again[0].video == "a.mp4"
    np.testing.assert_array_equal(again[0].labels, clips[0].labels)

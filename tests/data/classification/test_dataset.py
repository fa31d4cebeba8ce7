import numpy as np
import pytest
import torch

from avsf_det.config import load_cfg
from avsf_det.data.batch import Collate
from avsf_det.data.classification.dataset import ClipDataset, ClipViews
from avsf_det.data.classification.folder import ClipFolder
from avsf_det.data.clip import ClipSpec, read_clips
from avsf_det.data.dataset import Run
from avsf_det.data.loader import TrainLoader, ViewLoader
from avsf_det.data.transforms import TrainTransform
from avsf_det.errors import UserError

SPEC = ClipSpec(num_frames=4, sampling_rate=4, short_side=48, audio_frames=16, num_mels=8)
PLAIN = TrainTransform((48, 48), flip=False)
COLLATE = Collate(SPEC, 2, [0.5] * 3, [0.25] * 3)


@pytest.fixture
def samples(held):
    """A function that makes the training samples of a layout."""

    def make(layout, transform=PLAIN, seed=0, **options):
        folder = ClipFolder(held(layout))
        return ClipDataset(folder.clips("train"), folder.root, SPEC, transform, seed, **options)

    return make


@pytest.fixture
def views(held):
    """A function that makes the views of a layout."""

    def make(layout, num_views=2, num_crops=3, crop_size=48, spec=SPEC):
        folder = ClipFolder(held(layout))
        return ClipViews(folder.clips("train"), folder.root, spec, num_views, num_crops, crop_size)

    return make


def read(dataset, epoch=0):
    return [dataset.read(Run(epoch, np.array([i])))[0] for i in range(len(dataset))]


def views_of(dataset, index):
    return [view for moment in dataset.read(Run(0, np.array([index])))[0] for view in dataset.cuts(moment)]


def test_a_sample_has_the_frames_and_the_sound_of_one_moment(samples):
    dataset = samples("epic_55")
    for i, sample in enumerate(read(dataset)):
        assert sample.boxes.shape == (0, 4) and sample.labels.shape == (1, 125 + 352)
        assert sample.labels[0].tolist() == dataset.clips[i].labels.tolist()
        (clip,) = read_clips(dataset.root / sample.video_id, [sample.time], SPEC)
        assert torch.equal(sample.frames, torch.from_numpy(clip.frames))
        assert (clip.log_mel is None) == (sample.log_mel is None)
        if clip.log_mel is not None:
            assert torch.equal(sample.log_mel, torch.from_numpy(clip.log_mel))


def test_moments_are_random_within_the_stretch_and_follow_from_seed_epoch_and_number(samples):
    dataset = samples("epic_55")
    times = [[sample.time for sample in read(dataset, epoch)] for epoch in range(8)]
    assert times == [[sample.time for sample in read(dataset, epoch)] for epoch in range(8)]
    first = np.array(times)[:, 0]
    assert len(set(first)) == 8  # another in each epoch
    assert times[0] != [sample.time for sample in read(samples("epic_55", seed=1))]
    half = SPEC.duration / 2
    assert (first >= 0.5 + half).all() and (first <= 3.37 - half).all()


def test_labels_are_those_of_the_moment(samples):
    dataset = samples("charades")
    for epoch in range(6):
        sample = read(dataset, epoch)[0]
        begin, end = sample.time - SPEC.duration / 2, sample.time + SPEC.duration / 2
        held = {92: begin < 2.2 or end > 3.0, 147: begin < 3.6}
        assert sample.labels[0].nonzero()[:, 0].tolist() == [c for c, holds in held.items() if holds]


def test_labels_outlast_whatever_is_cut_from_the_picture(samples):
    dataset = samples("ucf101", TrainTransform((48, 96), crop_size=24, box_jitter=0.3, colour_jitter=0.2))
    for epoch in range(4):
        assert [s.labels[0].argmax().item() for s in read(dataset, epoch)] == [0, 1]
        assert all(s.frames.shape == (4, 24, 24, 3) for s in read(dataset, epoch))


def test_mirrored_pictures_have_mirrored_classes(samples):
    dataset = samples("ucf101", TrainTransform((48, 48), mirrored_classes=(1, 0)))
    labels = {s.labels[0].argmax().item() for epoch in range(6) for s in read(dataset, epoch)[:1]}
    assert labels == {0, 1}


def test_negatives_are_sound_of_another_moment(samples):
    first, *_ = read(samples("epic_55", misaligned_gap=0.5))
    again, *_ = read(samples("ucf101", misaligned_gap=0.5))
    heard = [s for s in (first, again) if s.log_mel is not None]
    assert heard
    for sample in heard:
        assert sample.misaligned.shape == sample.log_mel.shape and not torch.equal(sample.misaligned, sample.log_mel)


def test_what_cannot_be_used_is_found_and_left_out(samples):
    dataset = samples("epic_55")
    dataset.root.joinpath("videos/P25/P25_01.MP4").unlink()
    dataset.root.joinpath("videos/P25/P25_01.MP4").write_bytes(b"no video")
    dataset.times[1] = 100.0
    found = dataset.find_unusable()
    assert sorted(found.samples.tolist()) == [1, 2]
    assert list(found.videos) == ["videos/P25/P25_01.MP4"]
    assert "EPIC_train_action_labels.csv:3:" in found.beyond[0] and "ends at 4.0 s" in found.beyond[0]
    dataset.leave_out(found.samples)
    assert len(dataset) == 1 and dataset.class_counts()[2] == 1 and dataset.class_counts().sum() == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_training(samples, workers):
    dataset = samples("epic_55", misaligned_gap=0.5)
    dataset.root.joinpath("videos/P25/P25_01.MP4").unlink()
    loader = TrainLoader(dataset, COLLATE, 3, 0, workers)
    (batch,) = loader.epoch(2)
    assert len(batch) == 2 and batch.labels.shape == (2, 477) and batch.boxes.shape == (0, 5)
    assert "EPIC_train_action_labels.csv:4: " in batch.failed[0]
    (again,) = TrainLoader(dataset, COLLATE, 3, 0, 0).epoch(2)
    assert torch.equal(batch.frames, again.frames) and batch.clips == again.clips
    assert torch.equal(batch.audio, again.audio)


def test_clips_without_labels_have_no_column(scenes):
    folder = ClipFolder(scenes / "videos", "unlabelled")
    clips = folder.clips("train")
    dataset = ClipDataset(clips, folder.root, SPEC, TrainTransform((48, 48)), 0, misaligned_gap=0.5)
    assert dataset.class_counts().shape == (0,)
    (batch,) = TrainLoader(dataset, COLLATE, len(clips), 0, 0).epoch(0)
    assert len(batch) == 5 and batch.labels.shape == (5, 0) and batch.boxes.shape == (0, 5)
    assert batch.misaligned.shape == batch.audio.shape and batch.audio_present.any() and batch.failed == []
    views = ClipViews(clips, folder.root, SPEC, 2, 1, 48)
    assert [batch.labels.shape for _, batch in ViewLoader(views, COLLATE, 2, 0)] == [(2, 0)] * 5


def test_views_are_at_even_moments_and_at_both_ends_and_the_middle(views):
    dataset = views("ucf101", num_views=4)
    found = views_of(dataset, 0)
    assert len(found) == 12
    slack = 4.0 - SPEC.duration
    expected = [slack * i / 4 + SPEC.duration / 2 for i in range(4) for _ in range(3)]
    assert [view.time for view in found] == pytest.approx(expected, abs=0.05)
    assert all(view.frames.shape == (4, 48, 48, 3) for view in found)
    (clip,) = read_clips(dataset.root / found[3].video_id, [found[3].time], SPEC)
    whole = torch.from_numpy(clip.frames)  # 64 pixels wide
    for view, left in zip(found[3:6], (0, 8, 16)):
        assert torch.equal(view.frames, whole[:, :, left : left + 48])
        assert torch.equal(view.log_mel, torch.from_numpy(clip.log_mel))


def test_one_view_is_the_middle(views):
    (view,) = views_of(views("ucf101", 1, 1, 32), 0)
    assert view.time == pytest.approx(2.0, abs=0.05) and view.frames.shape == (4, 32, 32, 3)


def test_views_have_all_labels_of_their_clip(views):
    found = views_of(views("charades", 3, 1), 0)
    assert len(found) == 3 and all(view.labels[0].nonzero()[:, 0].tolist() == [92, 147] for view in found)


def test_pictures_smaller_than_the_crop_are_enlarged(views):
    spec = ClipSpec(num_frames=2, sampling_rate=4, short_side=120, audio_frames=16, num_mels=8)
    found = views_of(views("ucf101", 1, 3, 120, spec), 0)
    assert len(found) == 3 and all(view.frames.shape == (2, 120, 120, 3) for view in found)


def test_views_that_no_test_has(views):
    with pytest.raises(UserError, match="NUM_SPATIAL_CROPS: got 2, expected 1 or 3"):
        views("ucf101", 10, 2)


def test_views_of_a_configuration(held):
    folder = ClipFolder.from_config(load_cfg(overrides=["DATA.ROOT", str(held("hmdb51")), "TRAIN.DATASET", "hmdb51"]))
    cfg = load_cfg(overrides=["TEST.NUM_ENSEMBLE_VIEWS", "10"])
    views = ClipViews.from_config(cfg, folder.clips("val"), folder.root)
    assert (views.num_views, views.num_crops, views.spec.short_side) == (10, 3, 256)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_testing_go_over_clips_and_name_those_that_cannot_be_read(views, workers):
    dataset = views("kinetics")
    dataset.root.joinpath(dataset.clips[1].video).unlink()
    found = list(ViewLoader(dataset, COLLATE, 4, workers))
    assert [(indices, len(batch)) for indices, batch in found] == [
        ([0] * 4, 4),
        ([0] * 2, 2),
        ([], 0),
        ([2] * 4, 4),
        ([2] * 2, 2),
    ]
    assert "annotations/train.csv:3: " in found[2][1].failed[0]
    (indices, batch), (last, _) = ViewLoader(dataset, COLLATE, 12, workers)
    assert (indices, last) == ([0] * 6, [2] * 6) and len(batch.failed) == 1


def test_ranks_take_turns_and_have_the_batches_that_one_process_has(views):
    dataset = views("kinetics")
    ranks = [ViewLoader(dataset, COLLATE, 6, 0, rank, 2) for rank in range(2)]
    assert [[indices[0] for indices, _ in loader] for loader in ranks] == [[0, 2], [1]]
    assert [len(loader) for loader in ranks] == [2, 1]

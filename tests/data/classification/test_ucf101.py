import pytest

from avsf_det.data.classification.folder import ClipFolder
from avsf_det.errors import UserError


def videos(folder, split):
    return [(clip.video.rpartition("/")[2], int(clip.labels.argmax())) for clip in folder.clips(split)]


def test_folds_of_ucf101(held):
    root = held("ucf101")
    first, second = ClipFolder(root, fold=1), ClipFolder(root, fold=2)
    assert first.heads[0].classes == ("Archery", "PlayingTabla")
    assert videos(first, "train") == [("v_Archery_g01_c01.avi", 0), ("v_PlayingTabla_g01_c01.avi", 1)]
    assert videos(first, "val") == videos(first, "test") == videos(second, "train")
    with pytest.raises(UserError, match=r"no trainlist03\.txt; expected the lists of folds 1 to 3 \(DATA\.FOLD\)"):
        ClipFolder(root, fold=3).clips("train")


def test_folds_of_hmdb51(held):
    root = held("hmdb51")
    for fold in (1, 2, 3):
        folder = ClipFolder(root, fold=fold)
        assert folder.heads[0].classes == ("brush_hair", "wave")
        (train, _), (test, _) = videos(folder, "train")[0], videos(folder, "val")[0]
        assert train.startswith(f"brush_hair_of_#{(1 - fold) % 3}_") and test.startswith(
            f"brush_hair_of_#{(2 - fold) % 3}_"
        )
    with pytest.raises(UserError, match=r"no <class>_test_split4\.txt"):
        ClipFolder(root, fold=4).clips("train")


def test_bad_rows(held):
    root = held("ucf101")
    with open(root / "ucfTrainTestlist" / "trainlist01.txt", "a") as file:
        file.write("Nothing/v_x.avi 3\n")
    bad = ClipFolder(root).clips("train").bad
    assert bad[0].startswith(f"{root}/ucfTrainTestlist/trainlist01.txt:3: got 'Nothing/v_x.avi 3'")
    root = held("hmdb51")
    with open(root / "testTrainMulti_7030_splits" / "wave_test_split1.txt", "a") as file:
        file.write("wave_x.avi\n")
    assert (
        ClipFolder(root)
        .clips("train")
        .bad[0]
        .startswith(f"{root}/testTrainMulti_7030_splits/wave_test_split1.txt:4: got no division")
    )

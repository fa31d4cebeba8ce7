import pickle

import numpy as np
import pytest

from ava_eval import InputError, evaluate
from ava_eval.results_file import read_results

torch = pytest.importorskip("torch")


@pytest.fixture
def dumped(tmp_path):
    def dump(content):
        (tmp_path / "results.pkl").write_bytes(pickle.dumps(content, 2))
        return tmp_path / "results.pkl"

    return dump


def keyframe(video="v", second=902, people=2, columns=81, seed=0):
    """What mmaction2's DumpResults writes for a keyframe: `to_dict` of an ActionDataSample."""
    torch.manual_seed(seed)
    low = torch.rand(people, 2) / 2
    return {
        "pred_instances": {
            "bboxes": torch.cat([low, low + 0.3], 1),
            "scores": torch.rand(people, columns),
        },
        "gt_instances": {"bboxes": torch.rand(1, 4), "labels": torch.zeros(1, columns)},
        "video_id": video,
        "timestamp": second,
        "img_key": f"{video},{second:04d}",
        "img_shape": (256, 340),
    }


def csv_of(samples):
    """The rows that mmaction2 writes as csv."""
    rows = []
    for sample in samples:
        boxes, scores = (sample["pred_instances"][key].double().tolist() for key in ("bboxes", "scores"))
        for box, values in zip(boxes, scores):
            rows += [
                [sample["video_id"], sample["timestamp"], *box, k, s] for k, s in enumerate(values) if k and s > 0.002
            ]
    return rows


def test_read_results_mmaction2_dump_equals_its_csv(dumped):
    samples = [keyframe("v", 902), keyframe("v", 903, people=0), keyframe("w", 1000, people=3, seed=1)]
    truth = [[r[0], r[1], *r[2:7]] for r in csv_of(samples)[::17]]
    result = evaluate(truth, dumped(samples), "ava_v2.2")
    assert result.to_dict()["AP"] == evaluate(truth, csv_of(samples), "ava_v2.2").to_dict()["AP"] and result.mAP > 0
    assert not any("score columns" in line for line in result.warnings)


def test_read_results_outputs_per_class_and_image_keys_are_read(dumped):
    outputs = [np.zeros((0, 5), np.float32)] * 80
    outputs[11] = np.array([[0.1, 0.2, 0.3, 0.4, 0.9]], np.float32)
    table = read_results(dumped([{"img_key": "a,b,0902", "outputs": outputs}]))
    assert (table.video_names, table.actions.tolist(), table.microseconds.tolist()) == (["a,b"], [12], [902_000_000])


def test_read_results_other_number_of_classes_is_reported(dumped):
    table = read_results(dumped([keyframe(columns=5)]))
    assert set(table.actions.tolist()) <= {1, 2, 3, 4} and "5 score columns" in table.notes[0]


def test_read_results_pyslowfast_needs_the_names(dumped):
    content = {
        "preds": torch.rand(3, 80),
        "ori_boxes": torch.tensor([[0, 0.1, 0.2, 0.3, 0.4]] * 3),
        "metadata": torch.tensor([[0, 902], [1, 903], [1, 904]]),
    }
    with pytest.raises(InputError, match=r"evaluate detections_latest\.csv"):
        read_results(dumped(content))
    table = read_results(dumped(content | {"video_idx_to_name": ["v", "w"]}))
    assert len(table) == 240 and table.video_names == ["v", "w"]
    assert table.actions[:80].tolist() == list(range(1, 81)) and table.boxes[0].tolist() == pytest.approx(
        [0.1, 0.2, 0.3, 0.4]
    )


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        [[np.zeros((1, 5))] * 80],
        [{"video_id": "v"}],
        [
            {
                "video_id": "v",
                "timestamp": 1,
                "pred_instances": {"bboxes": np.zeros((2, 4)), "scores": np.zeros((1, 81))},
            }
        ],
        [
            {
                "video_id": "v",
                "timestamp": 1,
                "pred_instances": {"bboxes": np.zeros((1, 5)), "scores": np.zeros((1, 81))},
            }
        ],
        [{"video_id": "v", "timestamp": "x", "pred_instances": {"bboxes": [], "scores": []}}],
        (np.zeros((1, 80)), np.zeros((1, 5)), np.zeros((1, 2))),
        {
            "preds": np.zeros((2, 80)),
            "ori_boxes": np.zeros((1, 5)),
            "metadata": np.zeros((2, 2)),
            "video_idx_to_name": ["v"],
        },
        3,
    ],
    ids=str,
)
def test_read_results_anything_else_is_one_line(dumped, content):
    with pytest.raises(InputError) as error:
        read_results(dumped(content))
    assert str(error.value).startswith(str(dumped(content))) and "\n" not in str(error.value)

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import sigmoid_focal_loss

from avsf_det.config import load_cfg
from avsf_det.errors import UserError
from avsf_det.models.build import build_clip_loss, build_loss
from avsf_det.models.losses import JointLoss, effective_number_weights, no_loss

COUNTS = [100_000, 1_000, 10]


def make(*overrides, counts=None):
    return build_loss(
        load_cfg(None, [f"MODEL.{word}" if i % 2 == 0 else word for i, word in enumerate(overrides)]), counts
    )


def terms(boxes=6, classes=3):
    noise = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(boxes, classes, generator=noise)
    return logits, (torch.rand(boxes, classes, generator=noise) > 0.6).float()


@pytest.mark.parametrize("name", [(), ("LOSS_FUNC", "bce"), ("LOSS_FUNC", "bce_logit")])
def test_the_default_is_the_sum_over_boxes_of_the_mean_over_classes(name):
    logits, labels = terms()
    p = logits.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean(dim=1).sum()
    torch.testing.assert_close(make(*name)(logits, labels), expected)


def test_focal_loss_is_the_paper_s():
    logits, labels = terms()
    expected = sigmoid_focal_loss(logits, labels, alpha=0.25, gamma=2, reduction="none").mean(dim=1).sum()
    torch.testing.assert_close(make("LOSS_FUNC", "focal")(logits, labels), expected)
    half = make("LOSS_FUNC", "focal", "FOCAL_GAMMA", "0.0", "FOCAL_ALPHA", "0.5")
    torch.testing.assert_close(half(logits, labels), make()(logits, labels) / 2)


@pytest.mark.parametrize("overrides", [(), ("LOSS_FUNC", "focal"), ("CLASS_BALANCE", "effective_number")])
def test_it_is_float32_and_finite_with_logits_of_half_precision_and_any_size(overrides):
    logits = torch.tensor([[3e4, -3e4, 0.0], [-3e4, 3e4, 90.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = make(*overrides, counts=COUNTS)(logits, torch.tensor([[0, 1, 1], [0, 1, 0]]))
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and loss > 0 and logits.grad.isfinite().all()


def test_no_boxes_give_nothing_but_a_gradient():
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = make("LOSS_FUNC", "focal", "CLASS_BALANCE", "effective_number", counts=COUNTS)(logits, torch.zeros(0, 3))
    loss.backward()
    assert loss.item() == 0.0 and logits.grad.shape == (0, 3)


def test_rare_classes_weigh_more_where_they_are_present():
    logits, balanced, plain = torch.zeros(3, 3), make("CLASS_BALANCE", "effective_number", counts=COUNTS), make()
    absent = torch.zeros(3, 3)
    torch.testing.assert_close(balanced(logits, absent), plain(logits, absent))
    present = [
        3 * (balanced(logits[:1], row) - plain(logits[:1], row)).item() / math.log(2) + 1
        for row in torch.eye(3)[:, None]
    ]
    assert present == pytest.approx(effective_number_weights(COUNTS, max_ratio=20).tolist(), rel=1e-4)
    assert present[0] == pytest.approx(0.99, abs=0.02) and present[2] == pytest.approx(20, rel=0.05)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=80), st.sampled_from([0.0, 0.9, 0.999, 0.99999, 1.0]))
def test_a_label_weighs_1_on_average_and_no_class_more_than_a_rarer_one(counts, beta):
    weights, labels = effective_number_weights(counts, beta).double(), torch.tensor(counts).double().clamp(min=1)
    assert ((weights * labels).sum() / labels.sum()).item() == pytest.approx(1, rel=1e-5)
    order = labels.argsort()
    assert (weights[order].diff() <= 1e-6 * weights[order][:-1]).all()


def test_beta_goes_from_no_balance_to_inverse_frequency():
    assert effective_number_weights(COUNTS, 0.0).tolist() == pytest.approx([1, 1, 1])
    weights = effective_number_weights(COUNTS, 1.0)
    assert (weights * torch.tensor(COUNTS)).tolist() == pytest.approx([sum(COUNTS) / 3] * 3)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("LOSS_FUNC", "hinge"), "MODEL.LOSS_FUNC: got 'hinge', expected one of bce, bce_logit, focal"),
        (("CLASS_BALANCE", "magic"), "MODEL.CLASS_BALANCE: got 'magic', expected none or effective_number"),
        (("CLASS_BALANCE", "effective_number", "CLASS_BALANCE_BETA", "1.5"), "MODEL.CLASS_BALANCE_BETA: .* got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(overrides, message):
    with pytest.raises(UserError, match=message):
        make(*overrides, counts=COUNTS)


def clip_loss(*heads, counts=None, overrides=()):
    return build_clip_loss(load_cfg(None, overrides), heads, counts)


BALANCED = ("MODEL.CLASS_BALANCE", "effective_number")


def test_of_clips_with_one_class_it_is_the_sum_of_the_cross_entropies():
    logits, _ = terms(classes=3)
    classes = torch.tensor([0, 2, 1, 1, 0, 2])
    labels = torch.nn.functional.one_hot(classes).float()
    expected = -logits.log_softmax(1)[torch.arange(6), classes].sum()
    loss = clip_loss(("action", 3, False))
    torch.testing.assert_close(loss(logits, labels), expected)
    halves = loss(logits[:2], labels[:2]) + loss(logits[2:], labels[2:])
    torch.testing.assert_close(halves, expected)  # what micro-batches and processes have adds up


def test_of_clips_with_several_classes_it_is_that_of_boxes():
    logits, labels = terms()
    for words in ((), ("MODEL.LOSS_FUNC", "focal")):
        several = clip_loss(("action", 3, True), overrides=words)
        torch.testing.assert_close(several(logits, labels), build_loss(load_cfg(None, words))(logits, labels))


def test_clips_of_rare_classes_weigh_more():
    logits, labels = torch.zeros(3, 3), torch.eye(3)
    loss = clip_loss(("action", 3, False), counts=COUNTS, overrides=BALANCED)
    found = [loss(logits[i : i + 1], labels[i : i + 1]).item() / math.log(3) for i in range(3)]
    assert found == pytest.approx(effective_number_weights(COUNTS, max_ratio=20).tolist(), rel=1e-4)


def test_what_is_asked_of_a_clip_adds_up_each_with_its_own_classes_and_counts():
    heads, counts = [("verb", 2, False), ("noun", 3, True)], [5, 1, *COUNTS]
    noise = torch.Generator().manual_seed(0)
    logits = {name: torch.randn(4, size, generator=noise, requires_grad=True) for name, size, _ in heads}
    verbs, nouns = torch.eye(2)[[0, 1, 1, 0]], terms(4)[1]
    loss = clip_loss(*heads, counts=counts, overrides=BALANCED)(logits, torch.cat((verbs, nouns), dim=1))
    one = clip_loss(heads[0], counts=counts[:2], overrides=BALANCED)(logits["verb"], verbs)
    other = clip_loss(heads[1], counts=COUNTS, overrides=BALANCED)(logits["noun"], nouns)
    torch.testing.assert_close(loss, one + other)
    loss.backward()
    assert all(part.grad.abs().sum() > 0 for part in logits.values())


def test_losses_of_clips_are_float32_and_finite_with_logits_of_half_precision_and_any_size():
    logits = torch.tensor([[3e4, -3e4, 0.0]], dtype=torch.bfloat16, requires_grad=True)
    loss = clip_loss(("action", 3, False))(logits, torch.tensor([[0.0, 1.0, 0.0]]))
    loss.backward()
    assert loss.dtype == torch.float32 and loss.isfinite() and loss > 0 and logits.grad.isfinite().all()


def test_a_balance_of_clips_that_there_is_not_is_refused():
    with pytest.raises(UserError, match=r"MODEL.CLASS_BALANCE: got 'magic', expected none or effective_number"):
        clip_loss(("action", 3, False), counts=COUNTS, overrides=("MODEL.CLASS_BALANCE", "magic"))


def test_of_boxes_and_whole_clips_each_has_its_loss():
    clips = clip_loss(("verb", 3, False), ("noun", 2, True))
    loss = JointLoss(make(), clips, weight=0.5)
    boxes, labels = terms()
    torch.testing.assert_close(loss(boxes, labels), make()(boxes, labels))
    logits = {"verb": terms()[0], "noun": terms(classes=2)[0]}
    labels = torch.cat((torch.eye(3)[[0, 1, 2, 0, 1, 2]], terms(classes=2)[1]), dim=1)
    torch.testing.assert_close(loss(logits, labels), 0.5 * clips(logits, labels))


def test_nothing_is_asked_for_but_a_gradient():
    logits = torch.randn(3, 4, requires_grad=True)
    loss = no_loss(logits, torch.zeros(3, 0))
    loss.backward()
    assert loss.item() == 0 and torch.equal(logits.grad, torch.zeros(3, 4))


@pytest.mark.parametrize("ratio", [1.0, 5.0, 20.0])
def test_effective_number_weights_differ_at_most_by_the_ratio(ratio):
    counts = torch.tensor([*COUNTS, 0], dtype=torch.float64)
    weights = effective_number_weights([*COUNTS, 0], 0.999, ratio).double()
    assert weights.max() / weights.min() == pytest.approx(ratio, rel=1e-5)
    shown = counts.clamp(min=1)
    assert ((weights * shown).sum() / shown.sum()).item() == pytest.approx(1.0, rel=1e-5)
    unlimited = effective_number_weights(COUNTS, 0.999, 0.0)
    assert torch.equal(unlimited, effective_number_weights(COUNTS, 0.999, 1e9))


def test_effective_number_weights_with_a_ratio_below_one_raises():
    with pytest.raises(
        UserError, match=r"CLASS_BALANCE_MAX_RATIO: max_ratio: got 0\.5, expected 0 or a number from 1 on"
    ):
        make("CLASS_BALANCE", "effective_number", "CLASS_BALANCE_MAX_RATIO", "0.5", counts=COUNTS)

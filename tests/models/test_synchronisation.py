import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avsf_det.models.architecture import AudioPathway
from avsf_det.models.avslowfast import AVSlowFast
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.drop_pathway import DropPathway
from avsf_det.models.heads import RoIHead
from avsf_det.models.synchronisation import (
    SYNC_LOSSES,
    Embeddings,
    assign_negatives,
    easy_fraction,
    info_nce,
    margin_loss,
    sync_losses,
    valid_pairs,
)

ALL = torch.ones(3, dtype=torch.bool)


def embeddings(aligned, misaligned, visual=None):
    visual = torch.eye(3) if visual is None else visual
    return Embeddings(visual, aligned, misaligned)


def test_the_margin_loss_by_hand():
    eye = torch.eye(3)
    # own sound in the same direction: distance 0; misaligned at a right angle: distance sqrt(1/2)
    right_angle = (0.99 - math.sqrt(0.5)) ** 2
    assert margin_loss(embeddings(eye, eye.roll(1, 0)), ALL).item() == pytest.approx(right_angle / 2)
    # the other way round: (1/2 + 0.99²) / 2
    assert margin_loss(embeddings(eye.roll(1, 0), eye), ALL).item() == pytest.approx((0.5 + 0.99**2) / 2, abs=1e-4)
    # opposite misaligned sound is farther than the margin: nothing is left
    assert margin_loss(embeddings(5 * eye, -eye), ALL).item() == pytest.approx(0.0, abs=1e-9)


def test_infonce_by_hand():
    eye = torch.eye(3)
    perfect = info_nce(embeddings(eye, -eye), ALL).item()
    expected = math.log(math.exp(1 / 0.07) + 2 + math.exp(-1 / 0.07)) - 1 / 0.07
    assert perfect == pytest.approx(expected, abs=1e-6)
    fooled = info_nce(embeddings(eye.roll(1, 0), eye), ALL).item()
    assert fooled == pytest.approx(math.log(2 * math.exp(1 / 0.07) + 2), abs=1e-4)


@pytest.mark.parametrize("loss", SYNC_LOSSES.values(), ids=SYNC_LOSSES)
def test_only_valid_clips_count(loss):
    torch.manual_seed(0)
    v, p, n = torch.randn(3, 3, 5).unbind()
    some = torch.tensor([True, False, True])
    whole = loss(Embeddings(v[some], p[some], n[some]), ALL[:2])
    torch.testing.assert_close(loss(Embeddings(v, p, n), some), whole)
    v.requires_grad_()
    nothing = loss(Embeddings(v, p, n), ~ALL)
    nothing.backward()
    assert nothing.item() == 0.0 and v.grad.abs().sum() == 0.0


@pytest.mark.parametrize("loss", SYNC_LOSSES.values(), ids=SYNC_LOSSES)
def test_gradients_are_finite_where_sound_and_picture_agree(loss):
    v = torch.eye(3, requires_grad=True)
    loss(Embeddings(v, v * 2, v * 3), ALL).backward()
    assert v.grad.isfinite().all()


def test_near_silent_and_near_duplicate_pairs_are_left_out():
    torch.manual_seed(0)
    sound = torch.randn(5, 1, 1, 16, 8)
    other = torch.randn(5, 1, 1, 16, 8)
    sound[1] = -2.44  # digital silence
    other[2] = -2.44 + 0.05 * torch.randn(1, 1, 16, 8)  # nearly so
    other[3] = sound[3] + 1e-4 * torch.randn(1, 1, 16, 8)
    present = torch.tensor([True, True, True, True, False])
    assert valid_pairs(sound, other, present).tolist() == [True, False, False, False, False]


def assigned(*videos, ratio=1.0, hard=None, audio=None):
    """`assign_negatives` of micro-batches given as text, a letter a clip that names its video."""
    everything = [[True] * len(batch) for batch in videos]
    return assign_negatives(videos, hard or everything, audio or everything, ratio)


def test_easy_fraction_is_one_before_the_mix_epoch():
    assert easy_fraction(95.9, mix_epoch=96, easy_ratio=0.75) == 1.0
    assert easy_fraction(96, mix_epoch=96, easy_ratio=0.75) == 0.75


@pytest.mark.parametrize(
    ("ratio", "expected"), [(1.0, [1, 2, 3, 0]), (0.75, [1, 2, 0, 3]), (0.5, [1, 0, 2, 3]), (0.0, [0, 1, 2, 3])]
)
def test_assign_negatives_of_different_videos_rolls_the_easy_ones(ratio, expected):
    assert assigned("abcd", ratio=ratio) == [[(0, i) for i in expected]]


@pytest.mark.parametrize("sizes", [[1] * 64, [2] * 32, [4] * 16, [64], [3, 1, 5, 7]])
@pytest.mark.parametrize("ratio", [0.25, 0.75, 1.0])
def test_assign_negatives_keeps_the_fraction_over_micro_batches_of_any_size(sizes, ratio):
    numbers = iter(range(sum(sizes)))
    videos = [[next(numbers) for _ in range(size)] for size in sizes]
    everything = [[True] * size for size in sizes]
    found = assign_negatives(videos, everything, everything, ratio)
    own = [(b, i) for b, size in enumerate(sizes) for i in range(size)]
    easy = [source != clip for chosen, clip in zip((one for row in found for one in row), own) for source in [chosen]]
    assert sum(easy) == int(ratio * sum(sizes))


@given(
    videos=st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=5),
    ratio=st.floats(0, 1),
    data=st.data(),
)
def test_assign_negatives_never_takes_the_same_video_for_an_easy_one(videos, ratio, data):
    def flags():
        return [data.draw(st.lists(st.booleans(), min_size=len(v), max_size=len(v))) for v in videos]

    hard, audio = flags(), flags()
    usable = [(b, i) for b, v in enumerate(videos) for i in range(len(v)) if hard[b][i] or audio[b][i]]
    for b, chosen in enumerate(assign_negatives(videos, hard, audio, ratio)):
        for i, source in enumerate(chosen):
            others = [(x, y) for x, y in usable if videos[x][y] != videos[b][i]]
            if source is None:
                assert not others and not hard[b][i]
            elif source == (b, i):
                assert hard[b][i]
            else:
                assert source in others


def test_assign_negatives_skips_clips_of_the_same_video():
    assert assigned("aab") == [[(0, 2), (0, 2), (0, 0)]]
    assert assigned("a", "a", "b") == [[(2, 0)], [(2, 0)], [(0, 0)]]


def test_assign_negatives_without_another_video_falls_back_to_the_hard_one():
    assert assigned("aa") == [[(0, 0), (0, 1)]]
    assert assigned("aa", hard=[[False, True]]) == [[None, (0, 1)]]


def test_assign_negatives_of_short_videos_without_a_hard_one_are_easy():
    assert assigned("ab", ratio=0.0, hard=[[False, True]]) == [[(0, 1), (0, 1)]]
    assert assigned("abc", hard=[[False] * 3], audio=[[True, False, True]]) == [[(0, 2), (0, 2), (0, 0)]]


def test_info_nce_is_computed_in_float32_under_autocast():
    torch.manual_seed(0)
    one = Embeddings(*(torch.randn(8, 64) for _ in range(3)))
    valid = torch.ones(8, dtype=torch.bool)
    expected = info_nce(one, valid)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(one, valid)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_features_that_hold_sound_are_not_judged():
    torch.manual_seed(0)
    v, p, n = torch.randn(3, 3, 5).unbind()
    one = Embeddings(v, p, n, unheard=torch.tensor([False, True, False]))
    alone = margin_loss(Embeddings(v[1:2], p[1:2], n[1:2]), ALL[:1])
    assert sync_losses({"res4": one}, ALL)["res4"].item() == pytest.approx(alone.item())


def sync_model(junctions=("res3", "res4", "res5"), drop=None, fusion="audio_to_fast_slow", loss="margin"):
    torch.manual_seed(0)
    audio = AudioPathway(
        depth=18, alpha=8, fusion_channels=4, fusion=fusion, junctions=("res2", "res3"), sync_junctions=junctions
    )
    backbone = AVSlowFastBackbone(
        18, width=8, alpha=2, beta_inv=2, spatial_strides=(1, 2, 2, 1), audio=audio, drop_pathway=drop or DropPathway(0)
    )
    return AVSlowFast(backbone, RoIHead(backbone.channels, 5, dropout=0.0), loss)


def test_only_the_clip_s_own_sound_reaches_its_scores(clips):
    """fanyix/SlowFast scores clip i with the sound of clip i // 2, its own or the negative's."""
    model, misaligned = sync_model().eval(), torch.randn_like(clips.audio)
    with torch.no_grad():
        before, _ = model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=misaligned)
        torch.testing.assert_close(before, model(clips.slow, clips.fast, clips.audio, clips.boxes))
        for i in range(3):
            negatives, sounds = misaligned.clone(), clips.audio.clone()
            negatives[i] += 1.0
            sounds[i] += 1.0
            after, _ = model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=negatives)
            assert torch.equal(after, before)
            after, _ = model(clips.slow, clips.fast, sounds, clips.boxes, misaligned=misaligned)
            changed = ((after - before).abs().amax(dim=1) > 1e-5).tolist()
            assert changed == [index == i for index in clips.boxes[:, 0].tolist()]


@pytest.mark.parametrize("loss", SYNC_LOSSES)
@pytest.mark.parametrize("fusion", ["audio_to_fast_slow", "audio_to_fast_to_slow", "audiovisual_non_local"])
def test_every_stage_can_be_judged(clips, fusion, loss):
    junctions = ("pool1", "res2", "res3", "res4", "res5")
    model = sync_model(junctions, fusion=fusion, loss=loss, drop=DropPathway(1.0)).train()
    misaligned = torch.randn_like(clips.audio)
    _, losses = model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=misaligned)
    assert tuple(losses) == junctions
    for junction in junctions:  # each has a gradient of its own to its head and to both of what it compares
        model.zero_grad()
        losses[junction].backward(retain_graph=True)
        names = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        prefix = f"backbone.s{junctions.index(junction) + 1}_fuse.avs."
        assert {name for name in names if ".avs." in name} == {
            f"{prefix}{layer}.{kind}" for layer in ("ref_fc", "query_fc") for kind in ("weight", "bias")
        }
        for trunk in ("pathway2_stem", "pathway1_stem"):
            assert any(trunk in name for name in names)
        assert not any(name.startswith("head") for name in names)


@pytest.mark.parametrize(("rate", "judged"), [(0.0, {"res2"}), (1.0, {"res2", "res3", "res4", "res5"})])
def test_a_clip_is_judged_until_sound_has_joined_its_picture(clips, rate, judged):
    """Sound joins after res2 and res3 here; what is judged at res2 is the picture before."""
    model = sync_model(("res2", "res3", "res4", "res5"), drop=DropPathway(rate)).train()
    _, losses = model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=torch.randn_like(clips.audio))
    assert {junction for junction, loss in losses.items() if loss.item() > 0} == judged


def test_the_loss_starts_near_a_third_as_in_the_author_s_code(clips):
    model = sync_model(drop=DropPathway(1.0)).train()
    _, losses = model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=torch.randn_like(clips.audio))
    assert all(0.1 < loss.item() < 0.6 for loss in losses.values())

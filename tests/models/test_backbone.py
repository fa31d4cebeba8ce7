import pytest
import torch

from avsf_det.models.architecture import AudioPathway, NonLocalBlocks
from avsf_det.models.avslowfast import initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.drop_pathway import DropPathway


def silent(state, name):
    """What stands for `name` in clips without sound."""
    return state.get(name.replace("running_", "silent_running_"), state[name])


@torch.no_grad()
def test_without_sound_it_computes_what_slowfast_computes(make_model, clips):
    audiovisual, visual = make_model(), make_model(sound=False)
    state = audiovisual.state_dict()
    head = {"head.projection.weight": state["head.projection.weight"][:, : sum(visual.backbone.channels[:2])]}
    visual.load_state_dict({name: silent(state, name) for name in visual.state_dict()} | head)

    expected = visual(clips.slow, clips.fast, boxes=clips.boxes)
    soundless = audiovisual(clips.slow, clips.fast, None, clips.boxes)
    absent = audiovisual(clips.slow, clips.fast, clips.audio, clips.boxes, torch.zeros(3, dtype=torch.bool))
    torch.testing.assert_close(soundless, expected)
    torch.testing.assert_close(absent, expected)
    torch.testing.assert_close(visual(clips.slow, clips.fast, clips.audio, clips.boxes), expected)
    heard = audiovisual(clips.slow, clips.fast, clips.audio, clips.boxes)
    assert (heard - expected).abs().min() > 1e-3


@torch.no_grad()
def test_only_the_clips_with_sound_are_changed_by_it(make_model, clips):
    model = make_model()
    silent = model(clips.slow, clips.fast, None, clips.boxes)
    heard = model(clips.slow, clips.fast, clips.audio, clips.boxes)
    mixed = model(clips.slow, clips.fast, clips.audio, clips.boxes, torch.tensor([True, False, True]))
    torch.testing.assert_close(mixed, torch.stack((heard[0], silent[1], heard[2], heard[3])))


@torch.no_grad()
@pytest.mark.parametrize("stream", ["slow", "fast", "audio"])
def test_clips_of_a_batch_do_not_see_each_other(make_model, clips, stream):
    model = make_model()
    inputs = {"slow": clips.slow, "fast": clips.fast, "audio": clips.audio}
    before = model(**inputs, boxes=clips.boxes)
    inputs[stream] = inputs[stream].clone()
    inputs[stream][1] += 1.0
    after = model(**inputs, boxes=clips.boxes)
    assert [bool((a - b).abs().max() > 1e-4) for a, b in zip(before, after)] == [False, True, False, False]


@torch.no_grad()
@pytest.mark.parametrize(
    ("slow_frames", "fast_frames", "size", "audio_frames", "mels"),
    [(4, 16, 96, 64, 40), (4, 32, 128, 128, 80), (8, 16, 100, 64, 80), (8, 32, 112, 128, 40), (2, 4, 33, 8, 9)],
)
def test_small_clips_of_many_sizes(slow_frames, fast_frames, size, audio_frames, mels):
    audio = AudioPathway(depth=18, alpha=audio_frames // slow_frames)
    backbone = AVSlowFastBackbone(
        18,
        width=4,
        alpha=fast_frames // slow_frames,
        spatial_strides=(1, 2, 2, 1),
        spatial_dilations=(1, 1, 1, 2),
        audio=audio,
    ).eval()
    features = backbone(
        torch.rand(1, 3, slow_frames, size, size),
        torch.rand(1, 3, fast_frames, size, size),
        torch.rand(1, 1, 1, audio_frames, mels),
    )
    cells = -(-size // 16)
    assert features.slow.shape == (1, 32, slow_frames, cells, cells)
    assert features.fast.shape == (1, 8, fast_frames, cells, cells)
    assert features.audio.shape == (1, 16, 1, audio_frames // 8, -(-mels // 8))
    assert backbone.channels == (32, 8, 16)


@torch.no_grad()
@pytest.mark.parametrize("depth", [18, 34, 50, 101])
@pytest.mark.parametrize("block", ["tf_bottleneck_transform_v1", "tf_bottleneck_transform_v2"])
def test_every_depth_and_audio_block_runs(depth, block):
    audio = AudioPathway(depth=18 if depth == 101 else depth, alpha=4, block=block)
    backbone = AVSlowFastBackbone(depth, width=2, alpha=2, audio=audio).eval()
    features = backbone(torch.rand(1, 3, 2, 32, 32), torch.rand(1, 3, 4, 32, 32), torch.rand(1, 1, 1, 8, 8))
    assert tuple(tensor.shape[1] for tensor in features) == backbone.channels
    assert features.slow.shape[3:] == (1, 1)


@torch.no_grad()
def test_sound_reaches_the_slow_frames_of_its_own_time():
    backbone = AVSlowFastBackbone(
        18, width=4, alpha=1, audio=AudioPathway(depth=18, alpha=16, junctions=("res3",)), beta_inv=1
    ).eval()
    initialise(backbone, zero_init_final_gamma=False)
    seen = []
    backbone.s3_fuse.register_forward_hook(lambda _, __, output: seen.append(output.slow))
    picture, audio = torch.rand(1, 3, 32, 16, 16), torch.zeros(1, 1, 1, 512, 8)
    for _ in range(2):
        backbone(picture, picture, audio)
        audio[:, :, :, 256:260] = 5.0  # at Slow frame 16
    changed = (seen[0] - seen[1]).abs().amax(dim=(0, 1, 3, 4)).nonzero().flatten()
    assert 16 in changed and changed.min() >= 14 and changed.max() <= 18


def test_frames_that_do_not_fit_each_other_are_refused(make_model, clips):
    model = make_model()
    with pytest.raises(ValueError, match="got 7 Fast frames for 4 Slow ones, expected 2"):
        model(clips.slow, clips.fast[:, :, :7], clips.audio, clips.boxes)
    with pytest.raises(ValueError, match="got 30 audio frames for 4 Slow ones, expected 8"):
        model(clips.slow, clips.fast, clips.audio[:, :, :, :30], clips.boxes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 19}, "depth: got 19, expected one of 18, 34, 50, 101"),
        ({"audio": AudioPathway(depth=5)}, "depth: got 5"),
        ({"fast_junctions": ("res7",)}, "junction: got 'res7'"),
        ({"audio": AudioPathway(junctions=("res5",))}, "junction: got 'res5'"),
        ({"audio": AudioPathway(sync_junctions=("res6",))}, "junction of synchronisation: got 'res6'"),
        (
            {"audio": AudioPathway(alpha=4, sync_junctions=("res5",))},
            "expected a multiple of 8 as audio joins after res5",
        ),
        ({"temporal_blocks": (3, 4, 7, 3)}, "NUM_BLOCK_TEMP_KERNEL: got .3, 4, 7, 3., expected 4 numbers up to"),
        ({"non_local": NonLocalBlocks(((), (), (6,), ()))}, "NONLOCAL.LOCATION: got .* block indices below"),
        ({"checkpointed": ("s6",)}, "activation checkpointing: got 's6'"),
        ({"audio": AudioPathway(alpha=6)}, "audio alpha: got 6, expected a multiple of 4"),
        ({"audio": AudioPathway(block="x")}, "audio block: got 'x', expected one of tf_bottleneck_transform_v1"),
        ({"audio": AudioPathway(fusion="x")}, "audio fusion: got 'x', expected one of audio_to_fast_slow"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AVSlowFastBackbone(**arguments)


def gradients(model, clips):
    model.zero_grad()
    model(clips.slow, clips.fast, clips.audio, clips.boxes).square().sum().backward()
    sizes = {name: parameter.grad.abs().sum().item() for name, parameter in model.named_parameters()}
    laterals = sum(size for name, size in sizes.items() if "a2fs" in name)
    trunk = sum(size for name, size in sizes.items() if "pathway2" in name)
    head = model.head.projection.weight.grad[:, -model.backbone.channels.audio :].abs().sum().item()
    return laterals, trunk, head


def test_dropped_laterals_get_no_gradient_but_the_head_still_hears(make_model, clips):
    model = make_model(drop_pathway=DropPathway(rate=1.0, scope="laterals")).train()
    laterals, trunk, head = gradients(model, clips)
    assert laterals == 0.0 and trunk > 0.0 and head > 0.0


def test_a_dropped_pathway_is_dropped_from_the_head_too(make_model, clips):
    model = make_model(drop_pathway=DropPathway(rate=1.0, scope="pathway")).train()
    assert gradients(model, clips) == (0.0, 0.0, 0.0)


def test_a_pathway_that_is_not_dropped_learns_everywhere(make_model, clips):
    model = make_model(drop_pathway=DropPathway(rate=0.0)).train()
    assert min(gradients(model, clips)) > 0.0


@torch.no_grad()
def test_statistics_of_the_picture_are_never_of_a_mixture(make_model, clips):
    """Whatever DropPathway draws, each state's statistics are those of a model that is always in that state."""
    slow, fast = clips.slow[..., :32, :32], clips.fast[..., :32, :32]

    def after(drop, sound=True, steps=100):
        model = make_model(drop_pathway=drop).train()
        for _ in range(steps):
            model(slow, fast, 30 * clips.audio if sound else None, clips.boxes)
        norm = model.backbone.s4.pathway0_res0.branch2.a_bn
        return norm.running_mean, norm.silent_running_mean

    always, never = after(DropPathway(0.0))[0], after(DropPathway(0.0), sound=False)[1]
    assert (always - never).abs().max() > 0.1
    heard, silent = after(DropPathway(0.5))
    spread = (always - never).abs().max()
    assert (heard - always).abs().max() < 0.1 * spread and (silent - never).abs().max() < 0.1 * spread


@torch.no_grad()
def test_norms_of_audio_see_real_sound_alone(make_model, clips):
    def stem_mean(audio, present):
        model = make_model(drop_pathway=DropPathway(0.0)).train()
        model(clips.slow, clips.fast, audio, clips.boxes, present)
        return model.backbone.s1.pathway2_stem.bn.running_mean

    noise = clips.audio.clone()
    noise[1] = 99.0
    alone = make_model().train().backbone.s1.pathway2_stem
    alone(clips.audio[[0, 2]])
    present = torch.tensor([True, False, True])
    torch.testing.assert_close(stem_mean(noise, present), alone.bn.running_mean)
    untouched = make_model().backbone.s1.pathway2_stem.bn.running_mean
    assert torch.equal(stem_mean(noise, torch.zeros(3, dtype=torch.bool)), untouched)
    assert torch.equal(stem_mean(None, None), untouched)


@pytest.mark.parametrize("sound", [True, False])
def test_activation_checkpointing_changes_nothing_but_memory(make_model, clips, sound):
    def trained(**changes):
        model = make_model(drop_pathway=DropPathway(0.5, per_sample=True), **changes).train()
        torch.manual_seed(5)
        for _ in range(2):
            loss = model(clips.slow, clips.fast, clips.audio if sound else None, clips.boxes).square().sum()
            loss.backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        return gradients, dict(model.named_buffers())

    plain, saved = trained(), trained(checkpointed=("s1", "s2", "s3", "s4", "s5"))
    for expected, got in zip(plain, saved):
        assert expected.keys() == got.keys()
        for name in expected:
            torch.testing.assert_close(got[name], expected[name], rtol=1e-4, atol=1e-5)


def test_temporal_kernels_stop_where_they_are_told():
    backbone = AVSlowFastBackbone(101, width=2, temporal_blocks=(3, 4, 6, 3), audio=AudioPathway(depth=18))
    sizes = [getattr(backbone.s4, f"pathway0_res{i}").branch2.a.kernel_size[0] for i in range(23)]
    assert sizes == [3] * 6 + [1] * 17
    assert backbone.s4.pathway1_res5.branch2.a.kernel_size[0] == 3
    assert backbone.s4.pathway1_res6.branch2.a.kernel_size[0] == 1
    assert backbone.s3.pathway0_res0.branch2.a.kernel_size[0] == 1


@torch.no_grad()
def test_non_local_blocks_let_places_see_each_other(make_model, clips):
    def reach(**changes):
        model = make_model(sound=False, **changes)
        seen = []
        model.backbone.s3.register_forward_hook(lambda _, __, output: seen.append(output.slow))
        slow = clips.slow.repeat(1, 1, 1, 3, 3)
        fast = clips.fast.repeat(1, 1, 1, 3, 3)
        model.backbone(slow, fast)
        slow[:, :, :, :8, :8] += 2.0
        model.backbone(slow, fast)
        return (seen[0] - seen[1]).abs()[..., -4:, -4:].max()

    assert reach() == 0.0
    assert reach(non_local=NonLocalBlocks(((), (1,), (), ()))) > 0.0

import copy

import torch
from torch import nn

from avsf_det.config import load_cfg
from avsf_det.models.architecture import AudioPathway
from avsf_det.models.avslowfast import AVSlowFast, initialise
from avsf_det.models.backbone import AVSlowFastBackbone
from avsf_det.models.build import build_model
from avsf_det.models.heads import ClassificationHead
from tests.processes import in_processes


@torch.no_grad()
def test_a_state_dict_carries_the_model_over(make_model, clips):
    source, target = make_model(), make_model()
    initialise(target)
    state = source.state_dict()
    assert not any(name.startswith("backbone.") for name in state)
    assert "s1.pathway0_stem.conv.weight" in state and "head.projection.bias" in state
    target.load_state_dict(state)
    expected = source(clips.slow, clips.fast, clips.audio, clips.boxes)
    assert torch.equal(target(clips.slow, clips.fast, clips.audio, clips.boxes), expected)
    assert torch.equal(copy.deepcopy(target)(clips.slow, clips.fast, clips.audio, clips.boxes), expected)


def test_a_wrapped_model_keeps_its_names(make_model):
    model = make_model()
    wrapped = nn.ModuleDict({"module": model})
    state = wrapped.state_dict()
    assert list(state) == [f"module.{name}" for name in model.state_dict()]
    wrapped.load_state_dict(state)


def test_weights_start_as_pyslowfast_s_do():
    torch.manual_seed(0)
    backbone = AVSlowFastBackbone(audio=AudioPathway())
    model = AVSlowFast(backbone, ClassificationHead(backbone.channels, 400))
    initialise(model)
    state = model.state_dict()
    scales = [state[name] for name in state if "bn" in name and name.endswith(".weight")]
    assert sum(1 for scale in scales if (scale == 0).all()) == 48
    assert all((scale == 0).all() or (scale == 1).all() for scale in scales)
    assert abs(state["head.projection.weight"].std().item() - 0.01) < 1e-3
    assert state["head.projection.bias"].abs().max() == 0.0
    conv = state["s5.pathway0_res1.branch2.b.weight"]
    assert abs(conv.std().item() / (2 / (conv.shape[0] * 9)) ** 0.5 - 1) < 0.01


SMALL = {
    "RESNET.DEPTH": 18,
    "RESNET.AUDIO_DEPTH": 18,
    "RESNET.WIDTH_PER_GROUP": 8,
    "RESNET.ZERO_INIT_FINAL_BN": False,
    "SLOWFAST.ALPHA": 2,
    "SLOWFAST.BETA_INV": 2,
    "SLOWFAST.AU_ALPHA": 16,
    "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM": 8,
    "DATA.NUM_FRAMES": 4,
    "DATA.AUDIO_FRAME_NUM": 32,
    "DATA.AUDIO_MEL_NUM": 16,
    "DATA.TRAIN_CROP_SIZE": 32,
    "MODEL.NUM_CLASSES": 5,
}
SYNC = {"BN.NORM_TYPE": "sync_batchnorm"}
AVS = {"SLOWFAST.AVS_FLAG": [False, False, True, True, True]}


def small_model(**changes):
    torch.manual_seed(0)
    return build_model(load_cfg(None, [str(word) for pair in {**SMALL, **changes}.items() for word in pair])).train()


def small_clips(clips, negatives=False):
    noise = torch.Generator().manual_seed(3)
    inputs = {"slow": (3, 2, 32, 32), "fast": (3, 4, 32, 32), "audio": (1, 1, 32, 16)}
    inputs |= {"misaligned": (1, 1, 32, 16)} if negatives else {}
    return {name: torch.randn(clips, *shape, generator=noise) for name, shape in inputs.items()}


def no_sound(inputs):
    return inputs | {"audio": None}


def no_pair(inputs):
    return inputs | {"misaligned": torch.zeros_like(inputs["misaligned"])}


def silent_pairs(inputs):
    return inputs | {"audio_present": torch.zeros(len(inputs["slow"]), dtype=torch.bool)}


def no_clip(inputs):
    return {name: value[:0] for name, value in inputs.items()}


def learn_beside(rank, cases):
    """Train where process 0 has what `cases` make of its clips; DDP refuses a step that leaves a parameter out."""
    results = []
    for changes, change in cases:
        inputs = small_clips(4, negatives=changes.items() >= AVS.items())
        inputs = {name: value[2 * rank : 2 * rank + 2] for name, value in inputs.items()}
        inputs = inputs if rank else change(inputs)
        model = small_model(**{"SLOWFAST.DROPPATHWAY_RATE": 0.5, **changes})
        stem = model.backbone.s1.pathway2_stem.bn.running_mean
        before = stem.clone()
        parallel = nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, weight_decay=0.1)
        torch.manual_seed(rank)
        for _ in range(3):
            clips = len(inputs["slow"])
            boxes = torch.tensor([[i, 2, 2, 30, 30] for i in range(clips)], dtype=torch.float32).view(clips, 5)
            got = parallel(**inputs, boxes=boxes)
            logits, losses = got if isinstance(got, tuple) else (got, {})
            optimizer.zero_grad()
            (logits.sigmoid().sum() + sum(losses.values())).backward()
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None and parameter.grad.isfinite().all(), (name, changes)
            optimizer.step()
        parameters = torch.cat([p.detach().flatten() for p in model.parameters()])
        results.append((parameters, not torch.equal(stem, before)))
    return results


CASES = [
    ({}, no_sound),
    (SYNC, no_sound),
    ({}, no_clip),
    (SYNC, no_clip),
    (AVS, no_pair),
    (AVS | SYNC, no_pair),
    (AVS | {"SLOWFAST.AVS_LOSS": "infonce"}, silent_pairs),
    (AVS | SYNC, no_clip),
    (SYNC | {"SLOWFAST.DROPPATHWAY_PER_SAMPLE": True, "MODEL.ACT_CHECKPOINT": ["s1", "s2", "s4"]}, no_sound),
    (SYNC | {"MODEL.FROZEN_BN": True}, no_sound),
    ({"SLOWFAST.AU_FUSION": "channel_attention", "SLOWFAST.DROPPATHWAY_REPLACEMENT": "running_mean"}, no_sound),
    ({"SLOWFAST.AU_FUSION": "audiovisual_non_local"}, no_clip),
]


def test_processes_learn_the_same_whatever_sound_each_has():
    first, second = in_processes(learn_beside, CASES)
    for (changes, change), (ours, moved), (theirs, theirs_moved) in zip(CASES, first, second):
        assert torch.equal(ours, theirs)
        frozen, hears = "MODEL.FROZEN_BN" in changes, change is no_pair
        assert moved == (not frozen and (hears or SYNC.items() <= changes.items()))
        assert theirs_moved == (not frozen)


PRESENT = torch.tensor([True, False, True, False, True])


def whole_batch(model, part=slice(None)):
    inputs = {name: value.double()[part] for name, value in small_clips(5, negatives=True).items()}
    logits, losses = model(**inputs, audio_present=PRESENT[part])
    (logits.square().sum() + 0.0 * sum(losses.values())).backward()  # that loss is a mean over each process's own clips
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return logits.detach(), gradients, dict(model.named_buffers())


def learn_a_part(rank):
    changes = AVS | SYNC | {"MODEL.ACT_CHECKPOINT": ["s3"]}
    return whole_batch(classifier(**changes), slice(0, 3) if rank == 0 else slice(3, 5))


def classifier(**changes):
    without_chance = {"SLOWFAST.DROPPATHWAY_RATE": 0.0, "MODEL.DROPOUT_RATE": 0.0, "DETECTION.ENABLE": False}
    return small_model(**without_chance, **changes).double()


def test_two_processes_with_synchronised_norms_are_one_with_the_whole_batch():
    logits, gradients, buffers = whole_batch(classifier(**AVS))
    first, second = in_processes(learn_a_part)
    close = {"rtol": 1e-7, "atol": 1e-8}
    torch.testing.assert_close(torch.cat((first[0], second[0])), logits, **close)
    for name, gradient in gradients.items():
        torch.testing.assert_close(first[1][name] + second[1][name], gradient, **close)
    for name, buffer in buffers.items():
        torch.testing.assert_close(first[2][name], buffer, **close)
        torch.testing.assert_close(second[2][name], buffer, **close)


TWO_HEADS = {"DETECTION.ENABLE": True, "MODEL.LABEL_SPACES": ["verb", "noun"], "MODEL.NUM_CLASSES_LIST": [3, 2]}
BOXES = torch.tensor([[0, 2, 2, 30, 30], [1, 0, 0, 31, 31], [1, 8, 8, 20, 20]], dtype=torch.float32)


@torch.no_grad()
def test_a_model_of_two_heads_scores_boxes_or_without_them_whole_clips():
    model, inputs = small_model(**TWO_HEADS, **{"MODEL.HEAD_ACT": "softmax"}).eval(), small_clips(2)
    alone = small_model(**{"DETECTION.ENABLE": True}).eval()
    alone.load_state_dict(model.state_dict(), strict=False)
    boxes = model(**inputs, boxes=BOXES)
    assert torch.equal(boxes, alone(**inputs, boxes=BOXES))
    clips = model(**inputs)
    assert {name: logits.shape for name, logits in clips.items()} == {"verb": (2, 3), "noun": (2, 2)}
    torch.testing.assert_close(model.scores(boxes), boxes.sigmoid())
    for scores in model.clip_scores(clips).values():
        torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))


def learn_two_heads(rank):
    """Boxes and then clips, as a step has them; DDP refuses one that leaves a parameter out."""
    model = small_model(**TWO_HEADS)
    parallel = nn.parallel.DistributedDataParallel(model, broadcast_buffers=False)
    inputs = {name: value[2 * rank : 2 * rank + 2] for name, value in small_clips(4).items()}
    for boxes in (BOXES, None, BOXES[:0]):
        model.zero_grad()
        logits = parallel(**inputs, boxes=boxes)
        (logits if boxes is not None else sum(one.sum() for one in logits.values())).sum().backward()
        unused, used = (model.clip_head, model.head) if boxes is not None else (model.head, model.clip_head)
        assert all(not p.grad.any() for p in unused.parameters())
        assert all(p.grad.any() for p in used.parameters()) == (boxes is None or len(boxes) > 0)
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_processes_learn_both_heads_alike():
    assert torch.equal(*in_processes(learn_two_heads))


def test_what_is_detached_is_in_training_what_it_is_in_testing():
    model, inputs = small_model(**{"MODEL.DETACH_FINAL_FC": True, "DETECTION.ENABLE": False}), small_clips(3)
    inputs["audio_present"] = torch.tensor([True, False, True])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    in_training = model.train().backbone(**inputs)
    assert not any(features.requires_grad for features in in_training)
    assert all(torch.equal(*both) for both in zip(in_training, model.eval().backbone(**inputs)))
    model.train()(**inputs).sum().backward()
    assert {name for name, p in model.named_parameters() if p.grad is not None} == {
        "head.projection.weight",
        "head.projection.bias",
    }
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@torch.no_grad()
def test_embeddings_of_pictures_hold_no_sound_and_those_of_sounds_no_picture():
    model, inputs = small_model(**AVS).eval(), small_clips(2, negatives=True)
    found = model.embed(**inputs)
    assert list(found) == ["res3", "res4", "res5"]
    swapped = model.embed(**inputs | {"audio": inputs["misaligned"], "misaligned": inputs["audio"]})
    blind = model.embed(**inputs | {"slow": -inputs["slow"], "fast": -inputs["fast"]})
    for junction, one in found.items():
        assert torch.equal(swapped[junction].visual, one.visual)
        torch.testing.assert_close(swapped[junction].aligned, one.misaligned)
        torch.testing.assert_close(blind[junction].aligned, one.aligned)
        assert not torch.equal(blind[junction].visual, one.visual)

"""The network compiles and exports whole, with any number of boxes, and computes in float32 what it does in float64."""

import copy

import pytest
import torch


def boxes(clips, number):
    return clips.boxes[torch.arange(number) % len(clips.boxes)]


@torch.no_grad()
@pytest.mark.parametrize("sound", [True, False])
def test_it_exports_with_a_varying_number_of_boxes(make_model, clips, sound):
    model, audio = make_model(), clips.audio if sound else None
    inputs = {"slow": clips.slow, "fast": clips.fast, "audio": audio}
    number = torch.export.Dim("boxes", min=2, max=64)
    dynamic = dict.fromkeys(inputs) | {"boxes": {0: number}}
    exported = torch.export.export(model, (), inputs | {"boxes": clips.boxes}, dynamic_shapes=dynamic, strict=False)
    for count in (2, 7):
        some = boxes(clips, count)
        torch.testing.assert_close(exported.module()(**inputs, boxes=some), model(**inputs, boxes=some))


@torch.no_grad()
def test_it_exports_with_a_mask_of_clips_with_sound(make_model, clips):
    model = make_model()
    inputs = {"slow": clips.slow, "fast": clips.fast, "audio": clips.audio, "boxes": clips.boxes}
    mask = torch.tensor([True, False, True])
    exported = torch.export.export(model, (), inputs | {"audio_present": mask}, strict=False).module()
    for present in (mask, ~mask):
        torch.testing.assert_close(exported(**inputs, audio_present=present), model(**inputs, audio_present=present))


@torch.no_grad()
def test_it_compiles_without_a_break(make_model, clips):
    model = make_model()
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, dynamic=True, backend="aot_eager")
    for count in (3, 5):
        inputs = (clips.slow, clips.fast, clips.audio, boxes(clips, count))
        torch.testing.assert_close(compiled(*inputs), model(*inputs))


@torch.no_grad()
def test_float32_is_as_good_as_float64(make_model, clips):
    model = make_model()
    double = copy.deepcopy(model).double()
    expected = double(clips.slow.double(), clips.fast.double(), clips.audio.double(), clips.boxes)
    got = model(clips.slow, clips.fast, clips.audio, clips.boxes)
    torch.testing.assert_close(got.double(), expected.double(), rtol=1e-4, atol=1e-4 * expected.abs().max().item())


@torch.no_grad()
def test_a_batch_of_one_is_its_row_in_a_batch_of_many(make_model, clips):
    model = make_model()
    whole = model(clips.slow, clips.fast, clips.audio, clips.boxes)
    for clip in range(3):
        rows = clips.boxes[:, 0] == clip
        own = clips.boxes[rows].clone()
        own[:, 0] = 0
        one = slice(clip, clip + 1)
        torch.testing.assert_close(
            model(clips.slow[one], clips.fast[one], clips.audio[one], own), whole[rows], rtol=1e-4, atol=1e-4
        )


def test_negatives_of_synchronization_run_through_the_compiled_backbone(make_model, clips):
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    model = make_model(sync=True).train()
    compiled = copy.deepcopy(model)
    compiled.backbone.compile(backend=count, dynamic=True)

    def run(one):
        torch.manual_seed(0)  # of dropout and DropPathway
        return one(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=clips.audio.roll(1, dims=0))

    found, expected = run(compiled), run(model)
    assert graphs
    torch.testing.assert_close(found, expected)


def test_hooks_of_the_backbone_see_the_negatives_of_synchronization(make_model, clips):
    """Sharded weights are gathered by such hooks."""
    model, calls = make_model(sync=True).train(), []
    model.backbone.register_forward_pre_hook(lambda *_: calls.append(1))
    model(clips.slow, clips.fast, clips.audio, clips.boxes, misaligned=clips.audio.roll(1, dims=0))
    assert calls == [1]

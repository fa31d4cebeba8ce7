import pytest
import torch

from avsf_det.models.non_local import NonLocal


def naive(block, x, pool):
    """The block's text, place by place."""
    pooled = torch.nn.functional.max_pool3d(x, pool)
    theta, phi, g = block.conv_theta(x)[0], block.conv_phi(pooled)[0], block.conv_g(pooled)[0]
    places = [(t, h, w) for t in range(x.shape[2]) for h in range(x.shape[3]) for w in range(x.shape[4])]
    others = [(t, h, w) for t in range(g.shape[1]) for h in range(g.shape[2]) for w in range(g.shape[3])]
    seen = torch.zeros_like(theta)[None]
    for t, h, w in places:
        affinity = torch.stack([theta[:, t, h, w] @ phi[:, a, b, c] for a, b, c in others])
        if block.instantiation == "softmax":
            affinity = (affinity / len(theta) ** 0.5).softmax(dim=0)
        else:
            affinity = affinity / len(others)
        seen[0, :, t, h, w] = sum(weight * g[:, a, b, c] for weight, (a, b, c) in zip(affinity, others))
    return x + block.bn(block.conv_out(seen))


@torch.no_grad()
@pytest.mark.parametrize("instantiation", ["dot_product", "softmax"])
@pytest.mark.parametrize("pool", [(1, 1, 1), (1, 2, 2), (2, 2, 2)])
def test_every_place_looks_at_all_others(instantiation, pool):
    torch.manual_seed(0)
    block, x = NonLocal(6, pool, instantiation).eval(), torch.randn(1, 6, 2, 4, 4)
    torch.testing.assert_close(block(x), naive(block, x, pool))


def test_an_unknown_instantiation_is_refused():
    with pytest.raises(ValueError, match="got 'gaussian', expected dot_product or softmax"):
        NonLocal(4, instantiation="gaussian")

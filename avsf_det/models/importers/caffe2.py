"""Names of the blobs in Caffe2's pickles: PySlowFast's model zoo, and ResNets of Detectron's time.

As PySlowFast's `slowfast/utils/c2_model_loading.py` reads them. `t_` marks the Fast pathway; stages and blocks are
numbered as in PySlowFast. `riv` is the running variance itself, whatever its name says: PySlowFast takes it as it is.
"""

from __future__ import annotations

import re

BLOB = re.compile(r"(?P<layer>.+?)(?P<norm>_bn)?_(?P<leaf>w|b|s|rm|riv)")
SOLVER = re.compile(r".*_momentum|lr|model_iter")
WEIGHT_LEAVES = {"w": "weight", "b": "bias"}
NORM_LEAVES = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}

# layer, with its number of the pathway (Slow 0, Fast 1) for {p}: the convolution's name and its norm's
LAYERS = (
    (r"(?:res_)?conv1", r"s1.pathway{p}_stem.conv", r"s1.pathway{p}_stem.bn"),
    (r"res(\d+)_(\d+)_branch1", r"s\1.pathway{p}_res\2.branch1", r"s\1.pathway{p}_res\2.branch1_bn"),
    (r"res(\d+)_(\d+)_branch2([a-c])", r"s\1.pathway{p}_res\2.branch2.\3", r"s\1.pathway{p}_res\2.branch2.\3_bn"),
)
OTHERS = (
    (r"t_pool1_subsample", "s1_fuse.conv_f2s", "s1_fuse.bn_f2s"),
    (r"t_res(\d+)_\d+_branch2[a-c]_bn_subsample", r"s\1_fuse.conv_f2s", r"s\1_fuse.bn_f2s"),
    (r"nonlocal_conv(\d+)_(\d+)", None, r"s\1.pathway0_nonlocal\2.bn"),
    (r"nonlocal_conv(\d+)_(\d+)_(theta|phi|g|out)", r"s\1.pathway0_nonlocal\2.conv_\3", None),
    (r"pred", "head.projection", None),
)
TABLE = tuple(
    (re.compile(("t_" if p else "") + layer), *(name and name.format(p=p) for name in names))
    for p in (0, 1)
    for layer, *names in LAYERS
) + tuple((re.compile(layer), *names) for layer, *names in OTHERS)


def rename(blob: str) -> str | None:
    """Our name of a blob, the blob's own where it is unknown, None where it is the solver's."""
    if SOLVER.fullmatch(blob):
        return None
    parts = BLOB.fullmatch(blob)
    if not parts:
        return blob
    leaf = (NORM_LEAVES if parts["norm"] else WEIGHT_LEAVES).get(parts["leaf"])
    for pattern, convolution, norm in TABLE:
        template = norm if parts["norm"] else convolution
        if template and leaf and (found := pattern.fullmatch(parts["layer"])):
            return f"{found.expand(template)}.{leaf}"
    return blob

import logging

import av
import numpy as np
import pytest

from avsf_det.media import VideoReader, VideoWriter, frame_convert
from avsf_det.media.hdr import BT2020, HLG, PQ, to_sdr

BT709, P3, SDR = 1, 12, 14
# Linear RGB of BT.709 in that of other primaries (ITU-R BT.2087; SMPTE EG 432-1).
FROM_BT709 = {
    BT709: np.eye(3),
    BT2020: [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]],
    P3: [[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]],
}
COLORS = [(0, 0, 0), (60, 60, 60), (150, 150, 150), (140, 30, 30), (30, 140, 30), (30, 30, 140), (150, 100, 20)]


def pq(nits):
    """The nonlinear value of a luminance by SMPTE ST 2084."""
    power = (np.asarray(nits) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(nits):
    """The nonlinear value of gray of a luminance on a display of 1000 cd/m2 by ITU-R BT.2100."""
    scene = (np.asarray(nits) / 1000) ** (1 / 1.2)
    log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)


def mapped(value, transfer, primaries):
    """(3,) int: SDR of one nonlinear color, in 0..1."""
    pixel = np.rint(65535 * np.broadcast_to(value, (1, 1, 3))).astype(np.uint16)
    return to_sdr(pixel, transfer, primaries)[0, 0].astype(int)


@pytest.mark.parametrize("primaries", FROM_BT709)
@pytest.mark.parametrize("transfer", [PQ, SDR])
def test_to_sdr_colors_below_the_knee_are_exact(transfer, primaries):
    for color in COLORS:
        linear = FROM_BT709[primaries] @ (np.array(color) / 255) ** 2.4
        value = pq(203 * linear) if transfer == PQ else linear ** (1 / 2.4)
        assert np.abs(mapped(value, transfer, primaries) - color).max() <= 2, color


@pytest.mark.parametrize("encode, transfer", [(pq, PQ), (hlg, HLG)])
def test_to_sdr_gray_stays_gray_and_in_order(encode, transfer):
    nits = np.array([0, 0.1, 1, 5, 20, 60, 100, 203, 400, 700, 1000])
    grays = np.array([mapped(encode(value), transfer, BT2020) for value in nits])
    assert np.ptp(grays, axis=1).max() <= 1
    assert (np.diff(grays[:, 0]) > 0).all()
    dark = nits <= 60
    assert grays[dark, 0] == pytest.approx(255 * (nits[dark] / 203) ** (1 / 2.4), abs=1.5)
    assert 205 <= grays[nits == 203][0, 0] <= 225  # diffuse white leaves room for highlights
    assert grays[-1].tolist() == [255] * 3


def test_to_sdr_pq_and_hlg_of_the_same_light_agree():
    for nits in (1, 10, 50, 203, 500, 1000):
        assert np.abs(mapped(pq(nits), PQ, BT2020) - mapped(hlg(nits), HLG, BT2020)).max() <= 1


@pytest.mark.parametrize("transfer", [PQ, HLG, SDR])
def test_to_sdr_is_a_function_of_the_pixel(transfer):
    image = np.random.default_rng(0).integers(0, 65536, (211, 307, 3)).astype(np.uint16)
    whole = to_sdr(image, transfer, BT2020)
    assert whole.shape == image.shape and whole.dtype == np.uint8
    np.testing.assert_array_equal(to_sdr(image[100:101, 7:90], transfer, BT2020), whole[100:101, 7:90])


def write_file(path, value, transfer, primaries, matrix):
    """An H.265 file of 10 bits whose every pixel has a nonlinear RGB `value` in 0..1."""
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}[matrix]
    r, g, b = value
    luma = red * r + (1 - red - blue) * g + blue * b
    planes = 64 + 876 * luma, 512 + 896 * (b - luma) / (2 - 2 * blue), 512 + 896 * (r - luma) / (2 - 2 * red)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx265", rate=25, options={"x265-params": "log-level=error:qp=4"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv444p10le"
        codec = stream.codec_context
        codec.color_trc, codec.color_primaries, codec.colorspace, codec.color_range = transfer, primaries, matrix, 1
        for number in range(3):
            frame = av.VideoFrame(64, 64, "yuv444p10le")
            for plane, level in zip(frame.planes, planes):
                plane.update(np.full(plane.buffer_size // 2, round(level), np.uint16).tobytes())
            frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range = transfer, primaries, matrix, 1
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(
    "transfer, primaries, matrix, said",
    [
        (PQ, BT2020, 9, "HDR (PQ) is tone-mapped to SDR BT.709"),
        (HLG, BT2020, 9, "HDR (HLG) is tone-mapped to SDR BT.709"),
        (SDR, BT2020, 9, "BT.2020 is converted to SDR BT.709"),
        (1, 1, 1, ""),
    ],
)
def test_video_reader_hdr_is_tone_mapped_once_said(tmp_path, caplog, suffix, transfer, primaries, matrix, said):
    frame_convert._log.cache_clear()
    caplog.set_level(logging.INFO)
    color = np.array((140, 60, 30) if transfer != HLG else (110, 110, 110))
    linear = (color / 255) ** 2.4 if transfer != 1 else None
    if linear is not None:
        linear = np.clip(FROM_BT709[primaries] @ linear, 0, 1)
    value = {PQ: lambda: pq(203 * linear), HLG: lambda: hlg(203 * linear), SDR: lambda: linear ** (1 / 2.4)}.get(
        transfer, lambda: color / 255
    )()
    path = write_file(tmp_path / f"v.{suffix}", value, transfer, primaries, matrix)
    with VideoReader(path) as reader, VideoWriter(tmp_path / "out.mp4", 64, 64, 25) as writer:
        for time, image in reader.frames():
            assert np.abs(image.astype(int) - color).max() <= 3
            writer.write(image, time)
    assert [record.message for record in caplog.records] == ([f"{path}: {said}"] if said else [])
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert np.abs(reader.frames_at([0])[0].astype(int) - color).max() <= 4
    with av.open(str(tmp_path / "out.mp4")) as file:
        frame = next(file.decode(video=0))
        assert (frame.colorspace, frame.color_trc, frame.color_primaries, frame.color_range) == (1, 1, 1, 1)

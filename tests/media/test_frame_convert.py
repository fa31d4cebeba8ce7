import io
import logging
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from avsf_det.errors import UserError
from avsf_det.media import VideoReader, VideoWriter, frame_convert, probe
from avsf_det.media.frame_convert import FrameConverter, Orientation
from avsf_det.media.stream import Picture, Stream

COLORS = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 30), (30, 200, 30), (30, 30, 200), (250, 130, 20)]
# Weights of red and blue in luma by ITU-T H.273's number of the matrix.
LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
SAME = {6: 5, 10: 9}


@pytest.fixture
def logged(caplog):
    """The log lines of converters, none of them suppressed as a repetition."""
    frame_convert._log.cache_clear()
    caplog.set_level(logging.INFO, "avsf_det.media.frame_convert")
    return caplog


def yuv(color, matrix, full=False, bits=8):
    """Y, Cb and Cr of nonlinear RGB in 0..1."""
    red, blue = LUMA[SAME.get(matrix, matrix)]
    r, g, b = color
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    scale = 2 ** (bits - 8)
    if full:
        peak = 2**bits - 1
        return round(y * peak), round(128 * scale + cb * peak), round(128 * scale + cr * peak)
    return round((16 + 219 * y) * scale), round((128 + 224 * cb) * scale), round((128 + 224 * cr) * scale)


def frame_of(planes, size=(64, 48), kind="yuv420p", matrix=2, full=None, transfer=2, primaries=2):
    """A frame whose planes have one value each, with color tags."""
    frame = av.VideoFrame(*size, kind)
    for plane, value in zip(frame.planes, planes):
        dtype = np.uint8 if "10" not in kind else np.uint16
        plane.update(np.full(plane.buffer_size // dtype().itemsize, value, dtype).tobytes())
    frame.colorspace, frame.color_trc, frame.color_primaries = matrix, transfer, primaries
    frame.color_range = {None: 0, False: 1, True: 2}[full]
    return frame


def converted(frame):
    image = FrameConverter("v.mp4")(frame, frame.height, frame.width)
    assert image.shape == (frame.height, frame.width, 3) and image.dtype == np.uint8
    return image[frame.height // 2, frame.width // 2].astype(int)


@pytest.mark.parametrize("kind, bits", [("yuv420p", 8), ("yuv444p", 8), ("yuv422p10le", 10), ("yuv444p10le", 10)])
@pytest.mark.parametrize("full", [None, False, True])
@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9, 10])
def test_frame_color_tagged_is_exact(matrix, full, kind, bits):
    for color in COLORS:
        planes = yuv(np.array(color) / 255, matrix, bool(full), bits)
        got = converted(frame_of(planes, kind=kind, matrix=matrix, full=full))
        assert np.abs(got - color).max() <= 3, color


@pytest.mark.parametrize(
    "size, matrix",
    [
        ((720, 576), 5),
        ((1024, 576), 5),
        ((480, 854), 5),  # portrait
        ((64, 48), 5),
        ((1280, 720), 1),
        ((720, 1280), 1),
        ((1280, 532), 1),  # a wide film without its bars
        ((960, 720), 1),
    ],
)
@pytest.mark.parametrize("tag", [0, 2, 3])
def test_frame_color_untagged_goes_by_its_size(size, matrix, tag):
    for color in COLORS:
        got = converted(frame_of(yuv(np.array(color) / 255, matrix), size, matrix=tag))
        assert np.abs(got - color).max() <= 3, color


def test_frame_color_untagged_hd_file_is_bt709(tmp_path, logged):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        file.mux(stream.encode(frame_of(yuv(np.array((200, 30, 30)) / 255, 1), (1280, 720))))
        file.mux(stream.encode(None))
    with VideoReader(path, short_side=48) as reader:
        assert np.abs(reader.frames_at([0])[0].astype(int) - (200, 30, 30)).max() <= 3
    assert not logged.records


def test_frame_color_matrix_unsupported_is_logged(logged):
    converter = FrameConverter("v.mp4")
    for _ in range(2):
        converter(frame_of((100, 120, 140), matrix=8), 48, 64)
    assert [record.message for record in logged.records] == [
        "v.mp4: color matrix 8 (ITU-T H.273) is not supported; colors are approximate, as if it were BT.709"
    ]


@pytest.mark.parametrize("full, black, white", [(None, 0, 255), (True, 0, 255), (False, 16, 235)])
def test_frame_gray_range_is_kept(full, black, white):
    assert converted(frame_of([black], kind="gray", full=full)).tolist() == [0, 0, 0]
    assert converted(frame_of([white], kind="gray", full=full)).tolist() == [255, 255, 255]


RED = (200, 30, 30)
FORMATS = ["rgb24", "bgr24", "rgba", "bgra", "argb", "gbrp", "gbrap", "gbrp10le", "gbrp16le", "rgb48le", "rgb565le"]
FORMATS += [
    "yuv410p",
    "yuv411p",
    "yuv440p",
    "yuv422p",
    "yuv444p",
    "yuvj444p",
    "yuva420p",
    "yuv444p12le",
    "nv12",
    "nv21",
]
FORMATS += ["p010le", "uyvy422", "yuyv422", "yuv420p16be"]


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (2, 2), (1, 1), (8192, 16)])
@pytest.mark.parametrize("kind", FORMATS)
def test_frame_pixel_format_is_converted(kind, size):
    image = np.broadcast_to(np.array(RED, np.uint8), (size[1], size[0], 3))
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
        format=kind, dst_colorspace="itu709" if size[0] >= 1280 else "itu601"
    )
    frame.colorspace = 2
    assert np.abs(converted(frame) - RED).max() <= (8 if kind == "rgb565le" else 5)


def test_frame_palette_is_converted():
    indices, palette = np.full((48, 64), 7, np.uint8), np.zeros((256, 4), np.uint8)
    palette[7] = 255, *RED  # alpha, red, green, blue
    assert converted(av.VideoFrame.from_ndarray((indices, palette), format="pal8")).tolist() == list(RED)


def test_frame_pixel_format_without_conversion_is_an_error():
    frame = av.VideoFrame(64, 1, "bayer_bggr8")
    with pytest.raises(UserError, match=r"v\.mp4: a frame of 64x1 in pixel format bayer_bggr8 cannot.*re-encode"):
        FrameConverter("v.mp4")(frame, 1, 64)


def quadrants(image):
    """The colors of the four quarters in reading order: R, G, B or black."""
    height, width = image.shape[:2]
    pixels = [image[y, x] for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return "".join("RGB"[pixel.argmax()] if pixel.max() > 120 else "-" for pixel in pixels)


STORED = np.zeros((48, 64, 3), np.uint8)
STORED[:24, :32], STORED[:24, 32:], STORED[24:, 32:] = (240, 0, 0), (0, 240, 0), (0, 0, 240)
# Degrees counterclockwise, then flips; what FFmpeg shows by its transpose, hflip and vflip filters.
ORIENTATIONS = {
    (0, False, False): "RG-B",
    (0, True, False): "GRB-",
    (0, False, True): "-BRG",
    (180, False, False): "B-GR",
    (90, False, False): "GBR-",
    (270, False, False): "-RBG",
    (90, True, False): "BG-R",
    (90, False, True): "R-GB",
}


def write_quadrants(path, matrix=None, orientation=None, size=(64, 48)):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        if matrix is not None:
            stream.set_display_matrix(matrix)
        else:
            degrees, hflip, vflip = orientation
            stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(STORED, format="rgb24").reformat(format="yuv444p")
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_frame_display_matrix_is_applied(tmp_path, orientation, suffix):
    path = write_quadrants(tmp_path / f"v.{suffix}", orientation=orientation)
    turned = orientation[0] in (90, 270)
    with VideoReader(path) as reader:
        info, image = reader.info, reader.frames_at([0.04])[0]
        frames = [image for _, image in reader.frames()]
    assert image.shape == ((64, 48, 3) if turned else (48, 64, 3)) == (info.height, info.width, 3)
    assert quadrants(image) == ORIENTATIONS[orientation]
    assert all(quadrants(frame) == ORIENTATIONS[orientation] for frame in frames)
    assert info.mirrored == (orientation[1] != orientation[2])


def test_frame_mirrored_is_upright_in_a_written_video(tmp_path):
    source, target = write_quadrants(tmp_path / "v.mp4", orientation=(90, True, False)), tmp_path / "out.mp4"
    with VideoReader(source) as reader, VideoWriter(target, reader.width, reader.height, 25) as writer:
        for time, image in reader.frames():
            writer.write(image, time)
    with VideoReader(target) as reader:
        assert (reader.info.rotation, reader.info.mirrored) == (0, False)
        assert quadrants(reader.frames_at([0])[0]) == ORIENTATIONS[90, True, False]


def test_stream_image_mirrored_is_upright(tmp_path):
    path = write_quadrants(tmp_path / "v.mkv", orientation=(90, True, False))
    with Stream(str(path), silence=0.2) as stream:
        images = [stream.image(piece.frame) for piece in stream.pieces() if isinstance(piece, Picture)]
    assert [(image.shape, quadrants(image)) for image in images] == [((64, 48, 3), "BG-R")] * 3


@pytest.mark.parametrize(
    "degrees, expected, warned", [(0.5, 0, False), (31, 0, True), (100, 90, True), (-44, 0, True), (226, 270, True)]
)
def test_frame_oblique_display_matrix_is_rounded_and_logged(tmp_path, logged, degrees, expected, warned):
    path = write_quadrants(tmp_path / "v.mp4", orientation=(degrees, False, False))
    with VideoReader(path) as reader:
        assert quadrants(reader.frames_at([0])[0]) == ORIENTATIONS[expected, False, False]
    assert ["not a multiple of 90 degrees" in record.message for record in logged.records] == [True] * warned


def test_frame_display_matrix_of_zeros_is_ignored(tmp_path):
    path = write_quadrants(tmp_path / "v.mkv", matrix=[0] * 9)
    with VideoReader(path) as reader:
        assert quadrants(reader.frames_at([0])[0]) == "RG-B"


@given(
    rotation=st.sampled_from([0, 90, 180, 270]),
    mirrored=st.booleans(),
    scales=st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
    shift=st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1)),
)
def test_orientation_scale_and_shift_of_the_matrix_change_nothing(rotation, mirrored, scales, shift):
    angle = np.radians(rotation)
    turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])  # y points down
    (a, c), (b, d) = turned @ np.diag([-1 if mirrored else 1, 1]) * scales * 65536
    matrix = np.array([a, b, 0, c, d, 0, *shift, 1 << 30], dtype=np.int64).astype(np.int32)
    best, deviation = frame_convert._nearest_orientation(matrix.tobytes())
    assert best == Orientation(rotation, mirrored)
    assert deviation < 1e-4
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert best.apply(image).shape[:2] == best.size(2, 3)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_frame_exif_orientation_of_motion_jpeg_is_applied(tmp_path, orientation, suffix):
    exif, jpeg = Image.Exif(), io.BytesIO()
    exif[0x112] = orientation
    Image.fromarray(STORED).save(jpeg, "jpeg", exif=exif, quality=95)
    path = tmp_path / f"v.{suffix}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for number in range(3):
            packet = av.Packet(jpeg.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            file.mux(packet)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(jpeg)))
    with VideoReader(path) as reader:
        image = reader.frames_at([0.04])[0]
    assert image.shape == shown.shape
    assert quadrants(image) == quadrants(shown)


TEXTURE = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, (160, 600)), (0, 0), 3)
TEXTURE = np.clip(128 + 600 * TEXTURE, 0, 255).astype(np.uint8)


def scene(field, size):
    """(H, W, 3): texture that moves by 6 pixels a field."""
    return np.repeat(TEXTURE[: size[1], 6 * field : 6 * field + size[0], None], 3, axis=2)


def combing(image):
    """The fraction of pixels that stand out from those above and below by more than 20."""
    above, here, below = (image[first : image.shape[0] - 2 + first, :, 1].astype(int) for first in range(3))
    return float(((here - above) * (here - below) > 400).mean())


def write_fields(path, codec, options, first, moving=True, size=(160, 128)):
    """Write a video flagged interlaced and return what it shows at the time of each frame's first field."""
    shown = []
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 8_000_000
        for number in range(8):
            image = scene(2 * number, size).copy()
            shown.append(image.copy())
            if moving:
                second = slice(1 if first == "tff" else 0, None, 2)
                image[second] = scene(2 * number + 1, size)[second]
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame = frame_convert._filtered([frame], [("setfield", first)])
            frame.pts, frame.time_base = number, Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return shown


INTERLACED = {
    "h264": ("v.mp4", "libx264", {"x264-params": "{}=1", "crf": "8"}),
    "mpeg2": ("v.mpg", "mpeg2video", {"flags": "+ildct+ilme"}),
    "ffv1": ("v.mkv", "ffv1", {"flags": "+ildct"}),
}


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize("kind", INTERLACED)
def test_frame_interlaced_is_deinterlaced(tmp_path, logged, kind, first):
    name, codec, options = INTERLACED[kind]
    options = {key: value.format(first) for key, value in options.items()}
    shown = write_fields(tmp_path / name, codec, options, first)
    with VideoReader(tmp_path / name) as reader:
        frames = list(reader.frames())
        stored = [frame.to_ndarray(format="rgb24") for _, frame in reader._picture.decode()]
        for time, image in frames[::-1]:
            np.testing.assert_array_equal(reader.frames_at([time])[0], image)
    images = [image for _, image in frames]
    assert np.mean([combing(image) for image in images]) < 0.2 * np.mean([combing(image) for image in stored])
    errors = [np.abs(np.stack(some).astype(int) - np.stack(shown)).mean() for some in (images, stored)]
    assert errors[0] < 0.5 * errors[1]
    assert [record.message for record in logged.records] == [
        f"{tmp_path / name}: interlaced video; frames are deinterlaced"
    ]


def test_frame_progressive_flagged_interlaced_keeps_its_detail(tmp_path):
    options = {"x264-params": "tff=1", "crf": "8"}
    shown = write_fields(tmp_path / "v.mp4", "libx264", options, "tff", moving=False)
    with VideoReader(tmp_path / "v.mp4") as reader:
        images = [image for _, image in reader.frames()]
        stored = [frame.to_ndarray(format="rgb24") for _, frame in reader._picture.decode()]
    errors = [np.abs(np.stack(some).astype(int) - np.stack(shown)).mean() for some in (images, stored)]
    assert errors[0] < 1.1 * errors[1]


@pytest.mark.parametrize("size", [(2, 2), (4, 3), (64, 2)])
def test_frame_interlaced_tiny_is_converted(size):
    frame = frame_convert._filtered([frame_of((81, 90, 240), size, matrix=5)], [("setfield", "tff")])
    assert frame.interlaced_frame
    assert np.abs(converted(frame) - (255, 0, 0)).max() <= 3


def test_probe_progressive_sd_logs_nothing(clip, logged):
    with VideoReader(clip) as reader:
        reader.frames_at([0.5])
    assert not probe(clip).mirrored
    assert not logged.records

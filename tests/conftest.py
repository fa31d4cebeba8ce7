"""A dataset of tiny scenes and a model trained on it for a few steps, made once for all tests."""

import http.server
import os
import threading
import time

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # with another number, oneDNN adds numbers up in another order

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

TINY = {
    "RESNET.DEPTH": 18,
    "RESNET.AUDIO_DEPTH": 18,
    "RESNET.WIDTH_PER_GROUP": 8,
    "SLOWFAST.ALPHA": 2,
    "SLOWFAST.BETA_INV": 4,
    "SLOWFAST.AU_ALPHA": 16,
    "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM": 8,
    "DATA.NUM_FRAMES": 4,
    "DATA.SAMPLING_RATE": 8,
    "DATA.TRAIN_JITTER_SCALES": [48, 56],
    "DATA.TRAIN_CROP_SIZE": 48,
    "DATA.TEST_CROP_SIZE": 48,
    "DATA.AUDIO_FRAME_NUM": 32,
    "DATA.AUDIO_MEL_NUM": 16,
    "SOLVER.OPTIMIZING_METHOD": "adamw",
    "SOLVER.BASE_LR": 0.01,
    "SOLVER.BASE_BATCH_SIZE": 4,
    "SOLVER.MAX_EPOCH": 2,
    "SOLVER.WARMUP_EPOCHS": 1.0,
    "TRAIN.BATCH_SIZE": 4,
    "TRAIN.NUM_WORKERS": 0,
    "DEVICE": "cpu",
}


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory):
    """A cache folder of the tests' own, but for the weights, which are fetched once."""
    from avsf_det.files import cache_folder

    weights = cache_folder() / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("cache")
    (folder / "weights").symlink_to(weights)
    os.environ["AVSF_CACHE"] = str(folder)


@pytest.fixture(scope="session")
def scenes_spec():
    """Five videos of 128x96 pixels and 4 seconds."""
    from avsf_det.data.scenes.generator import ScenesSpec

    return ScenesSpec({"train": 3, "val": 1, "test": 1}, width=128, height=96, duration=4, seed=1)


@pytest.fixture(scope="session")
def scenes(scenes_spec, tmp_path_factory):
    """The folder of a dataset of tiny scenes; read it, never write to it."""
    from avsf_det.data.scenes.generator import generate

    root = tmp_path_factory.mktemp("scenes")
    generate(root, scenes_spec, workers=1)
    return root


@pytest.fixture(scope="session")
def tiny(scenes):
    """KEY VALUE ... of a small audiovisual model on those scenes; an OUTPUT_DIR has to be added."""
    return [str(word) for pair in {**TINY, "DATA.ROOT": scenes}.items() for word in pair]


@pytest.fixture(scope="session")
def weights(tiny, tmp_path_factory):
    """A checkpoint of that model after two epochs."""
    from avsf_det.config import load_cfg
    from avsf_det.engine.train import Trainer

    return Trainer(load_cfg(overrides=[*tiny, "OUTPUT_DIR", str(tmp_path_factory.mktemp("run"))])).run()


@pytest.fixture(scope="session")
def clip_weights(tiny, tmp_path_factory):
    """A function that makes a checkpoint of a small audiovisual model of whole clips, which never learned anything."""
    from tests.stand_ins import tiny_network, write_clip_weights

    folder, made = tmp_path_factory.mktemp("clip_weights"), {}

    def make(*heads):
        if heads not in made:
            made[heads] = folder / f"{len(made)}.pyth"
            write_clip_weights(made[heads], tiny_network(tiny), *heads)
        return made[heads]

    return make


@pytest.fixture(scope="session")
def live_file(scenes, tmp_path_factory):
    """A scene as Matroska, which can be read from the front while it is still being written."""
    import av

    path = tmp_path_factory.mktemp("live") / "test_0000.mkv"
    with av.open(str(scenes / "videos" / "test_0000.mp4")) as source, av.open(str(path), "w") as copy:
        tracks = {track.index: copy.add_stream_from_template(track) for track in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                copy.mux(packet)
    return path


@pytest.fixture
def serve():
    """A function that serves a file on this machine, spread over some seconds, and returns its address.

    Without `length` nobody is told how long it is, as with what may go on for ever.
    """
    servers = []

    def start(path, seconds, length=False):
        data, steps = path.read_bytes(), max(1, round(seconds / 0.02))
        size = -(-len(data) // steps)

        class Slowly(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Connection", "close")
                if length:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    for begin in range(0, len(data), size):
                        self.wfile.write(data[begin : begin + size])
                        time.sleep(seconds / steps)
                except ConnectionError:
                    pass

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slowly)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/{path.name}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def detect(weights, scenes, tmp_path):
    """A function that makes the arguments to detect on some videos, with boxes of the test split."""

    def arguments(*videos, **options):
        options = {
            "weights": weights,
            "detector": scenes / "annotations" / "test_person_boxes.csv",
            "output": tmp_path / "out",
            "device": "cpu",
            "rate": 1,
        } | options
        return [*map(str, ["detect", *videos]), *(str(w) for key, v in options.items() for w in (f"--{key}", v))]

    return arguments


@pytest.fixture(scope="session")
def video(scenes):
    """A video of the tiny scenes."""
    return scenes / "videos" / "test_0000.mp4"


@pytest.fixture(scope="session")
def flashing():
    """A function that writes a clip of 25 fps whose frames turn white, with a click, at the same times.

    Frames are shown and audio sounds at the given times only, so that both may pause.
    """
    from fractions import Fraction

    import av
    import numpy as np

    def write(path, frames=range(75), flashes=(0.4, 1.4), audio=((0.0, 3.0),), codec="libx264", sound="aac", **options):
        with av.open(str(path), "w") as file:
            video = file.add_stream(codec, rate=25, options={"g": "12", **options})
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            packets = []
            for number in frames:
                white = any(abs(number - flash * 25) < 0.5 for flash in flashes)
                image = np.full((48, 64, 3), 255 * white, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                packets += video.encode(frame)
            packets += video.encode(None)
            if audio:
                track = file.add_stream(sound, rate=48000, layout="mono")
                for begin, end in audio:
                    place = np.arange(round(begin * 48000), round(end * 48000))
                    samples = np.zeros(len(place), np.float32)
                    for flash in flashes:
                        after = place / 48000 - flash
                        click = (after >= 0) & (after < 0.03)
                        samples[click] = 0.8 * np.sin(2 * np.pi * 1000 * after[click])
                    for start in range(0, len(samples), 4800):
                        piece = samples[None, start : start + 4800]
                        frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
                        frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), int(place[start])
                        packets += track.encode(frame)
                packets += track.encode(None)
            for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
                file.mux(packet)
        return path

    return write

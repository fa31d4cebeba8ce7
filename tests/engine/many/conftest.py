import shutil

import pytest

from avsf_det.engine.detect import DetectOptions, detect_videos
from avsf_det.engine.many.job import DetectJobs
from avsf_det.engine.many.local import LocalEngine
from avsf_det.engine.many.run import run_jobs
from avsf_det.engine.many.storage import Storage
from avsf_det.engine.many.worker import Work
from avsf_det.engine.persons import open_detector
from avsf_det.engine.predictor import Predictor
from detectors.files import file_sha256
from tests.engine.many.works import RATE, Prepared


@pytest.fixture(scope="session")
def many_videos(video, tmp_path_factory):
    """Six videos: copies of a scene under names of their own."""
    folder = tmp_path_factory.mktemp("many")
    return [shutil.copy(video, folder / f"film_{number}.mp4") for number in range(6)]


@pytest.fixture(scope="session")
def many_boxes(scenes, many_videos, tmp_path_factory):
    """A csv of the boxes of all six."""
    rows = (scenes / "annotations" / "test_person_boxes.csv").read_text()
    path = tmp_path_factory.mktemp("boxes") / "boxes.csv"
    path.write_text("".join(rows.replace("test_0000", video.stem) for video in many_videos))
    return path


@pytest.fixture(scope="session")
def single(many_videos, many_boxes, weights, tmp_path_factory):
    """{file: SHA-256} of what one process, doing one after the other, makes of them."""
    output = tmp_path_factory.mktemp("single") / "out"
    predictor, detector = Predictor.load(weights), open_detector(str(many_boxes))
    _, failed = detect_videos(many_videos, output, predictor, detector, DetectOptions(rate=RATE))
    assert not failed
    return hashes(output)


@pytest.fixture
def run_many(weights, many_boxes, many_videos, tmp_path):
    """A function that runs the six, or others, on two workers, one of which may do something untoward."""

    def run(name="", deed="", *, videos=many_videos, workers=2, time_limit=None, make_engine=LocalEngine):
        prepared = Prepared(str(weights), str(many_boxes), name, deed, str(tmp_path / "marker"))
        storage = Storage(tmp_path / "out")
        work = Work(DetectJobs(prepared, storage), storage, time_limit)
        return run_jobs(videos, storage, make_engine(work, workers))

    return run


def hashes(folder):
    """{file: SHA-256} of what a user sees in a folder, but for the manifest."""
    shown = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "manifest.jsonl")
    return {path.name: file_sha256(path) for path in shown}

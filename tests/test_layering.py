"""The direction in which the packages know each other, read from their imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# package -> what its modules must not import, anywhere in a module
FORBIDDEN = {
    "avsf_det/media": ["models", "data", "engine", "visual", "detectors", "ava_eval"],
    "avsf_det/models": ["media", "data", "engine", "visual", "detectors", "ava_eval"],
    "avsf_det/data": ["models", "engine", "visual", "detectors"],
    "avsf_det/visual": ["media", "data", "models", "engine", "detectors", "ava_eval", "torch"],
    "avsf_det/engine": ["web", "avsf_det.cli"],
    "detectors": ["data", "engine", "visual", "web", "avsf_det.config", "avsf_det.cli", "ava_eval"],
    "ava_eval": ["avsf_det", "detectors", "torch", "cv2"],
}
LAYERS = ("media", "models", "data", "engine", "visual", "web")  # of avsf_det
YACS = (
    "avsf_det/config.py",
    "avsf_det/cli.py",
    "avsf_det/engine/",
    "avsf_det/models/build.py",
    "avsf_det/models/defaults",
)
PACKAGES = ("avsf_det", "detectors", "ava_eval")


def modules(folder):
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path):
    """The modules that a file imports, whether at its top or within a function."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def within(module, package):
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_package_knows_nothing_of_what_comes_after_it(folder):
    paths = modules(folder)
    assert len(paths) > 3
    forbidden = [f"avsf_det.{package}" if package in LAYERS else package for package in FORBIDDEN[folder]]
    for path in paths:
        wrong = {m for m in imports(path) if any(within(m, package) for package in forbidden)}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_evaluator_decodes_videos_in_one_module_when_asked_to():
    importing = {path.name for path in modules("ava_eval") if any(within(m, "av") for m in imports(path))}
    assert importing == {"thumbnails.py"}
    code = "import sys, ava_eval.page; assert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_configurations_stop_at_the_border():
    for package in PACKAGES:
        for path in modules(package):
            name = str(path.relative_to(ROOT))
            if any(within(m, "yacs") for m in imports(path)):
                assert name.startswith(YACS), f"{name} imports yacs"


def test_no_file_is_longer_than_four_hundred_lines():
    for package in (*PACKAGES, "tools"):
        for path in modules(package):
            lines = len(path.read_text(encoding="utf-8").splitlines())
            assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["detect", "--help"], ["train", "--help"], ["data", "scenes", "--help"]]
)
def test_help_needs_nothing_heavy(arguments):
    code = (
        "import sys, atexit; from avsf_det.cli import main;"
        "atexit.register(lambda: print('heavy:', {'torch', 'cv2', 'av', 'detectron2', 'numpy'} & set(sys.modules)));"
        f"main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "heavy: set()"


def test_detectors_are_imported_without_what_they_may_need():
    code = "import sys, detectors; print({'torch', 'detectron2', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr

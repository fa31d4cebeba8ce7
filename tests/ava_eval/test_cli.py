import json
import os
import re
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ava_eval import evaluation
from ava_eval.cli import main

ROW = "v,902,0.1,0.2,0.3,0.4,12"
MAP = 'label {\n  name: "stand"\n  label_id: 12\n  label_type: PERSON_MOVEMENT\n}\n'


@pytest.fixture
def files(tmp_path):
    """Paths of a label map, ground truth and detections that fit each other, as options."""
    paths = {"-l": tmp_path / "map.pbtxt", "-g": tmp_path / "gt.csv", "-d": tmp_path / "det.csv"}
    for path, text in zip(paths.values(), (MAP, f"{ROW}\n", f"{ROW},0.9\n")):
        path.write_text(text)
    return paths


def options(files):
    return [str(part) for pair in files.items() for part in pair]


def test_prints_the_table_and_writes_json(files, tmp_path, capsys):
    files["-d"].write_text(f"{ROW},0.9\n{ROW},0.9\nv,1,0,0,1,1,12,1\n")
    assert main([*options(files), "--json", str(tmp_path / "result.json")]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^stand +0\.5000 +1 +2 +0\.6667 +0\.9$", out, re.MULTILINE)
    assert re.search(r"^pose +0\.5000$", out, re.MULTILINE)
    assert err.startswith("ava-eval: warning: ") and err.count("\n") == 1
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["mAP"], result["AP"], result["groups"]) == (0.5, {"stand": 0.5}, {"pose": 0.5})
    assert result["ignored"] == {"detection on a frame without ground-truth row": 1}


def test_exclusions_and_threshold(files, tmp_path, capsys):
    (tmp_path / "excluded.csv").write_text("v,0902\n")
    assert main([*options(files), "-e", str(tmp_path / "excluded.csv"), "--iou", "0.75"]) == 0
    assert "mAP@0.75IOU nan" in capsys.readouterr().out


def test_a_malformed_row_is_one_line_and_status_two(files, capsys):
    files["-d"].write_text(f"{ROW},0.9\n{ROW},high\n")
    assert main(options(files)) == 2
    place = f"{files['-d']}:2"
    assert capsys.readouterr().err == f"ava-eval: {place}: the score is 'high', expected a number\n"


def test_a_result_that_cannot_be_written_leaves_nothing_behind(files, tmp_path, capsys):
    before = sorted(os.listdir(tmp_path))
    assert main([*options(files), "--json", str(tmp_path / "none" / "result.json")]) == 2
    (tmp_path / "folder").mkdir()
    assert main([*options(files), "--json", str(tmp_path / "folder")]) == 2
    assert "cannot write the result" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "folder"])


def test_ctrl_c_is_no_traceback(files, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "evaluate", interrupted)
    assert main(options(files)) == 130
    assert capsys.readouterr().err == "ava-eval: stopped\n"


def test_help_needs_neither_numpy_nor_pandas():
    code = "import sys, ava_eval.cli\ntry: ava_eval.cli.main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules), 'slow imports'"
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "--groundtruth" in run.stdout
    assert time.perf_counter() - start < 5


def test_a_small_evaluation_by_module_imports_neither_pandas_nor_torch(files):
    code = f"import sys, ava_eval.cli; ava_eval.cli.main({options(files)!r})\n"
    code += "assert not {'pandas', 'torch', 'avsf_det'} & set(sys.modules), 'slow imports'"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    run = subprocess.run([sys.executable, "-m", "ava_eval", *options(files)], capture_output=True, text=True)
    assert run.stdout.endswith("mAP@0.5IOU 1.000000\n")


pieces = st.sampled_from(
    [ROW, f"{ROW},0.5", "v,902", "", ",", ",,,,,,", '"', "\r", "\0", "\ufeff", "nan", "1e999", "9" * 5000]
)
texts = st.lists(st.one_of(pieces, st.text(max_size=8)), max_size=8).map("\n".join).map(lambda text: text.encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(texts, st.binary(max_size=60)), option=st.sampled_from(["-g", "-d", "-e", "-l"]))
def test_whatever_a_file_holds_there_is_a_result_or_one_line_with_its_place(files, tmp_path, capsys, content, option):
    victim = tmp_path / "fuzz"
    victim.write_bytes(content)
    status = main(options(files | {option: victim}))
    out, err = capsys.readouterr()
    if status == 2:
        assert re.fullmatch(rf"ava-eval: {re.escape(str(victim))}:(\d+:)? [^\n]+\n", err)
        assert out == ""
    else:
        assert status == 0 and out.splitlines()[-1].startswith("mAP@0.5IOU ")

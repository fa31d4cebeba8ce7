import gzip
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
from ava_eval.cli import EXAMPLES, _parser, main

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


def test_a_report_is_printed_and_goes_into_the_json_and_the_page(files, tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("result.json", "report.html")]
    assert main([*options(files), "--report", "--json", paths[0], "--html", paths[1]]) == 0
    out = capsys.readouterr().out
    assert "fixed mAP" in out and out.endswith("mAP@0.5IOU 1.000000\n")
    assert json.loads((tmp_path / "result.json").read_text())["mAP_by_iou"]["0.95"] == 1.0
    assert "<h1>Action detection: evaluation</h1>" in (tmp_path / "report.html").read_text()


def test_protocols_and_ties(files, capsys):
    files["-d"].write_text(f"{ROW},0.5\nv,1,0,0,1,1,12,0.9\n")
    for protocol, value in (("official", 1), ("pyslowfast", 0.5), ("mmaction2", 1)):
        assert main([*options(files), "--protocol", protocol, "--ties", "official"]) == 0
        assert f"mAP@0.5IOU {value:.6f}" in capsys.readouterr().out


def test_check_names_the_fault_and_says_so_by_its_status(files, tmp_path, capsys):
    command = ["check", *options(files)]
    assert main(command) == 0
    assert "no problem found" in capsys.readouterr().out
    files["-d"].write_text(f"{ROW.replace('v,', 'v.mp4,')},0.9\n")
    assert main([*command, "--json", str(tmp_path / "check.json")]) == 1
    assert "PROBLEM video ids with an extension" in capsys.readouterr().out
    [fault] = json.loads((tmp_path / "check.json").read_text())["issues"]
    assert fault["name"] == "video ids with an extension" and "'v.mp4'" in fault["evidence"]
    assert main(options(files)) == 0
    assert "ava-eval: warning: video ids with an extension: " in capsys.readouterr().err


def test_compare_says_what_moved(files, tmp_path, capsys):
    lines = [f"v{i},902,0.1,0.2,0.3,0.4,12" for i in range(6)]
    files["-g"].write_text("".join(f"{line}\n" for line in lines))
    for name, right in (("a.csv", 3), ("b.csv", 5)):
        (tmp_path / name).write_text("".join(f"{line},0.{i + 1}\n" for i, line in enumerate(lines[:right])))
    files.pop("-d")
    outputs = ["--json", str(tmp_path / "c.json"), "--html", str(tmp_path / "c.html")]
    command = ["compare", *options(files), str(tmp_path / "a.csv"), str(tmp_path / "b.csv"), *outputs]
    assert main(command) == 0
    assert "second - first: +0.333333" in capsys.readouterr().out
    content = json.loads((tmp_path / "c.json").read_text())
    assert (content["first"]["mAP"], content["second"]["AP"]) == (0.5, {"stand": 5 / 6})
    assert "<h1>Action detection: comparison</h1>" in (tmp_path / "c.html").read_text()


def test_tubes(tmp_path, capsys):
    (tmp_path / "gt.csv").write_text("v,1,0,0,1,1,3,a\nv,2,0,0,1,1,3,a\n")
    (tmp_path / "det.csv").write_text("v,1,0,0,1,1,3,a,0.5\n")
    paths = ["-g", str(tmp_path / "gt.csv"), "-d", str(tmp_path / "det.csv")]
    assert main(["tubes", *paths, "--json", str(tmp_path / "t.json")]) == 0
    assert "video-mAP@0.5 1.000000\nvideo-mAP@0.5:0.95 0.100000\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "t.json").read_text())["video_mAP"]["0.55"] == 0
    (tmp_path / "gt.csv").write_text("v,1\n")
    assert main(["tubes", *paths]) == 2
    assert "gt.csv:1: got 2 columns" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["check"], ["compare", "a.csv", "b.csv"]])
def test_what_is_missing_is_asked_for(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "-l", "x"])
    assert end.value.code == 2
    assert "the following arguments are required: -g/--groundtruth" in capsys.readouterr().err


def test_the_examples_of_the_help_parse():
    lines = [line.split("   ")[0].split() for line in EXAMPLES.splitlines() if line.startswith("  ava-eval")]
    assert len(lines) == 8
    for words in lines:
        _parser().parse_args(words[1:])


def test_exclusions_and_threshold(files, tmp_path, capsys):
    (tmp_path / "excluded.csv").write_text("v,0902\n")
    assert main([*options(files), "-e", str(tmp_path / "excluded.csv"), "--iou", "0.75"]) == 0
    assert "mAP@0.75IOU nan" in capsys.readouterr().out


def test_a_malformed_row_is_one_line_and_status_two(files, capsys):
    files["-d"].write_text(f"{ROW},0.9\n{ROW},high\n")
    assert main(options(files)) == 2
    place = f"{files['-d']}:2"
    assert capsys.readouterr().err == f"ava-eval: {place}: the score is 'high', expected a number\n"


UNREADABLE = {
    "empty": (b"", "the file has no rows"),
    "blank lines": (b"\n\r\n", "the file has no rows"),
    "byte order mark": (b"\xef\xbb\xbf", "the file has no rows"),
    "header": (b"video_id,timestamp,x1,y1,x2,y2,action_id,score\n", "if this is a header, remove it"),
    "binary": (bytes(range(128, 256)), "binary"),
    "UTF-16": (f"{ROW},0.5\n".encode("utf-16"), "UTF-16"),
    "json": (b'[{"video": 1}]', "JSON"),
    "semicolons": (f"{ROW},0.5\n".replace(",", ";").encode(), "separated by semicolons"),
    "tabs": (f"{ROW},0.5\n".replace(",", "\t").encode(), "separated by tabs"),
    "index": (f"0,{ROW},0.5\n".encode(), "row number"),
    "swapped": (b"902,v,0.1,0.2,0.3,0.4,12,0.5\n", "expected video, timestamp"),
    "score before action": (b"v,902,0.5,0.1,0.7,0.4,0.93,12\n", "x1, y1, x2, y2, score, action id"),
    "action first": (b"v,902,12,0.1,0.2,0.3,0.4,0.93\n", "action id, x1, y1, x2, y2, score"),
    "five columns": (b"v,902,0.1,0.2,0.3\n", "got 5 columns"),
    "damaged gzip": (b"\x1f\x8b\x08junk", "cannot read the file"),
}


@pytest.mark.parametrize("command", [[], ["check"], ["explain"]])
@pytest.mark.parametrize(("content", "expected"), UNREADABLE.values(), ids=UNREADABLE)
def test_main_unreadable_detections_is_one_line_and_status_two(files, capsys, command, content, expected):
    files["-d"].write_bytes(content)
    assert main([*command, *options(files), *(["stand"] if command == ["explain"] else [])]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"ava-eval: {files['-d']}:") and expected in err


def test_main_missing_file_or_folder_is_status_two(files, tmp_path, capsys):
    for path, reason in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        assert main(options(files | {"-d": path})) == 2
        assert reason in capsys.readouterr().err


def test_main_compressed_file_is_read_whatever_its_name(files, capsys):
    files["-d"].write_bytes(gzip.compress(f"{ROW},0.5\n".encode()))
    assert main(options(files)) == 0
    assert capsys.readouterr().out.endswith("mAP@0.5IOU 1.000000\n")


def test_main_byte_order_mark_is_skipped_with_a_warning(files, capsys):
    files["-d"].write_bytes(b"\xef\xbb\xbf" + f"{ROW},0.5\n".encode())
    assert main(options(files)) == 0
    out, err = capsys.readouterr()
    assert out.endswith("mAP@0.5IOU 1.000000\n") and "starts with a byte order mark" in err


def test_explain_prints_and_writes_the_errors_of_a_class(files, tmp_path, capsys):
    files["-d"].write_text(f"{ROW},0.9\nv,902,0.6,0.6,0.9,0.9,12,0.95\n")
    outputs = ["--json", str(tmp_path / "e.json"), "--html", str(tmp_path / "e.html")]
    for name in (["stand"], ["12"], ["--class", "STA"]):
        assert main(["explain", *options(files), *name, *outputs]) == 0
        out = capsys.readouterr().out
        assert out.startswith("stand: AP 0.5000") and re.search(r"^Bkg +1 +1 +1\.0000 \+0\.5000", out, re.MULTILINE)
        assert "Bkg  v at 902 s, box 0.600, 0.600, 0.900, 0.900, score 0.950" in out
    assert json.loads((tmp_path / "e.json").read_text())["errors"]["Bkg"]["fixed_AP"] == 1
    assert "<h1>Action detection: stand</h1>" in (tmp_path / "e.html").read_text()
    assert main(["explain", *options(files), "juggle"]) == 2
    assert "the class 'juggle' is not in the label map" in capsys.readouterr().err


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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(texts, st.binary(max_size=60)),
    option=st.sampled_from(["-g", "-d", "-e", "-l"]),
    command=st.sampled_from([[], ["check"]]),
)
def test_whatever_a_file_holds_there_is_a_result_or_one_line_with_its_place(
    files, tmp_path, capsys, content, option, command
):
    victim = tmp_path / "fuzz"
    victim.write_bytes(content)
    status = main([*command, *options(files | {option: victim})])
    out, err = capsys.readouterr()
    if status == 2:
        assert re.fullmatch(rf"ava-eval: {re.escape(str(victim))}:(\d+:)? [^\n]+\n", err)
        assert out == ""
    elif command:
        assert status == int("PROBLEM" in out) and out.startswith("ground truth: ")
    else:
        assert status == 0 and out.splitlines()[-1].startswith("mAP@0.5IOU ")

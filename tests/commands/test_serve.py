import argparse
from unittest.mock import Mock

import pytest

from avsf_det.cli import main
from avsf_det.commands.serve import AUTH, file_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("500MB", 500 << 20),
        ("2GB", 2 << 30),
        ("1.5g", 3 << 29),
        ("3 MiB", 3 << 20),
        ("10kb", 10240),
        ("7b", 7),
    ],
)
def test_file_size_number_with_unit_is_bytes(text, size):
    assert file_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0.1", "-1", "1XB", "GB", "inf", "nan", "1e9", "1,5GB", "²MB"])
def test_file_size_of_anything_else_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a size"):
        file_size(text)


@pytest.mark.parametrize("auth", ["", "user", "user:", ":password"])
@pytest.mark.parametrize("is_option", [True, False])
def test_serve_auth_without_user_or_password_refused(weights, monkeypatch, capsys, auth, is_option):
    if not is_option:
        monkeypatch.setenv(AUTH, auth)
    options = [f"--auth={auth}"] if is_option else []
    assert main(["serve", "--weights", str(weights), *options]) == 2
    assert "expected USER:PASSWORD" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "1h", ""])
def test_serve_time_limit_that_is_no_time_refused(capsys, limit):
    with pytest.raises(SystemExit):
        main(["serve", "--weights", "model.pyth", f"--time-limit={limit}"])
    assert "argument --time-limit: expected a number" in capsys.readouterr().err


def test_serve_time_limit_reaches_the_page(weights, monkeypatch, tmp_path):
    pytest.importorskip("gradio")
    served = Mock()
    monkeypatch.setattr("avsf_det.web.app.serve", served)
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("a,1,0.1,0.1,0.9,0.9\n")
    options = ["--weights", str(weights), "--detector", str(boxes), "--output", str(tmp_path / "served")]
    for given, limit in (([], 3600), (["--time-limit", "90"], 90)):
        assert main(["serve", *options, *given]) == 0
        assert served.call_args.args[-1].time_limit == limit

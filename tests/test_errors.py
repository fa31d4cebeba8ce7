from hypothesis import given
from hypothesis import strategies as st

from avsf_det.errors import UserError, describe_error, is_disk_full, printable


def test_printable_bytes_and_control_characters_are_spelled_out():
    assert printable("a\udcff\x1b[2J\n") == "a\\xff\\x1b[2J\\n" and printable("映画 é") == "映画 é"


@given(st.text(st.characters(), max_size=20))
def test_user_error_any_text_is_one_line_that_can_be_written(text):
    message = str(UserError(text))
    assert message.encode() is not None and len(message.splitlines()) <= 1 and "\x1b" not in message


def test_describe_error_unexpected_one_names_its_line():
    try:
        raise ValueError("odd\nvalue")
    except ValueError as error:
        assert describe_error(error).startswith("ValueError: odd value (test_errors.py:")
    assert describe_error(UserError("too large")) == "too large"


def test_is_disk_full_causes_are_followed():
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            raise UserError("cannot write") from None
    except UserError as error:
        assert is_disk_full(error)
    assert not is_disk_full(OSError(13, "Permission denied")) and not is_disk_full(None)

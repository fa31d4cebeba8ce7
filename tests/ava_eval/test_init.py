import ava_eval


def test_every_public_name_is_there_and_no_other():
    assert all(getattr(ava_eval, name) is not None for name in ava_eval.__all__)
    assert set(ava_eval.MODULE_OF) | {"InputError"} == set(ava_eval.__all__)
    assert not hasattr(ava_eval, "nothing")

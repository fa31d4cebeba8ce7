from ava_eval.average_precision import TIES
from ava_eval.cli import _parser
from ava_eval.protocol import OFFICIAL, PROTOCOLS


def test_the_command_offers_the_protocols_and_ways_to_break_ties_that_there_are():
    actions = {action.dest: action.choices for action in _parser()._actions}
    assert tuple(actions["protocol"]) == tuple(PROTOCOLS)
    assert tuple(actions["ties"]) == TIES


def test_names_are_keys_and_the_official_protocol_comes_first():
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    assert next(iter(PROTOCOLS.values())) is OFFICIAL

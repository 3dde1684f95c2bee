# SPDX-License-Identifier: GPL-2.0-only
"""Configurations read, and everything that is wrong with them told."""

from __future__ import annotations

import pytest

from emu.errors import DocumentError
from emu.kube.cni import CniError, ErrorCode, NetConfList


def test_a_list_is_read() -> None:
    """Version, name, plugins in order, and what they want of the runtime."""
    conf = NetConfList.parse(
        '{"cniVersion": "1.0.0", "name": "net", "disableCheck": true, "plugins": ['
        '{"type": "bridge", "ipam": {"type": "host-local"}},'
        '{"type": "portmap", "capabilities": {"portMappings": true, "bandwidth": false}}]}'
    )
    assert (conf.cni_version, conf.name, conf.disable_check) == ("1.0.0", "net", True)
    assert [(each.type, each.ipam) for each in conf.plugins] == [("bridge", "host-local"), ("portmap", "")]
    assert conf.plugins[1].capabilities == {"portMappings"}


def test_a_lone_plugin_is_a_list_of_one() -> None:
    """As in a `.conf` file."""
    conf = NetConfList.parse('{"cniVersion": "0.3.1", "name": "net", "type": "ptp"}')
    assert [each.type for each in conf.plugins] == ["ptp"]


def test_of_several_versions_the_highest_known_is_taken() -> None:
    """`cniVersions` is for runtimes that know more, or less, than others."""
    text = '{"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.1.0", "9.0.0"], "name": "n", "type": "ptp"}'
    assert NetConfList.parse(text).cni_version == "1.1.0"


def test_all_faults_are_told() -> None:
    """Each with its place."""
    with pytest.raises(DocumentError) as caught:
        NetConfList.parse(
            '{"cniVersion": "2.0.0", "name": "-net", "plugins": ['
            '{"ipam": {"subnet": "10.0.0.0/8"}}, 7, {"type": "a", "capabilities": {"x": 1}}]}',
            "10-net.conflist",
        )
    assert {fault.path for fault in caught.value.faults} == {
        "$.cniVersion",
        "$.name",
        "$.plugins[0].type",
        "$.plugins[0].ipam.type",
        "$.plugins[1]",
        "$.plugins[2].capabilities.x",
    }


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "n", "plugins": []}'])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    """No object, no JSON, no plugin."""
    with pytest.raises(DocumentError):
        NetConfList.parse(text)


def test_options_of_a_plugin_are_read_once_and_all_their_faults_told() -> None:
    """The error is the specification's code 7."""
    conf = NetConfList.parse('{"name": "n", "type": "x", "a": 1, "b": "no"}').plugins[0]
    assert conf.read(lambda fields: fields.number("a")) == 1
    with pytest.raises(
        CniError, match=r"\$\.a: must be a string, not a number; \$\.b: must be true"
    ) as caught:
        conf.read(lambda fields: (fields.text("a"), fields.flag("b")))
    assert caught.value.code == ErrorCode.INVALID_NETWORK_CONFIG


def test_an_error_is_json_for_its_caller() -> None:
    """With code, message, and details if there are any."""
    assert CniError("no", 11, "why").as_json("1.0.0") == (
        '{\n    "cniVersion": "1.0.0",\n    "code": 11,\n    "msg": "no",\n    "details": "why"\n}'
    )

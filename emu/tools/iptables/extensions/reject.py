# SPDX-License-Identifier: GPL-2.0-only
"""`-j REJECT`. Source: extensions/libipt_REJECT.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.targets.reject import Answer, Reject
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place

_NAMES: Final = {
    "icmp-net-unreachable": Answer.NET_UNREACHABLE,
    "icmp-host-unreachable": Answer.HOST_UNREACHABLE,
    "icmp-proto-unreachable": Answer.PROTOCOL_UNREACHABLE,
    "icmp-port-unreachable": Answer.PORT_UNREACHABLE,
    "icmp-net-prohibited": Answer.NET_PROHIBITED,
    "icmp-host-prohibited": Answer.HOST_PROHIBITED,
    "tcp-reset": Answer.TCP_RESET,
    "icmp-admin-prohibited": Answer.ADMIN_PROHIBITED,
}
_ALIASES: Final = {
    "net-unreach": Answer.NET_UNREACHABLE,
    "host-unreach": Answer.HOST_UNREACHABLE,
    "proto-unreach": Answer.PROTOCOL_UNREACHABLE,
    "port-unreach": Answer.PORT_UNREACHABLE,
    "net-prohib": Answer.NET_PROHIBITED,
    "host-prohib": Answer.HOST_PROHIBITED,
    "tcp-rst": Answer.TCP_RESET,
    "admin-prohib": Answer.ADMIN_PROHIBITED,
}
_WORDS: Final = {answer: name for name, answer in _NAMES.items()}


def _build(options: Options) -> Reject:
    text = options.text("reject-with", "icmp-port-unreachable").lower()
    for (name, answer), alias in zip(_NAMES.items(), _ALIASES, strict=True):
        if name.startswith(text) or alias.startswith(text):
            return Reject(answer)
    raise wrong(f'unknown reject type "{options.text("reject-with")}"')


def _render(target: Reject) -> str:
    return f"--reject-with {_WORDS[target.answer]}"


def _describe(target: Reject) -> str:
    return f"reject-with {_WORDS[target.answer]}"


def _refuses(target: Reject, place: Place) -> bool:
    return target.answer is Answer.TCP_RESET and (place.protocol_inverted or place.protocol != TCP)


EXTENSIONS: Final = (
    Extension(
        name="REJECT",
        type=Reject,
        build=_build,
        render=_render,
        describe=_describe,
        tables=frozenset({"filter"}),
        hooks=frozenset({Hook.INPUT, Hook.FORWARD, Hook.OUTPUT}),
        refuses=_refuses,
        options=(Option("reject-with"),),
    ),
)

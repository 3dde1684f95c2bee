# SPDX-License-Identifier: GPL-2.0-only
"""What `emu probe` is asked: a list of JSON objects, or one a line.

{"id": "1", "from": "x/a", "to": "y/b", "port": 80, "protocol": "TCP", "via": "service"}
{"id": "2", "at": "node/n1", "iif": "eth0", "from": "203.0.113.2", "to": "10.96.0.1", "port": 80}
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.errors import DocumentError, Fault, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_PROBES: Final = 1_000_000
MOST_PAYLOAD: Final = 1_000_000
PROTOCOLS: Final = ("TCP", "UDP", "SCTP", "ICMP")
_SPACE: Final = re.compile(r"[\s,]*")
_HIGHEST_PORT: Final = 65535
_PORT_DIGITS: Final = 5
_KEYS: Final = ("id", "from", "to", "port", "protocol", "via", "payload", "listen", "at", "iif")


@attrs.frozen
class Probe:
    """One question.

    Attributes:
        id: how the answer is called, as it was given.
        source: an end point that asks; of a first packet an address.
        target: an end point, without port and protocol; of a first packet an address.
        port: a number, or the name of a port; None for ICMP and for what needs none.
        protocol: one of `PROTOCOLS`.
        via_service: by the ClusterIP of a Service that selects the target.
        payload: octets that have to arrive.
        listens: every pod listens on the port.
        at: the node at which a first packet is judged alone; empty for a whole exchange.
        iif: the device where it arrives there; empty if the node itself sends it.
        place: where the question stands, for faults.
    """

    id: str
    source: str
    target: str
    port: int | str | None = None
    protocol: str = "TCP"
    via_service: bool = False
    payload: int = 0
    listens: bool = False
    at: str = ""
    iif: str = ""
    place: tuple[str, int, str] = ("", 0, "$")

    def fault(self, key: str, message: str) -> Fault:
        """Return a fault of this question."""
        file, line, path = self.place
        return Fault(file, line, f"{path}.{key}" if key else path, message)


def read_probes(name: str, text: str, *, listen_all: bool = False) -> list[Probe]:
    """Return the questions of a text: a JSON list of objects, or an object a line.

    Args:
        name: of the file, for faults.
        text: the text.
        listen_all: every pod listens on every port asked.

    Raises:
        DocumentError: it is neither, or questions have faults; all are told.
    """
    faults: list[Fault] = []
    probes: list[Probe] = []
    for number, (line, value) in enumerate(_values(name, text)):
        if number == MOST_PROBES:
            raise DocumentError([Fault(name, line, "$", f"there are more than {MOST_PROBES} probes")])
        place = (name, line, f"$[{number}]")
        if not isinstance(value, dict):
            faults.append(Fault(*place, "a probe is an object"))
            continue
        reader = _Reader(value, place)
        probes.append(reader.probe(number, listen_all=listen_all))
        faults += reader.faults
    if faults:
        raise DocumentError(faults)
    return probes


def _values(name: str, text: str) -> Iterator[tuple[int, Any]]:
    """Yield the objects of a list, or of lines, each with its line."""
    position = _after_space(text, 0)
    is_list = text.startswith("[", position)
    if is_list:
        position = _after_space(text, position + 1)
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    while position < len(text):
        line += text.count("\n", counted, position)
        counted = position
        if is_list and text[position] == "]":
            rest = _after_space(text, position + 1)
            if rest < len(text):
                raise DocumentError([Fault(name, line, "$", "something follows behind the list")])
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:  # a number may be too long
            where = line
            words = "it is nested too deeply" if isinstance(error, RecursionError) else f"{error}"
            if isinstance(error, json.JSONDecodeError):
                where, words = error.lineno, f"it is no JSON: {error.msg}"
            raise DocumentError([Fault(name, where, "$", words)]) from None
        yield line, value
        position = _after_space(text, position)
    if is_list:
        raise DocumentError([Fault(name, line, "$", "the list has no end")])


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return position if found is None else found.end()


class _Reader:
    """Reads one object."""

    def __init__(self, value: Mapping[str, object], place: tuple[str, int, str]) -> None:
        self.faults: list[Fault] = []
        self._value = value
        self._place = place

    def probe(self, number: int, *, listen_all: bool) -> Probe:
        for key in self._value:
            if key not in _KEYS:
                self._wrong(key, f"is no key of a probe{did_you_mean(key, _KEYS)}")
        protocol = str(self._value.get("protocol") or "TCP").upper()
        if protocol not in PROTOCOLS:
            self._wrong("protocol", f"is TCP, UDP, SCTP or ICMP, not {self._value.get('protocol')!r}")
        via = self._value.get("via") or "direct"
        if via not in {"direct", "service"}:
            self._wrong("via", f"is direct or service, not {via!r}")
        listen = self._value.get("listen")
        if listen not in {None, "all"}:
            self._wrong("listen", f"is all, not {listen!r}")
        return Probe(
            id=self._id(number),
            source=self._text("from"),
            target=self._text("to"),
            port=self._port(protocol),
            protocol=protocol,
            via_service=via == "service",
            payload=self._payload(),
            listens=listen_all or listen == "all",
            at=self._text("at", needed=False),
            iif=self._text("iif", needed=False),
            place=self._place,
        )

    def _wrong(self, key: str, message: str) -> None:
        file, line, path = self._place
        self.faults.append(Fault(file, line, f"{path}.{key}", message))

    def _id(self, number: int) -> str:
        value = self._value.get("id", str(number + 1))
        if isinstance(value, bool) or not isinstance(value, str | int):
            self._wrong("id", f"is a text, not {value!r}")
        return str(value)

    def _text(self, key: str, *, needed: bool = True) -> str:
        value = self._value.get(key)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or (needed and not value):
            self._wrong(key, "is missing" if value is None else f"is a text, not {value!r}")
            return ""
        return value

    def _port(self, protocol: str) -> int | str | None:
        value = self._value.get("port")
        if protocol == "ICMP":
            if value is not None:
                self._wrong("port", "ICMP has no ports")
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _PORT_DIGITS:
            value = int(value)
        if value is None or (isinstance(value, str) and value):
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _HIGHEST_PORT:
            self._wrong("port", f"is a number from 1 to {_HIGHEST_PORT} or the name of a port, not {value!r}")
            return None
        return value

    def _payload(self) -> int:
        value = self._value.get("payload", 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_PAYLOAD:
            self._wrong("payload", f"is a number of octets up to {MOST_PAYLOAD}, not {value!r}")
            return 0
        return value

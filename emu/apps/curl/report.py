# SPDX-License-Identifier: GPL-2.0-only
"""What curl tells of a transfer: `-w`, and the words of its errors."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.http.client import Failed, Failure
from emu.apps.http.secured import OTHER_NAME
from emu.apps.resolver.lookup import numeric
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.apps.curl.url import Url
    from emu.apps.http.message import Response
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress


MORE_DETAILS: Final = """\
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the webpage mentioned above."""


@attrs.define
class Transfer:
    """What became of one URL.

    Attributes:
        url: what was fetched; after redirects, the last one.
        method: how.
        begun: when, ns.
        named: when the name had an address, ns since `begun`; so are the next four.
        connected: when the connection stood.
        secured: when hands were shaken, 0 without TLS.
        asked: when the request left.
        answered: when the answer began.
        ended: when all was over.
        response: the answer, None if there was none.
        status: exit status.
        error: what is said on standard error behind `curl: (STATUS) `.
        remote: who was asked, and by which address of ours.
        connects: connections made.
        redirects: followed.
    """

    url: Url
    method: str
    begun: Instant
    named: Duration = 0
    connected: Duration = 0
    secured: Duration = 0
    asked: Duration = 0
    answered: Duration = 0
    ended: Duration = 0
    response: Response | None = None
    status: int = 0
    error: str = ""
    remote: IpAddress = ANY_IP4
    remote_port: int = 0
    local: IpAddress = ANY_IP4
    local_port: int = 0
    connects: int = 0
    redirects: int = 0

    def fail(self, status: int, error: str) -> None:
        """Note what went wrong."""
        self.status, self.error = status, error


def _seconds(duration: Duration) -> str:
    return f"{duration / SECOND:.6f}"


def _header(transfer: Transfer, name: str) -> str:
    return (transfer.response.header(name) or "") if transfer.response is not None else ""


def _size(transfer: Transfer) -> int:
    return len(transfer.response.body) if transfer.response is not None else 0


def _code(transfer: Transfer) -> str:
    return f"{transfer.response.status:03d}" if transfer.response is not None else "000"


def _speed(transfer: Transfer) -> str:
    return str(_size(transfer) * SECOND // transfer.ended) if transfer.ended else "0"


def _address(address: IpAddress) -> str:
    return "" if address == ANY_IP4 else str(address)


VARIABLES: Final[Mapping[str, Callable[[Transfer], str]]] = {
    "http_code": _code,
    "response_code": _code,
    "http_version": lambda transfer: transfer.response.version if transfer.response is not None else "0",
    "remote_ip": lambda transfer: _address(transfer.remote),
    "remote_port": lambda transfer: str(transfer.remote_port),
    "local_ip": lambda transfer: _address(transfer.local),
    "local_port": lambda transfer: str(transfer.local_port),
    "time_namelookup": lambda transfer: _seconds(transfer.named),
    "time_connect": lambda transfer: _seconds(transfer.connected),
    "time_appconnect": lambda transfer: _seconds(transfer.secured),
    "time_pretransfer": lambda transfer: _seconds(transfer.asked),
    "time_redirect": lambda _: _seconds(0),
    "time_starttransfer": lambda transfer: _seconds(transfer.answered),
    "time_total": lambda transfer: _seconds(transfer.ended),
    "size_download": lambda transfer: str(_size(transfer)),
    "speed_download": _speed,
    "num_connects": lambda transfer: str(transfer.connects),
    "num_redirects": lambda transfer: str(transfer.redirects),
    "content_type": lambda transfer: _header(transfer, "Content-Type"),
    "method": lambda transfer: transfer.method,
    "scheme": lambda transfer: transfer.url.scheme,
    "url": lambda transfer: transfer.url.text,
    "url_effective": lambda transfer: transfer.url.text,
    "exitcode": lambda transfer: str(transfer.status),
    "errormsg": lambda transfer: transfer.error.partition("\n")[0],
}
"""What `-w` can tell; times of a transfer that was redirected are those of its last part."""

_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}


def write_out(template: str, transfer: Transfer) -> tuple[str, str]:
    """Fill in a template; return the text, and what is said on standard error of unknown variables."""
    complaints: list[str] = []

    def fill(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        if found["escape"]:
            return _ESCAPES.get(found["escape"], found[0])
        if found["header"]:
            return _header(transfer, found["header"])
        if found["name"] in VARIABLES:
            return VARIABLES[found["name"]](transfer)
        complaints.append(f"curl: unknown --write-out variable: '{found['name']}'\n")
        return ""

    pattern = r"%%|%\{(?P<name>\w+)\}|%header\{(?P<header>[^}]+)\}|\\(?P<escape>.)"
    return re.sub(pattern, fill, template, flags=re.DOTALL), "".join(complaints)


def not_connected(transfer: Transfer, failed: Failed, elapsed: Duration, *, in_all: bool) -> tuple[int, str]:
    """Return status and words for a server that was not reached.

    Args:
        transfer: for the host.
        failed: what the last address came to.
        elapsed: since the beginning, ns.
        in_all: the time for the whole transfer was over, not that for the connection.
    """
    ms = elapsed // MILLISECOND
    timed_out = failed.failure is Failure.CONNECT_TIMEOUT
    if timed_out and in_all:
        return 28, f"Connection timed out after {ms} milliseconds"
    why = "Timeout was reached" if timed_out and not failed.number else "Could not connect to server"
    words = f"Failed to connect to {transfer.url.written_host} port {transfer.url.port} after {ms} ms: {why}"
    return 28 if timed_out else 7, words


_CODES: Final = {
    "WRONG_VERSION_NUMBER": "0A00010B",
    "UNEXPECTED_EOF_WHILE_READING": "0A000126",
    "PACKET_LENGTH_TOO_LONG": "0A0000C6",
    "UNSUPPORTED_PROTOCOL": "0A000102",
    "NO_PROTOCOLS_AVAILABLE": "0A0000BF",
    "TLSV1_ALERT_PROTOCOL_VERSION": "0A00042E",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "0A000410",
    "TLSV1_ALERT_INTERNAL_ERROR": "0A000438",
    "TLSV1_UNRECOGNIZED_NAME": "0A000458",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "0A000460",
}
"""OpenSSL's numbers of what may go wrong. Source: include/openssl/sslerr.h."""


def not_secured(transfer: Transfer, failed: Failed, elapsed: Duration) -> tuple[int, str]:
    """Return status and words for a server with which there was no TLS, or not with that certificate."""
    if failed.failure is Failure.CERTIFICATE and failed.detail == OTHER_NAME:
        is_address = numeric(transfer.url.host) is not None
        what = f"target {'ipv4 address' if is_address else 'hostname'} '{transfer.url.host}'"
        return 60, f"SSL: no alternative certificate subject name matches {what}\n{MORE_DETAILS}"
    if failed.failure is Failure.CERTIFICATE:
        return 60, f"SSL certificate problem: {failed.detail}\n{MORE_DETAILS}"
    if failed.detail == "timeout":
        return 28, f"SSL connection timed out after {elapsed // MILLISECOND} milliseconds"
    if failed.number:
        return 35, f"Recv failure: {os.strerror(failed.number)}"
    words = failed.detail.lower().replace("_", " ")
    return 35, f"TLS connect error: error:{_CODES.get(failed.detail, '0A000000')}:SSL routines::{words}"


def not_answered(failed: Failed, elapsed: Duration) -> tuple[int, str]:
    """Return status and words for a request without an answer, or with half of one."""
    got = len(failed.response.body) if failed.response is not None else 0
    match failed.failure:
        case Failure.TIMEOUT:
            length = failed.response.header("Content-Length") if failed.response is not None else None
            octets = f"{got} out of {length}" if length else str(got)
            ms = elapsed // MILLISECOND
            return 28, f"Operation timed out after {ms} milliseconds with {octets} bytes received"
        case Failure.EMPTY:
            return 52, "Empty reply from server"
        case Failure.PARTIAL if failed.detail:
            return 18, f"end of response with {failed.detail} bytes missing"
        case Failure.PARTIAL:
            return 18, "transfer closed with outstanding read data remaining"
        case Failure.TOO_LARGE:
            return 63, "Maximum file size exceeded"
        case Failure.RESET:
            return 56, f"Recv failure: {os.strerror(failed.number or errno.ECONNRESET)}"
        case _:
            return 1, "Received HTTP/0.9 when not allowed"

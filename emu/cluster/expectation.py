# SPDX-License-Identifier: GPL-2.0-only
"""What is expected to become of packets, in a line: the `expect` of a `Scenario`.

    EXPECT  = SOURCE "->" TARGET VERDICT ["because" CODE] ["with" N "octets"] ["with races" ["beside" RIVAL]]
    SOURCE  = POINT [":" PORT] | "any pod" ["{" selector "}"] ["in" NAMESPACE] | "any node"
    TARGET  = the same, then [":" PORT] ["/" PROTOCOL] | "dns://" NAME
    RIVAL   = POINT [":" PORT], who asks the same at the same instant
    TARGET  = a URL of http or https, too: then a page is expected
    VERDICT = "ALWAYS" | "NEVER" | "SOMETIMES" [k "/" n] | "UNKNOWN" | "NO-NAT"

Here lines are read; `emu.verify.expect` tells whether they are met.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.apps.curl import url as urls
from emu.cluster.codes import reason_codes
from emu.cluster.points import parse_point
from emu.errors import AddressError, CommandError, EndPointError, ExpectationError, did_you_mean
from emu.kube.api import selectors
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kube.api.objects.meta import Requirement

Wanted: TypeAlias = Literal["ALWAYS", "NEVER", "SOMETIMES", "UNKNOWN", "NO-NAT"]

_WANTED: Final[tuple[Wanted, ...]] = ("ALWAYS", "NEVER", "SOMETIMES", "UNKNOWN", "NO-NAT")
_WITHOUT_REASON: Final = frozenset(("ALWAYS", "NO-NAT"))
_ANY: Final[tuple[Literal["pod", "node"], ...]] = ("pod", "node")
_PROTOCOLS: Final = ("tcp", "udp", "sctp", "icmp")
_HIGHEST_PORT: Final = 65535

_PAYLOAD: Final = re.compile(r"\s+with (\d{1,6}) octets$")
_RACES: Final = re.compile(r"\s+with races(?: beside (?P<rival>\S+))?$")
SCHEME: Final = "://"
"""What stands in an end point that is no host, but what a program is to fetch there."""

_PAGE: Final = re.compile(r"https?://", re.IGNORECASE)
_FORM: Final = "it is FROM -> TO VERDICT [because CODE]"
_ANYBODY: Final = re.compile(
    r"any\s+(?P<kind>[^\s{}:/]+)\s*(?:\{(?P<selector>[^{}]*)\}?)?"
    r"(?:\s+in\s+(?P<namespace>[^\s{}:/]*))?(?P<flow>[:/]\S*)?(?=\s|\Z)"
)
_LITERAL: Final = re.compile(r"[0-9.]+|\[.*|.*:.*:.*")  # no name: digits and dots, or what looks like IPv6
_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_PORT_NAME: Final = re.compile(r"(?=[-0-9]*[a-z])[a-z0-9](?:[-a-z0-9]{0,13}[a-z0-9])?")
_OWN_PORT: Final = re.compile(r":\d{1,5}")
_SHARE: Final = re.compile(r"(?P<k>\d{1,9})\s*/\s*(?P<n>\d{1,9})")


@attrs.frozen
class Party:
    """Who asks, or is asked.

    Attributes:
        text: as it was written, without `flow`.
        point: an end point or a URL; empty for `any`.
        anybody: whether each pod or each node is meant, empty for a `point`.
        selector: what the labels of each pod have to meet.
        namespace: of each pod, empty for all namespaces.
        flow: `:PORT/PROTOCOL` of who is asked, either of them as it was written.
    """

    text: str = ""
    point: str = ""
    anybody: Literal["", "pod", "node"] = ""
    selector: tuple[Requirement, ...] = ()
    namespace: str = ""
    flow: str = ""

    @property
    def is_page(self) -> bool:
        """Whether `point` is a URL."""
        return _PAGE.match(self.point) is not None


@attrs.frozen
class Expectation:
    """One line.

    Attributes:
        text: the line, with one space between words.
        source: who asks.
        target: whom.
        wanted: what is to come of it.
        share: how much of it SOMETIMES is, None for any.
        code: the reason why something is not delivered, empty for any.
        payload: octets that have to arrive, too: behind the handshake, or in the datagram.
        has_races: packets may overtake each other meanwhile.
        beside: who asks the same at the same instant; empty for nobody.
        file: where the line stands, empty if in none.
        line: the same, counted from 1.
        path: the way to it from the top of the document.
    """

    text: str
    source: Party
    target: Party
    wanted: Wanted
    share: Fraction | None = None
    code: str = ""
    payload: int = 0
    has_races: bool = False
    beside: str = ""
    file: str = attrs.field(default="", kw_only=True, eq=False)
    line: int = attrs.field(default=0, kw_only=True, eq=False)
    path: str = attrs.field(default="$", kw_only=True, eq=False)

    @property
    def verdict(self) -> str:
        """What is expected, as it is written."""
        share = "" if self.share is None else f" {self.share}"
        laden = f" with {self.payload} octets" if self.payload else ""
        races = " with races" if self.has_races else ""
        races += f" beside {self.beside}" if self.beside else ""
        return f"{self.wanted}{share}" + (f" because {self.code}" if self.code else "") + laden + races

    @property
    def parties(self) -> str:
        """Who asks whom, as it is written."""
        return self.text[: self.text.rindex(f" {self.wanted}")]

    @property
    def place(self) -> str:
        """Where it stands, as `FILE:LINE`; empty if in no file."""
        return f"{self.file}:{self.line}" if self.file else ""


class _Faults(list[str]):
    """What is wrong with a line."""

    def check(self) -> None:
        if self:
            raise ExpectationError(self)


def parse_expectation(text: str, *, file: str = "", line: int = 0, path: str = "$") -> Expectation:
    """Return what a line expects.

    Raises:
        ExpectationError: with all that is wrong with it.
    """
    words = " ".join(text.split())
    faults = _Faults()
    races = _RACES.search(words)
    said = words if races is None else words[: races.start()]
    laden = _PAYLOAD.search(said)
    said = said if laden is None else said[: laden.start()]
    left, arrow, right = (part.strip() for part in said.partition("->"))
    if not arrow:
        raise ExpectationError([f"has no '->': {_FORM}"])
    source, rest = _party(left, "FROM", faults)
    if rest:
        faults.append(f"{rest!r} is too much before '->'")
    if source.flow and (source.anybody or not _OWN_PORT.fullmatch(source.flow)):
        faults.append(f"{left!r}: FROM may have a port of its own, a number, and no protocol")
    target, rest = _party(right, "TO", faults)
    _check_flow(target, faults)
    wanted, share, code = _verdict(rest, faults)
    if target.is_page and wanted == "NO-NAT":
        faults.append("NO-NAT is of packets, and a URL is of a page")
    if target.is_page and said != words:
        faults.append(f"{words[len(said) :].strip()!r} is of packets, and a URL is of a page")
    if races is not None and share is not None:
        faults.append(f"SOMETIMES {share} with races: which packet comes first has no odds, so no share")
    faults.check()
    return Expectation(
        words,
        source,
        target,
        wanted,
        share,
        code,
        0 if laden is None else int(laden[1]),
        races is not None,
        (races and races["rival"]) or "",
        file=file,
        line=line,
        path=path,
    )


# --- who ---


def _party(text: str, name: str, faults: _Faults) -> tuple[Party, str]:
    """Return who is meant at the beginning of `text`, and what follows."""
    if not text:
        faults.append(f"lacks {name}: {_FORM}")
        return Party(), ""
    if text == "any" or text.startswith("any "):
        return _anybody(text, faults)
    word, _, rest = text.partition(" ")
    if _PAGE.match(word):
        return _page(word, name, faults), rest
    if SCHEME in word and name == "TO":
        return Party(word, word), rest
    point, flow = split_flow(word)
    try:
        if _LITERAL.fullmatch(point):
            IpAddress.parse(point.removeprefix("[").removesuffix("]"))
        else:
            parse_point(point)
    except (AddressError, EndPointError) as error:
        faults.append(str(error))
    return Party(point, point, flow=flow), rest


def _page(url: str, name: str, faults: _Faults) -> Party:
    """Return a URL, which is asked for and never asks."""
    try:
        urls.parse(url)
    except CommandError as error:
        faults.append(f"{url!r} is no URL: {str(error).rpartition(') ')[2]}")
    if name == "FROM":
        faults.append(f"{url!r} is a URL: it is asked for, and asks nobody")
    return Party(url, url)


def split_flow(text: str) -> tuple[str, str]:
    """Return an end point, and `:PORT/PROTOCOL` behind it as it was written."""
    rest, slash, protocol = text.rpartition("/")
    if not slash or protocol.lower() not in _PROTOCOLS:
        rest = text
    if rest.startswith("["):
        address, closed, _ = rest.partition("]")
        return text[: len(address) + len(closed)], text[len(address) + len(closed) :]
    point, colon, _ = rest.rpartition(":")
    length = len(point) if colon and rest.count(":") == 1 else len(rest)
    return text[:length], text[length:]


def _anybody(text: str, faults: _Faults) -> tuple[Party, str]:
    found = _ANYBODY.match(text)
    if found is None:
        faults.append(f"{text!r}: it is any pod{{LABELS}} in NAMESPACE, or any node")
        return Party(), ""
    rest = text[found.end() :].strip()
    kind = next((each for each in _ANY if each == found["kind"]), None)
    if kind is None:
        hint = did_you_mean(found["kind"], _ANY)
        faults.append(f"any is of pods or nodes, not of {found['kind']!r}{hint}")
        return Party(), rest
    selector: tuple[Requirement, ...] = ()
    if (labels := found["selector"]) is not None:
        if f"{{{labels}}}" not in found[0]:
            faults.append(f"{found[0]!r}: the selector does not end with }}")
        try:
            selector = selectors.parse(labels)
        except ValueError as error:
            faults.append(f"{{{labels}}} is no selector of labels: {error}")
    namespace = found["namespace"]
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        faults.append(f"{namespace!r} is no name of a namespace")
    if kind == "node" and (labels is not None or namespace is not None):
        faults.append("any node stands for all of them: it has no selector and no namespace")
    flow = found["flow"] or ""
    return Party(found[0].removesuffix(flow).rstrip(), "", kind, selector, namespace or "", flow), rest


def _check_flow(target: Party, faults: _Faults) -> None:
    """Report what is wrong with the port and the protocol."""
    port, slash, protocol = target.flow.partition("/")
    port = port.removeprefix(":")
    if slash and protocol.lower() not in _PROTOCOLS:
        hint = did_you_mean(protocol.lower(), _PROTOCOLS)
        faults.append(f"{protocol!r} is no protocol: it is tcp, udp, sctp or icmp{hint}")
    if target.flow.startswith(":") and not _is_port(port):
        faults.append(f"{port!r} is no port: it is a number from 1 to {_HIGHEST_PORT}, or its name")
    if port and protocol.lower() == "icmp":
        faults.append("ICMP has no ports")


def _is_port(text: str) -> bool:
    if text.isascii() and text.isdigit():
        return len(text) <= 5 and 1 <= int(text) <= _HIGHEST_PORT
    return _PORT_NAME.fullmatch(text) is not None


# --- what ---


def _verdict(text: str, faults: _Faults) -> tuple[Wanted, Fraction | None, str]:
    word, _, rest = text.partition(" ")
    wanted = next((each for each in _WANTED if each == word), None)
    if wanted is None:
        known = ", ".join(_WANTED)
        hint = did_you_mean(word.upper(), _WANTED)
        faults.append(
            f"{word!r} is no verdict: it is one of {known}{hint}" if word else f"lacks a verdict: {known}"
        )
    rest, because, code = f"{rest.strip()} ".partition("because ")
    share = _share(rest.strip(), wanted, faults)
    code = code.strip()
    if because:
        _check_code(code, wanted, faults)
    return wanted or "ALWAYS", share, code


def _share(text: str, wanted: Wanted | None, faults: _Faults) -> Fraction | None:
    if not text:
        return None
    found = _SHARE.fullmatch(text)
    if found is None or wanted not in {"SOMETIMES", None}:
        faults.append(f"{text!r} is too much behind the verdict: only SOMETIMES has a share, like 1/2")
        return None
    k, n = int(found["k"]), int(found["n"])
    if not 0 < k < n:
        faults.append(f"SOMETIMES {k}/{n}: a share lies between NEVER (0) and ALWAYS (1)")
        return None
    return Fraction(k, n)


def _check_code(code: str, wanted: Wanted | None, faults: _Faults) -> None:
    if not code:
        faults.append("because lacks a reason code")
    elif code not in reason_codes():
        hint = did_you_mean(code.upper(), reason_codes())
        faults.append(f"{code!r} is no reason code{hint} (emu explain lists them)")
    elif wanted in _WITHOUT_REASON:
        faults.append(f"because gives the reason why something is not delivered, and {wanted} delivers all")

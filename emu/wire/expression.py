# SPDX-License-Identifier: GPL-2.0-only
"""Frames as people write them: `hex:` and octets, or a Scapy expression.

    Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')/IP(src='10.0.0.1', dst='10.0.0.2')/UDP(dport=53)

An expression is parsed as Python and then walked; nothing in it is ever
evaluated. It may name the layers of `craft.layers()` and their fields, and
values are literals: numbers, text, octets (joined by `+` and repeated by `*`),
None, True, False, and lists and tuples where a field takes options. For these
it means what it means to Scapy, except that nothing is taken from the machine
emu runs on: addresses are literal, words for ports are unknown, and what is
left out has a fixed value. Numbers have to fit their field.
"""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import AddressError, FrameSyntaxError, did_you_mean
from emu.wire import craft
from emu.wire.addresses import IpAddress, MacAddress
from emu.wire.craft import FieldKind, FieldShape, FieldValue

if TYPE_CHECKING:
    from emu.wire.craft import ScapyPacket

MAX_TEXT: Final = 65_536  # characters of an expression
MAX_FRAME: Final = 65_549  # octets: an IP packet of the greatest length in an Ethernet frame
_MAX_OCTETS: Final = 65_535  # octets of one value
_MAX_LAYERS: Final = 64
_MAX_NESTING: Final = 32
_HEX: Final = "hex:"
_IPV4_LENGTH: Final = 4


@lru_cache(maxsize=1024)
def parse_frame(text: str) -> bytes:
    """Return the octets of the frame that `text` describes.

    Args:
        text: `hex:` and hexadecimal digits, or a Scapy expression that begins
            with `Ether` (or is nothing but `Raw` octets).

    Raises:
        FrameSyntaxError: the text is wrong; the message has the column, from 1.
    """
    if text.startswith(_HEX):
        return _hexadecimal(text)
    calls = _Expression(text).layers()
    if calls[0].name not in {"Ether", "Raw"}:
        raise FrameSyntaxError(
            f"column {calls[0].column}: a frame begins with Ether(...), not {calls[0].name}"
        )
    return _octets(calls)


def parse_packet(text: str) -> ScapyPacket:
    """Return the Scapy packet that `text` describes; it may begin with any layer.

    Args:
        text: as for `parse_frame`; `hex:` octets are dissected as a frame.

    Raises:
        FrameSyntaxError: the text is wrong; the message has the column, from 1.
    """
    if text.startswith(_HEX):
        return craft.dissect(_hexadecimal(text))
    calls = _Expression(text).layers()
    _octets(calls)  # so that what is returned can be built
    return craft.stack([call.build() for call in calls])


class _LayerCall(NamedTuple):
    """One layer of an expression, its values checked."""

    name: str
    fields: dict[str, FieldValue]
    column: str

    def build(self) -> ScapyPacket:
        try:
            return craft.layer(self.name, self.fields)
        except FrameSyntaxError as error:
            raise FrameSyntaxError(f"column {self.column}: {self.name}: {error}") from None


def _hexadecimal(text: str) -> bytes:
    digits = text.removeprefix(_HEX)
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        wrong = next(
            (i for i, char in enumerate(digits) if char not in "0123456789abcdefABCDEF \t\n\r"), None
        )
        if wrong is None:
            raise FrameSyntaxError(f"column {len(text)}: an octet has two hexadecimal digits") from None
        column = len(_HEX) + wrong + 1
        raise FrameSyntaxError(f"column {column}: {digits[wrong]!r} is no hexadecimal digit") from None
    if len(octets) > MAX_FRAME:
        raise FrameSyntaxError(f"column 1: the frame has {len(octets)} octets; {MAX_FRAME} is the most")
    return octets


def _octets(calls: list[_LayerCall]) -> bytes:
    parts = [call.build() for call in calls]
    try:
        octets = craft.octets_of(craft.stack(parts))
    except FrameSyntaxError as error:
        for call, part in zip(calls, parts, strict=True):
            try:
                craft.octets_of(part)
            except FrameSyntaxError as cause:  # this layer cannot be built even alone
                raise FrameSyntaxError(f"column {call.column}: {call.name}: {cause}") from None
        raise FrameSyntaxError(f"column {calls[0].column}: {error}") from None
    if len(octets) > MAX_FRAME:
        raise FrameSyntaxError(
            f"column {calls[0].column}: the frame has {len(octets)} octets; {MAX_FRAME} is the most"
        )
    return octets


class _Expression:
    """One expression on its way from text to layers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._octets_left = 4 * MAX_FRAME  # of values, all together

    def layers(self) -> list[_LayerCall]:
        """Return the layers, outermost first; at least one.

        Raises:
            FrameSyntaxError: the text is wrong.
        """
        if len(self._text) > MAX_TEXT:
            raise FrameSyntaxError(f"column {MAX_TEXT}: the expression is longer than {MAX_TEXT} characters")
        return [self._layer(node) for node in self._operands(self._parse())]

    def _parse(self) -> ast.expr:
        indent = len(self._text) - len(self._text.lstrip())
        blanks = "(" if indent else ""  # Python takes a line's indentation for a block
        source = f"{blanks}{self._text[len(blanks) :]}{')' if blanks else ''}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes, which are what they look like
                return ast.parse(source, mode="eval").body
        except SyntaxError as error:
            raise FrameSyntaxError(f"column {error.offset or 1}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError, UnicodeError) as error:
            too_deep = isinstance(error, RecursionError | MemoryError)
            reason = "nested too deeply" if too_deep else f"no Python expression: {error}"
            raise FrameSyntaxError(f"column 1: {reason:.120}") from None

    def _operands(self, top: ast.expr) -> list[ast.expr]:
        """Return what the slashes join, from left to right."""
        pending, found = [top], list[ast.expr]()
        while pending:
            node = pending.pop()
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                pending += (node.right, node.left)
            else:
                found.append(node)
            if len(found) + len(pending) > _MAX_LAYERS:
                raise self._fault(node, f"more than {_MAX_LAYERS} layers")
        return found

    def _layer(self, node: ast.expr) -> _LayerCall:
        column = self._column(node)
        if not isinstance(node, ast.Call):
            value = self._value(node, 0)
            if isinstance(value, str | bytes):
                return _LayerCall("Raw", {"load": value}, column)
            raise self._fault(node, f"a layer is written like IP(...); there are {', '.join(craft.layers())}")
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in craft.layers():
            shown = ast.get_source_segment(self._text, node.func) or "this"
            raise self._fault(node.func, f"there is no layer {shown:.40}{did_you_mean(name, craft.layers())}")
        fields: dict[str, FieldValue] = {}
        for value_node in node.args:
            if name != "Raw" or len(node.args) > 1:
                raise self._fault(value_node, f"{name} takes its fields by name, like {_example(name)}=...")
            fields["load"] = self._field_value(value_node, name, "load")
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._fault(keyword.value, "** is not supported")
            known = craft.shapes(name)
            if keyword.arg not in known:
                raise self._fault(
                    keyword, f"{name} has no field {keyword.arg!r}{did_you_mean(keyword.arg, known)}"
                )
            if keyword.arg in fields:
                raise self._fault(keyword, f"{name} has {keyword.arg} twice")
            fields[keyword.arg] = self._field_value(keyword.value, name, keyword.arg)
        return _LayerCall(name, fields, column)

    # Values

    def _field_value(self, node: ast.expr, layer: str, field: str) -> FieldValue:
        value = self._value(node, 0)
        shape = craft.shapes(layer)[field]
        try:
            return _fitted(value, shape)
        except ValueError as error:
            raise self._fault(node, f"{layer}({field}=...) {error}") from None

    def _value(self, node: ast.expr, depth: int) -> FieldValue:
        if depth > _MAX_NESTING:
            raise self._fault(node, "values are nested too deeply")
        match node:
            case ast.Constant(value=bool() | int() | str() | bytes() | None as constant):
                return constant
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                return -number
            case ast.List(elts=elements):
                return [self._value(element, depth + 1) for element in elements]
            case ast.Tuple(elts=elements):
                return tuple([self._value(element, depth + 1) for element in elements])
            case ast.BinOp(op=ast.Add() | ast.Mult()):
                return self._arithmetic(node, depth)
            case _:
                raise self._fault(
                    node, "a value is a number, text, octets, None, True, False, or a list of pairs"
                )

    def _arithmetic(self, node: ast.BinOp, depth: int) -> bytes | str:
        left, right = self._value(node.left, depth + 1), self._value(node.right, depth + 1)
        match node.op, left, right:
            case ast.Add(), bytes(), bytes():
                self._spend(node, len(left) + len(right))
                return left + right
            case ast.Add(), str(), str():
                self._spend(node, len(left) + len(right))
                return left + right
            case (ast.Mult(), (bytes() | str()) as piece, int(times)) | (
                ast.Mult(),
                int(times),
                (bytes() | str()) as piece,
            ):
                self._spend(node, len(piece) * max(times, 0))
                return piece * times
            case _:
                raise self._fault(node, "+ joins octets, * repeats them; there is no other arithmetic")

    def _spend(self, node: ast.expr, octets: int) -> None:
        """Allow that many octets to be made, or refuse: no short text shall fill the memory."""
        self._octets_left -= octets
        if octets > _MAX_OCTETS or self._octets_left < 0:
            raise self._fault(node, f"{octets} octets are too many; {_MAX_OCTETS} are the most")

    # Faults

    def _column(self, node: ast.expr | ast.keyword) -> str:
        """Return where `node` begins: columns count characters from 1, as people do."""
        row = min(node.lineno, len(self._lines)) - 1
        before = self._lines[row].encode(errors="replace")[: node.col_offset].decode(errors="replace")
        column = str(len(before) + 1)
        return column if row == 0 else f"{column} of line {row + 1}"

    def _fault(self, node: ast.expr | ast.keyword, message: str) -> FrameSyntaxError:
        return FrameSyntaxError(f"column {self._column(node)}: {message}")


def _fitted(value: FieldValue, shape: FieldShape) -> FieldValue:
    """Return the value as Scapy shall have it, if the field can hold it.

    Raises:
        ValueError: it cannot; the message completes "FIELD ...".
    """
    if value is None:
        return None
    match shape.kind:
        case FieldKind.MAC:
            return str(_address(value, MacAddress, "a MAC address like '02:00:00:00:00:01'"))
        case FieldKind.IPV4:
            return str(_address(value, IpAddress, "an IPv4 address like '10.0.0.1'"))
        case FieldKind.OCTETS:
            if isinstance(value, str | bytes):
                return value
            raise ValueError("has to be octets like b'hello'")
        case FieldKind.NUMBER | FieldKind.FLAGS:
            return _number(value, shape)
        case FieldKind.IP_OPTIONS:
            if isinstance(value, bytes) or value == []:
                return value
            raise ValueError("has to be octets")
        case FieldKind.TCP_OPTIONS:
            return _tcp_options(value)
        case FieldKind.OTHER:
            if isinstance(value, int | bytes):
                return value
            raise ValueError("has to be a number or octets")


def _address(value: FieldValue, kind: type[MacAddress | IpAddress], wanted: str) -> MacAddress | IpAddress:
    try:
        address = kind.parse(value) if isinstance(value, str) else None
    except AddressError:
        address = None
    if address is None or (isinstance(address, IpAddress) and len(address) != _IPV4_LENGTH):
        raise ValueError(f"has to be {wanted}")
    return address


def _number(value: FieldValue, shape: FieldShape) -> int | str:
    if isinstance(value, int):
        if 0 <= value < 1 << shape.bits:
            return value
        raise ValueError(f"has to be from 0 to {(1 << shape.bits) - 1}")
    if isinstance(value, str) and shape.kind is FieldKind.FLAGS:
        is_words = any(len(flag) > 1 for flag in shape.flags)
        for flag in (value.split("+") if is_words else value) if value else ():
            if flag not in shape.flags:
                raise ValueError(f"has no flag {flag!r}; there are {' '.join(shape.flags)}")
        return value
    if isinstance(value, str) and value in shape.words:
        return shape.words[value]
    words = ", ".join(sorted(shape.words, key=shape.words.__getitem__)[:12])
    flags = ", ".join(shape.flags)
    raise ValueError(
        f"has to be a number{' or flags' if flags else ' or a word like ' + words if words else ''}"
    )


def _tcp_options(value: FieldValue) -> FieldValue:
    options = value if isinstance(value, list | tuple) else [value]
    for option in options:
        if not isinstance(option, tuple) or len(option) != 2:
            raise ValueError("has to be a list of pairs like [('MSS', 1460)]")
        name, _ = option
        if isinstance(name, str) and name not in craft.tcp_options():
            raise ValueError(f"knows no option {name!r}{did_you_mean(name, craft.tcp_options())}")
        if not isinstance(name, str) and not (isinstance(name, int) and 0 <= name <= 255):
            raise ValueError("has to name its options, or to number them from 0 to 255")
    return list(options)


def _example(layer: str) -> str:
    return next(iter(craft.shapes(layer)))

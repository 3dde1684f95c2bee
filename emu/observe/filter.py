# SPDX-License-Identifier: GPL-2.0-only
"""Capture filters in the words of tcpdump (`udp port 53 and not host 10.0.0.1`).

libpcap compiles the expression to a program of the classic BPF and interprets
it; we only call it. No privilege is needed, and nothing is captured with it.

Source: pcap-filter(7), pcap_compile(3PCAP).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import threading
from typing import Final, Self

from emu.errors import FilterError
from emu.observe.record import LINK_TYPE_ETHERNET, LINK_TYPE_RAW, MAX_CAPTURED_OCTETS

_LIBRARY_NAMES: Final = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so", "libpcap.dylib", "wpcap.dll")
_DATA_LINKS: Final = {LINK_TYPE_ETHERNET: b"EN10MB", LINK_TYPE_RAW: b"RAW"}  # numbers differ by system
_NETMASK_UNKNOWN: Final = 0xFFFFFFFF
_INSTRUCTION_SIZE: Final = 8  # struct bpf_insn

_compiling = threading.Lock()  # libpcap before 1.8 compiles one expression at a time


class _Program(ctypes.Structure):
    """C's `struct bpf_program`."""

    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


class CaptureFilter:
    """A compiled filter, made by `compile`. It holds no memory of libpcap's: nothing is to be closed.

    Attributes:
        expression: what it was compiled from.
        program: BPF instructions, 8 octets each, in this machine's byte order.
    """

    __slots__ = ("_packets", "_run", "expression", "program")

    def __init__(self, expression: str, program: bytes) -> None:
        self.expression = expression
        self.program = program
        self._run = _library().bpf_filter
        self._packets: bytes | None = None

    @classmethod
    def compile(cls, expression: str, *, link_type: int = LINK_TYPE_ETHERNET) -> Self:
        """Return the filter that `expression` describes; an empty one matches all.

        libpcap asks this machine's resolver for host names in an expression;
        addresses are surer.

        Args:
            expression: as tcpdump takes it.
            link_type: what the frames begin with, `LINK_TYPE_ETHERNET` or `LINK_TYPE_RAW`.

        Raises:
            FilterError: the expression is wrong, in libpcap's own words, or
                libpcap is not installed.
        """
        if "\0" in expression:
            raise FilterError("a capture filter has no NUL in it")
        library = _library()
        program = _Program()
        with _compiling:
            data_link = library.pcap_datalink_name_to_val(_DATA_LINKS[link_type])
            handle = library.pcap_open_dead(data_link, MAX_CAPTURED_OCTETS)
            if not handle:
                raise FilterError("libpcap is out of memory")
            try:
                text = expression.encode("utf-8", "replace")
                if library.pcap_compile(handle, ctypes.byref(program), text, 1, _NETMASK_UNKNOWN):
                    raise FilterError(library.pcap_geterr(handle).decode("utf-8", "replace"))
                octets = ctypes.string_at(program.instructions, program.length * _INSTRUCTION_SIZE)
                library.pcap_freecode(ctypes.byref(program))
            finally:
                library.pcap_close(handle)
        return cls(expression, octets)

    def matches(self, octets: bytes) -> bool:
        """Return whether the filter lets a frame of these octets through."""
        length = len(octets)
        return bool(self._run(self.program, octets, length, length))

    def matches_packet(self, packet: bytes) -> bool:
        """Return whether the filter lets a packet without link header through.

        None gets through an expression that asks for a link header.
        """
        if self._packets is None:
            try:
                self._packets = CaptureFilter.compile(self.expression, link_type=LINK_TYPE_RAW).program
            except FilterError:
                self._packets = b""
        length = len(packet)
        return bool(self._packets and self._run(self._packets, packet, length, length))

    def __repr__(self) -> str:
        return f"CaptureFilter({self.expression!r})"


@functools.cache
def _library() -> ctypes.CDLL:
    """Load libpcap and declare the functions used here.

    Raises:
        FilterError: it is not installed.
    """
    library = _load()
    library.pcap_datalink_name_to_val.argtypes = (ctypes.c_char_p,)
    library.pcap_open_dead.argtypes = (ctypes.c_int, ctypes.c_int)
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_compile.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Program),
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_uint32,
    )
    library.pcap_geterr.argtypes = (ctypes.c_void_p,)
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_freecode.argtypes = (ctypes.POINTER(_Program),)
    library.pcap_freecode.restype = None
    library.pcap_close.argtypes = (ctypes.c_void_p,)
    library.pcap_close.restype = None
    library.bpf_filter.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint)
    library.bpf_filter.restype = ctypes.c_uint
    return library


def _load() -> ctypes.CDLL:
    # `find_library` starts programs to search, so it comes last.
    found = ctypes.util.find_library
    for name in (*_LIBRARY_NAMES, None):
        path = name or found("pcap") or found("wpcap")
        if path is None:
            continue
        try:
            return ctypes.CDLL(path)
        except OSError:
            continue
    raise FilterError(
        "capture filters need the library libpcap, which is not installed here"
        " (Debian, Ubuntu: apt install libpcap0.8; Fedora: dnf install libpcap; macOS: brew install libpcap)"
    )

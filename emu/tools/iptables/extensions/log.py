# SPDX-License-Identifier: GPL-2.0-only
"""`-j LOG` and `-j NFLOG`. Source: extensions/libxt_LOG.c, libxt_NFLOG.c, libxtables/xtoptions.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.log_line import LogFields
from emu.kernel.netfilter.targets.log import Log, NfLog
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined, number, number_of, quoted

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options

_WARNING: Final = 4
_LEVELS: Final = {
    "emerg": 0,
    "panic": 0,
    "alert": 1,
    "crit": 2,
    "error": 3,
    "warning": 4,
    "notice": 5,
    "info": 6,
    "debug": 7,
}
_SWITCHES: Final = (
    ("log-tcp-sequence", "tcp_sequence", 1),
    ("log-tcp-options", "tcp_options", 2),
    ("log-ip-options", "ip_options", 4),
    ("log-uid", "owner", 8),
    ("log-macdecode", "macs", 32),
)
"""The option, the field, and the kernel's bit of it."""

_LONGEST_PREFIX: Final = 29
_LONGEST_NFLOG_PREFIX: Final = 63


def _cut(text: str, longest: int) -> str:
    return text.encode(errors="surrogateescape")[:longest].decode(errors="surrogateescape")


def _level(text: str) -> int:
    value = number(text, 0, 7)
    if value is None:
        found = [level for name, level in _LEVELS.items() if name == text.lower()]
        if not found:
            raise wrong(f'log level "{text}" unknown\n')
        value = found[0]
    return value


def _build_log(options: Options) -> Log:
    fields = LogFields(**{field: option in options for option, field, _ in _SWITCHES})
    level = _level(options.text("log-level")) if "log-level" in options else _WARNING
    return Log(fields, level, _cut(options.text("log-prefix"), _LONGEST_PREFIX))


def _is_set(fields: LogFields, name: str) -> bool:
    return bool(getattr(fields, name))


def _render_log(target: Log) -> str:
    return joined(
        f"--log-prefix {quoted(target.prefix)}" if target.prefix else "",
        f"--log-level {target.level}" if target.level != _WARNING else "",
        *(f"--{option}" for option, field, _ in _SWITCHES if _is_set(target.fields, field)),
    )


def _describe_log(target: Log) -> str:
    flags = sum(bit for _, field, bit in _SWITCHES if _is_set(target.fields, field))
    return joined(
        f"LOG flags {flags} level {target.level}", f'prefix "{target.prefix}"' if target.prefix else ""
    )


def _build_nflog(options: Options) -> NfLog:
    return NfLog(
        number_of(options, "nflog-group", high=0xFFFF),
        _cut(options.text("nflog-prefix"), _LONGEST_NFLOG_PREFIX),
        number_of(options, "nflog-size") if "nflog-size" in options else None,
        number_of(options, "nflog-threshold", high=0xFFFF),
    )


def _nflog_words(target: NfLog, dashes: str, prefix: str) -> str:
    return joined(
        f"{dashes}nflog-prefix {prefix}" if target.prefix else "",
        f"{dashes}nflog-group {target.group}" if target.group else "",
        f"{dashes}nflog-size {target.size}" if target.size is not None else "",
        f"{dashes}nflog-threshold {target.threshold}" if target.threshold else "",
    )


def _render_nflog(target: NfLog) -> str:
    return _nflog_words(target, "--", quoted(target.prefix))


def _describe_nflog(target: NfLog) -> str:
    return _nflog_words(target, "", quoted(target.prefix))


EXTENSIONS: Final = (
    Extension(
        name="LOG",
        type=Log,
        build=_build_log,
        render=_render_log,
        describe=_describe_log,
        options=(
            Option("log-level"),
            Option("log-prefix"),
            *(Option(option, arguments=0) for option, _, _ in _SWITCHES),
        ),
    ),
    Extension(
        name="NFLOG",
        type=NfLog,
        build=_build_nflog,
        render=_render_nflog,
        describe=_describe_nflog,
        options=(
            Option("nflog-group"),
            Option("nflog-prefix"),
            Option("nflog-range", excludes=("nflog-size",)),
            Option("nflog-size", excludes=("nflog-range",)),
            Option("nflog-threshold"),
        ),
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""`-m set` and `-j SET`. Source: extensions/libxt_set.c, libxt_SET.c.

Whether the sets exist is not asked here: a rule names them, and who loads it looks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.ipset.base import Comparison
from emu.kernel.netfilter.ipset.lookup import Direction
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.targets.set import SetTarget, Use
from emu.tools.iptables.extension import Extension, Option, wrong
from emu.tools.iptables.values import joined, number

if TYPE_CHECKING:
    from emu.tools.iptables.extension import Options, Place, Written

MAX_NAME: Final = 31
MAX_DIRECTIONS: Final = 6
_MAX64: Final = (1 << 64) - 1
_MAX_TIMEOUT: Final = 0xFFFFFFFE
_COUNTERS: Final = ("packets", "bytes")
_OPERATORS: Final = ("eq", "lt", "gt")
_FLAGS: Final = ("map-mark", "map-prio", "map-queue")
_QUEUEING: Final = frozenset({Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING})
_OPTION: Final = re.compile(r"--(?=\w)")


# --- sets ---


def _use(written: Written) -> Use:
    """Return the set that `--match-set NAME src,dst` and its like name."""
    name, ends = written.values
    if len(name.encode()) > MAX_NAME:
        raise wrong(f"setname `{name}' too long, max {MAX_NAME} characters.")
    words = ends.split(",")
    if len(words) > MAX_DIRECTIONS:
        raise wrong(f"Can't be more src/dst options than {MAX_DIRECTIONS}.")
    known = {direction.value: direction for direction in Direction}
    if not known.keys() >= set(words):
        raise wrong("You must spefify (the comma separated list of) 'src' or 'dst'.")  # so it is spelled
    return Use(name, tuple(known[word] for word in words))


def _use_text(option: str, use: Use | None) -> str:
    if use is None:
        return ""
    return f"--{option} {use.name} {','.join(direction.value for direction in use.directions)}"


def _set_option(name: str, *aliases: str) -> Option:
    return Option(
        name,
        aliases,
        arguments=2,
        invertible=True,
        repeated=f"--{name} can be specified only once",
        too_few=f"--{name} requires two args.",
    )


# --- the match ---


def _build_match(options: Options) -> SetMatch:
    written = options.get("match-set")
    if options.is_inverted("return-nomatch"):
        raise wrong("--return-nomatch flag cannot be inverted")
    packets, octets = (_comparison(options, counter) for counter in _COUNTERS)
    if written is None:
        raise wrong("You must specify `--match-set' with proper arguments")
    use = _use(written)
    return SetMatch(
        use.name,
        use.directions,
        inverted=written.inverted,
        return_nomatch="return-nomatch" in options,
        update_counters=not options.is_inverted("update-counters"),
        update_subcounters=not options.is_inverted("update-subcounters"),
        packets=packets,
        octets=octets,
    )


def _comparison(options: Options, counter: str) -> Comparison | None:
    names = [f"{counter}-{operator}" for operator in _OPERATORS]
    given = [name for name in names if name in options]
    if len(given) > 1:
        raise wrong(_only_one(counter))
    if not given:
        return None
    text, operator = options.text(given[0]), given[0].rpartition("-")[2]
    value = number(text, 0, _MAX64)
    if value is None:
        raise wrong(f"Cannot parse {text} as a counter value")
    if options.is_inverted(given[0]):
        if operator != "eq":
            raise wrong(f"--{given[0]} option cannot be inverted")
        operator = "ne"
    return Comparison(operator, value)


def _only_one(counter: str) -> str:
    return f"only one of the --{counter}-[eq|lt|gt] is allowed"


def _comparison_text(counter: str, asked: Comparison | None) -> str:
    if asked is None:
        return ""
    if asked.operator == "ne":
        return f"! --{counter}-eq {asked.value}"
    return f"--{counter}-{asked.operator} {asked.value}"


def _render_match(match: SetMatch) -> str:
    use = _use_text("match-set", Use(match.name, match.directions))
    return joined(
        f"! {use}" if match.inverted else use,
        "--return-nomatch" if match.return_nomatch else "",
        "" if match.update_counters else "! --update-counters",
        "" if match.update_subcounters else "! --update-subcounters",
        _comparison_text("packets", match.packets),
        _comparison_text("bytes", match.octets),
    )


def _describe_match(match: SetMatch) -> str:
    return _OPTION.sub("", _render_match(match))


# --- the target ---


def _build_target(options: Options) -> SetTarget:
    add, delete, found = (_use_of(options, name) for name in ("add-set", "del-set", "map-set"))
    timeout = _timeout(options)
    if add is delete is found is None:
        raise wrong("You must specify either `--add-set' or `--del-set' or `--map-set'")
    if add is None and "exist" in options:
        raise wrong("Flag `--exist' can be used with `--add-set' only")
    if add is None and timeout is not None:
        raise wrong("Option `--timeout' can be used with `--add-set' only")
    flags = [flag for flag in _FLAGS if flag in options]
    if found is None and flags:
        raise wrong(f"Flag `--{flags[0]}' can be used with `--map-set' only")
    if found is not None and not flags:
        raise wrong("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'")
    return SetTarget(
        add,
        delete,
        found,
        exist="exist" in options,
        timeout=timeout,
        map_mark="map-mark" in options,
        map_priority="map-prio" in options,
        map_queue="map-queue" in options,
    )


def _use_of(options: Options, name: str) -> Use | None:
    written = options.get(name)
    return None if written is None else _use(written)


def _timeout(options: Options) -> int | None:
    if "timeout" not in options:
        return None
    value = number(options.text("timeout"), 0, _MAX_TIMEOUT)
    if value is None:
        raise wrong(f"Invalid value for option --timeout or out of range 0-{_MAX_TIMEOUT}")
    return value


def _render_target(target: SetTarget) -> str:
    return joined(
        _use_text("add-set", target.add),
        "--exist" if target.exist else "",
        "" if target.timeout is None else f"--timeout {target.timeout}",
        _use_text("del-set", target.delete),
        _use_text("map-set", target.map),
        "--map-mark" if target.map_mark else "",
        "--map-prio" if target.map_priority else "",
        "--map-queue" if target.map_queue else "",
    )


def _describe_target(target: SetTarget) -> str:
    return _OPTION.sub("", _render_target(target))


def _refuses_target(target: SetTarget, place: Place) -> bool:
    """Return whether `--map-set` stands outside of mangle, or gives a priority where nothing is sent."""
    if target.map is None:
        return False
    is_queueing = target.map_priority or target.map_queue
    is_sent = not place.hooks or not place.hooks.isdisjoint(_QUEUEING)
    return place.table != "mangle" or (is_queueing and not is_sent)


EXTENSIONS: Final = (
    Extension(
        name="set",
        type=SetMatch,
        build=_build_match,
        render=_render_match,
        describe=_describe_match,
        options=(
            _set_option("match-set", "set"),
            Option("return-nomatch", arguments=0, invertible=True),
            Option("update-counters", arguments=0, invertible=True),
            Option("update-subcounters", arguments=0, invertible=True),
            *(
                Option(f"{counter}-{operator}", invertible=True, repeated=_only_one(counter))
                for counter in _COUNTERS
                for operator in _OPERATORS
            ),
        ),
    ),
    Extension(
        name="SET",
        type=SetTarget,
        build=_build_target,
        render=_render_target,
        describe=_describe_target,
        options=(
            *(_set_option(name) for name in ("add-set", "del-set", "map-set")),
            Option("exist", arguments=0),
            Option("timeout"),
            *(Option(flag, arguments=0) for flag in _FLAGS),
        ),
        refuses=_refuses_target,
    ),
)

# SPDX-License-Identifier: GPL-2.0-only
"""The text of sets: what is saved is read as what it was, and any text is answered."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps.commands import execute
from emu.apps.commands.ipset import restore_file
from emu.errors import CommandError
from emu.kernel.namespace import Namespace
from emu.kernel.netfilter.ipset.types import TYPES
from emu.sim.choice import DrawnChoice
from emu.tools.ipset import create, entries, restore
from tests.kernel.ipset_drawing import Drawing

COMPARED = tuple(name for name in TYPES if name != "list:set")
VERBS = "create add del test destroy flush rename swap list save -exist -! COMMIT # quit help"
SETS = "a b hash:ip hash:net,iface list:set bitmap:port timeout 5 counters comment skbinfo family inet6"
ELEMENTS = "range 1-9 10.0.0.0/8 10.0.0.1-10.0.0.9 10.0.0.1,tcp:80 10.0.0.1,icmp:ping nomatch maxelem 2"
OTHERS = '"x y" " before after ::1 0 -1 4294967296 skbmark 0x1/0x2 skbprio 1:2 \x00 é , - / : [ ]'
WORDS = st.sampled_from(f"{VERBS} {SETS} {ELEMENTS} {OTHERS}".split(" "))
LINES = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=8).map(" ".join))


def node() -> Namespace:
    """Return a namespace without sets."""
    return Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))


def run(net: Namespace, argv: list[str]) -> int:
    """Run `ipset` and return its exit status."""
    status = 0
    try:
        execute(net, ["ipset", *argv])
    except CommandError as error:
        status = error.status
    return status


def options(drawing: Drawing, kind: str) -> list[str]:
    """Return drawn options without a netmask: with one, Linux keeps elements it would not take again."""
    words = drawing.spec(TYPES[kind])
    if "netmask" in words:
        place = words.index("netmask")
        del words[place : place + 2]
    return words


@pytest.mark.parametrize("kind", COMPARED)
def test_what_is_saved_makes_the_same_sets(kind: str) -> None:
    """Any set, with all that is said of its elements; and saves as the same text."""
    net = node()
    for number in range(8):
        drawing = Drawing(number)
        words = options(drawing, kind)
        words += [word for word in ("timeout", "60") if number % 2] + ["skbinfo"] * (number % 3 == 0)
        run(net, ["create", f"s{number}", kind, *words])
        for _ in range(12):
            said = ["timeout", "30"] if number % 2 else []
            said += ["skbmark", "0x1/0xf", "skbprio", "1:2", "skbqueue", "3"] if number % 3 == 0 else []
            said += ["comment", "two words, 'no"] if "comment" in words else []
            said += ["packets", "3", "bytes", "9"] if "counters" in words else []
            run(net, ["add", f"s{number}", drawing.element(TYPES[kind]), *said, "-exist"])
    saved = execute(net, ["ipset", "save"])
    assert saved.count("\nadd ") > 20
    again = node()
    restore_file(again, saved)
    assert execute(again, ["ipset", "save"]) == saved
    assert execute(again, ["ipset", "list"]) == execute(net, ["ipset", "list"])


@given(st.integers(), st.sampled_from(COMPARED))
def test_a_set_and_its_elements_are_read_as_they_are_printed(seed: int, kind: str) -> None:
    """`parse(render(x))` is `x`."""
    drawing = Drawing(seed)
    net = node()
    net.netfilter.ipsets.create("s", create.parse(kind, options(drawing, kind)))
    kept = net.netfilter.ipsets.find("s").spec
    assert create.parse(kind, create.render(kept).split()) == kept
    for _ in range(10):
        run(net, ["add", "s", drawing.element(TYPES[kind]), "-exist"])
    for member in net.netfilter.ipsets.find("s").listed(net.now):
        element, *rest = entries.render(kept, member, net.now).split()
        other = net.netfilter.ipsets
        other.create("t", kept)
        other.find("t").add(entries.parse("add", kept, element, rest), net.now, exist=False)
        (copied,) = other.find("t").listed(net.now)
        assert copied.element == member.element
        other.destroy("t")


@given(st.lists(LINES, max_size=12))
def test_any_file_is_restored_or_refused(lines: list[str]) -> None:
    """Never is there another end, and what is there afterwards can be saved and restored."""
    net = node()
    text = "\n".join(["create a hash:net comment timeout 0", "create b list:set", *lines])
    with suppress(CommandError):
        restore_file(net, text)
    with suppress(restore.RestoreError):
        assert restore.parse(text)
    saved = execute(net, ["ipset", "list"])
    assert saved == "" or saved.startswith("Name: ")


@given(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=7))
def test_any_arguments_are_answered(argv: list[str]) -> None:
    """With an exit status, and words."""
    net = node()
    run(net, ["create", "a", "hash:ip,port"])
    assert run(net, argv) in {0, 1, 2}


class TestFiles:
    """Files for `ipset restore`."""

    def test_all_faults_are_found_at_once(self) -> None:
        """Each with its line."""
        text = "create a hash:ip\nadd a 1.1.1.x\n\n# note\nadd b 1.1.1.1\nadd a 1.1.1.1 nomatch\nfoo\n"
        with pytest.raises(restore.RestoreError) as caught:
            restore.parse(text)
        assert caught.value.faults == (
            (2, "Syntax error: cannot parse 1.1.1.x: resolving to IPv4 address failed"),
            (5, "The set with the given name does not exist"),
            (6, "Unknown argument: `nomatch'"),
            (7, "No command specified: unknown argument foo"),
        )

    def test_sets_that_were_there_before_are_known(self) -> None:
        """Their elements can be read, under the names that the file gives them."""
        spec = create.parse("hash:net,iface", [])
        lines = restore.parse("rename old new\nadd new 10.0.0.0/8,eth0\n", {"old": spec})
        assert lines[1].entry is not None
        assert lines[1].entry.iface == "eth0"

    def test_a_swap_exchanges_what_elements_mean(self) -> None:
        """From that line on."""
        text = "create a hash:ip\ncreate b hash:ip,port\nswap a b\nadd a 1.1.1.1,80\nadd b 1.1.1.1\n"
        assert [line.number for line in restore.parse(text)] == [1, 2, 3, 4, 5]

    def test_destroyed_sets_are_not_known(self) -> None:
        """One, or all."""
        for command in ("destroy a", "destroy"):
            with pytest.raises(restore.RestoreError):
                restore.parse(f"create a hash:ip\n{command}\nadd a 1.1.1.1\n")

    def test_words_are_quoted_with_double_quotes(self) -> None:
        """A quote that does not end drops the rest."""
        assert restore.split('add a 1.1.1.1 comment "two words" x') == [
            *("add", "a", "1.1.1.1", "comment"),
            "two words",
            "x",
        ]
        assert restore.split('a "" "b c') == ["a", ""]

    def test_what_stood_before_a_fault_stays(self) -> None:
        """But for the lines that would have gone to the kernel together with it."""
        net = node()
        with pytest.raises(CommandError, match="Error in line 3"):
            restore_file(net, "create a hash:ip\nadd a 1.1.1.1\nflush b\nadd a 1.1.1.2\n")
        with pytest.raises(CommandError, match="Error in line 3"):
            restore_file(net, "add a 1.1.1.3\nadd a 1.1.1.4\nadd a 1.1.1.x\n")
        assert execute(net, ["ipset", "save"]).splitlines()[1:] == ["add a 1.1.1.1"]

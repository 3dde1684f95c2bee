# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import pytest

import emu
from emu.kube.api.objects import Pod
from emu.lab import Cluster
from emu.testing.lab import routed_chain, two_hosts
from emu.verify.asker import Asker
from emu.verify.telling.fates import fates, listed, merged
from emu.verify.telling.html import html
from emu.verify.telling.layout import lines_of, paragraph, shortened
from emu.verify.telling.markdown import markdown
from emu.verify.telling.places import Places
from emu.verify.telling.stages import Row
from emu.verify.telling.telling import Telling
from emu.verify.telling.text import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.emulation import Emulation

TOPOLOGIES: Final = Path(__file__).parents[4] / "topologies"
EVIL: Final = 'iptables -I FORWARD -p tcp -m comment --comment "<b>|*evil*</b>" -j DROP'
VOID: Final = frozenset(("meta",))


@attrs.frozen
class Cure:
    """What helps."""

    def lines(self, width: int) -> Sequence[str]:
        """Return a command that has to stay as it is."""
        return ["let it pass", f"  sysctl -w net.ipv4.ip_forward=1 # {'x' * width}"]


def telling(network: Emulation, source: str, target: str, *, verbose: bool = False) -> Telling:
    """Ask, and return the answer to be told, all branches of it."""
    verdict = Asker(network).judge(source, target)
    shown = tuple(enumerate(verdict.outcomes, 1))
    told = tuple(number for number, _ in shown)
    return Telling(verdict, shown, told, verbose, places=Places(network))


def evil() -> Telling:
    """Return an answer with a rule whose comment is written to do harm."""
    lab = routed_chain()
    lab.namespace("r1").run(EVIL)
    return telling(lab, "client", "server:80", verbose=True)


class Balance(HTMLParser):
    """Checks that what is opened is closed, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        del attrs
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the one that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep it."""
        self.words += data


class TestHtml:
    """One page."""

    def test_is_well_formed_and_has_every_step(self) -> None:
        """What is opened is closed."""
        page = Balance()
        page.feed(html(telling(emu.load(TOPOLOGIES / "reply-past-the-nat.yaml"), "client", "10.96.0.20:80")))
        assert page.open == []
        assert "SOMETIMES 1/2" in page.words
        assert "emu explain REPLY_NOT_UNNATED" in page.words
        assert "kernel.netfilter.hooks" in page.words

    def test_shows_what_rules_say_as_text(self) -> None:
        """Never as markup."""
        page = Balance()
        page.feed(html(evil()))
        assert "<b>|*evil*</b>" in page.words
        assert not page.seen & {"b", "script"}


class TestMarkdown:
    """For a pull request."""

    def test_shows_what_rules_say_as_text(self) -> None:
        """Bars do not end a cell, stars and brackets are no markup."""
        found = markdown(evil())
        assert r"\<b\>\|\*evil\*\</b\>" in found
        assert "<b>" not in found.replace("<br>", "")

    def test_a_fix_is_a_block_to_be_copied(self) -> None:
        """As it is."""
        found = markdown(attrs.evolve(telling(two_hosts(), "a", "b:99"), fixes=(Cure(),)))
        assert "```\nlet it pass\n  sysctl -w net.ipv4.ip_forward=1 # xxx" in found


class TestText:
    """The parts of it that goldens do not show."""

    def test_a_command_is_never_broken(self) -> None:
        """However long it is."""
        found = text(attrs.evolve(telling(two_hosts(), "a", "b:99"), fixes=(Cure(),)))
        assert f"sysctl -w net.ipv4.ip_forward=1 # {'x' * 71}" in found

    def test_what_is_not_modelled_is_named_first(self) -> None:
        """And the verdict is UNKNOWN."""
        lab = routed_chain()
        lab.namespace("r1").run("iptables -I FORWARD -p tcp -m string --algo bm --string evil -j DROP")
        first = text(telling(lab, "client", "server:80")).splitlines()[0]
        assert first == "UNKNOWN  match string in r1 filter/FORWARD rule 1"

    def test_a_way_that_leads_nowhere_is_named(self) -> None:
        """The address without a route."""
        lab = routed_chain()
        lab.namespace("r1").run("ip route flush table main")
        lab.namespace("client").run("ping -c 1 -W 1 127.0.0.1")
        assert "DROP IP_INNOROUTES: no route to " in text(telling(lab, "client", "server"))

    def test_a_name_tells_what_it_took_to_find_its_address(self) -> None:
        """The search list costs questions, a dot at the end spares them."""
        network = emu.load(TOPOLOGIES / "tiers.yaml")
        name = "back-end.default.svc.cluster.local"
        facts = dict(telling(network, "worker", f"{name}:8080").facts())
        assert "after 4 DNS queries for an A record, 3 of them answered NXDOMAIN" in facts["lookup"]
        facts = dict(telling(network, "worker", f"{name}.:8080").facts())
        assert facts["lookup"].endswith("after 1 DNS query for an A record")
        assert "lookup" not in dict(telling(network, "worker", "svc/back-end:8080").facts())

    def test_a_pod_that_asks_itself_is_called_the_client(self) -> None:
        """In the place of where it is."""
        network = emu.load(TOPOLOGIES / "two-workers.yaml")
        asker = network.store.list(Pod, "default")[1] if isinstance(network, Cluster) else None
        assert asker is not None
        told = telling(network, asker.metadata.name, "svc/web:80")
        assert [fate.vicinity for fate in told.fates()].count("client itself") == 1

    def test_a_lost_segment_of_a_connection_is_told_behind_the_reply(self) -> None:
        """With the rule that dropped it."""
        lab = routed_chain()
        lab.namespace("r1").run("iptables -I FORWARD -p tcp --tcp-flags SYN,ACK ACK -j DROP")
        told = telling(lab, "client", "server:80")
        assert told.verdict.outcomes[0].story.lost is None  # a connection that stands is an answer


class TestFates:
    """Branches that end alike."""

    def test_are_one_row_with_their_shares_added_up(self) -> None:
        """And the end points by name."""
        network = emu.load(TOPOLOGIES / "two-workers.yaml")
        verdict = Asker(network).judge("client", "svc/web:80")
        every = fates(verdict, enumerate(verdict.outcomes, 1), Places(network))
        assert [fate.probability for fate in every] == [Fraction(1, 3)] * 3
        assert {fate.vicinity for fate in every} == {"on worker-1", "same node as client"}
        (one,) = merged(every)
        assert (one.probability, one.numbered, one.vicinity) == (Fraction(1), "1-3", "")
        assert all(name.startswith("default/web-") for name in one.picked)

    @pytest.mark.parametrize(
        ("names", "said"),
        [(["a"], "a"), (["a", "b"], "a or b"), (["a", "b", "c"], "a, b or c"), (list("abcd"), "4 pods")],
    )
    def test_a_few_are_named_and_many_counted(self, names: list[str], said: str) -> None:
        """Three are few."""
        assert listed(names, "pods") == said


class TestLayout:
    """Eighty columns."""

    def test_a_long_name_shares_its_line_if_there_is_room(self) -> None:
        """Else it has a line of its own."""
        name = "kube-system/coredns-745dc4d7c5-6rktc"
        assert list(lines_of([Row(name, "echo answered")], 22, 7)) == [f" 7  {name}  echo answered"]
        long = Row(name, "route 10.244.1.0/24 via 192.168.1.11 dev eth0 ct=NEW")
        first, *rest = lines_of([long], 22, 7)
        assert first == f" 7  {name}"
        assert rest == [f"{'':28}{long.what}"]

    def test_an_address_that_does_not_fit_has_a_line_of_its_own(self) -> None:
        """Nothing is cut off."""
        row = Row("node", "x" * 70, "> 255.255.255.255:65535")
        assert any(line.endswith("> 255.255.255.255:65535") for line in lines_of([row], 22, 1))
        assert max(map(len, lines_of([row], 22, 1))) <= 80

    def test_a_word_longer_than_a_line_is_broken(self) -> None:
        """In a paragraph."""
        assert max(map(len, paragraph("why", "x" * 200))) <= 80

    def test_the_middle_of_a_long_name_is_left_out(self) -> None:
        """Both ends tell pods apart."""
        assert shortened("default/web-668b8674c9-b24bt", 20) == "default/w..4c9-b24bt"
        assert shortened("short", 20) == "short"

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kube.dns import addon
from emu.kube.dns.corefile import CorefileError, parse
from emu.kube.dns.settings import Corefile, Forward, Hosts, Rewrite, read
from emu.sim.time import SECOND


def one(body: str) -> Corefile:
    """Return what a Corefile with one server says."""
    return read(f".:53 {{\n{body}\n}}\n")


def test_blocks_nest_and_comments_are_passed_over() -> None:
    """Keys may be parted by commas or lines, words may be quoted."""
    (first, second) = parse('a.org, b.org:5353 {\n log # all\n x "a b" {\n y 1\n }\n}\n\n.:53 {\n errors }\n')
    assert first.keys == ("a.org", "b.org:5353")
    assert [each.name for each in first.directives] == ["log", "x"]
    assert first.directives[1].arguments == ("a b",)
    assert first.directives[1].block[0].arguments == ("1",)
    assert [each.name for each in second.directives] == ["errors"]


@pytest.mark.parametrize(
    ("text", "line"), [(". {\n errors\n", 1), ("{\n}\n", 1), (". \nerrors\n", 1), (".:53 {\n {\n }\n}", 2)]
)
def test_faults_name_their_line(text: str, line: int) -> None:
    """An open brace, a block without a zone, a zone without a block."""
    with pytest.raises(CorefileError) as caught:
        read(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("minor", "uncached"), [(31, ()), (32, ("cluster.local.",)), (35, ("cluster.local.",))]
)
def test_the_default_corefile_is_understood_in_full(minor: int, uncached: tuple[str, ...]) -> None:
    """Since 1.32 the cluster's names are not cached."""
    found = read(addon.corefile(minor))
    assert found.not_modelled == ()
    (server,) = found.servers
    assert server.kubernetes is not None
    assert (server.kubernetes.pods, server.kubernetes.ttl) == ("insecure", 30)
    assert server.kubernetes.zones == ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
    assert server.kubernetes.primary == "cluster.local."
    assert server.kubernetes.through.covers("4.3.2.1.in-addr.arpa.")
    assert not server.kubernetes.through.covers("web.cluster.local.")
    assert server.forwards == (Forward(".", ("/etc/resolv.conf",)),)
    assert server.cache is not None
    assert (server.cache.success, server.cache.denial) == (30, 30)
    assert server.cache.no_success == server.cache.no_denial == uncached
    assert (server.loadbalance, server.loop) == (True, True)
    assert (server.health, server.ready, server.metrics) == (8080, 8181, 9153)


@pytest.mark.parametrize(
    ("body", "note"),
    [
        ("dnssec", "the plugin dnssec"),
        ("kubernetes cluster.local {\n labels a=b\n}", "the option labels of the plugin kubernetes"),
        ("forward . tls://9.9.9.9", "forwarding to tls://9.9.9.9"),
        ("rewrite type ANY HINFO", "the rule type ANY HINFO of the plugin rewrite"),
        ("loadbalance weighted f", "the policy weighted of the plugin loadbalance"),
        ("autopath /etc/resolv.conf", "the plugin autopath with /etc/resolv.conf"),
    ],
)
def test_what_is_not_modelled_is_said_by_name(body: str, note: str) -> None:
    """Nothing is passed over in silence."""
    assert one(body).not_modelled == (note,)


def test_options_of_forward() -> None:
    """Zone, exceptions, policy, failures, health checks."""
    body = """forward Example.org 10.0.0.1 10.0.0.2:5300 {
        except internal.example.org
        policy sequential
        force_tcp
        max_fails 3
        health_check 2s
        expire 20s
    }"""
    (found,) = one(body).servers[0].forwards
    assert found == Forward(
        "example.org.",
        ("10.0.0.1", "10.0.0.2:5300"),
        ("internal.example.org.",),
        "sequential",
        force_tcp=True,
        max_fails=3,
        health_check=2 * SECOND,
    )


def test_options_of_cache_hosts_and_rewrite() -> None:
    """Times to live by kind of answer; entries in place; the way a name is matched."""
    (server,) = one(
        """cache 60 example.org {
            success 1000 20 3
            denial 1000 10
            servfail 1s
        }
        hosts {
            10.0.0.1 A.example.org b.example.org
            ttl 60
            no_reverse
            fallthrough
        }
        rewrite continue name suffix .old.org .new.org answer auto
        rewrite name exact a.org b.org"""
    ).servers
    cache = server.cache
    assert cache is not None
    assert (cache.zones, cache.success, cache.least_success, cache.denial, cache.servfail) == (
        ("example.org.",),
        20,
        3,
        10,
        1,
    )
    assert server.hosts is not None
    assert server.hosts.entries == (("10.0.0.1", "a.example.org."), ("10.0.0.1", "b.example.org."))
    assert isinstance(server.hosts, Hosts)
    assert (server.hosts.ttl, server.hosts.reverse) == (60, False)
    assert server.hosts.through.covers("anything.")
    assert server.rewrites == (
        Rewrite("suffix", ".old.org", ".new.org", goes_on=True),
        Rewrite("exact", "a.org", "b.org"),
    )


def test_a_ttl_out_of_range_is_a_fault() -> None:
    """An hour at the most."""
    with pytest.raises(CorefileError, match="3600"):
        one("kubernetes cluster.local {\n ttl 4000\n}")


@pytest.mark.parametrize("number", ["9" * 5000, "\N{SUPERSCRIPT TWO}"])
def test_numbers_beyond_all_bounds_are_faults(number: str) -> None:
    """They name their line, or are taken for a zone, as any other word."""
    with pytest.raises(CorefileError) as caught:
        one(f"cache {{\n success 1 {number}s\n denial 1 {number}\n}}")
    assert caught.value.line in {3, 4}

# SPDX-License-Identifier: GPL-2.0-only
"""`emu trace`: ask with real packets, and tell what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.cli.source import Input
    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.verify.telling.places import Places
    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Outcome, Verdict


@click.command()
@source.given
@source.namespace
@click.option("--branch", type=click.IntRange(min=1), metavar="N", help="Only branch N of chance.")
@click.option("--all-branches", is_flag=True, help="Tell the story of every branch.")
@click.option("--dropped-only", is_flag=True, help="Only branches that fail.")
@click.option(
    "--payload",
    type=click.IntRange(min=0, max=1_000_000),
    default=0,
    metavar="N",
    help="Octets that have to arrive, too.",
)
@click.option(
    "--races", is_flag=True, help="Packets may overtake each other: follow every order, not chance alone."
)
@click.option(
    "--beside",
    default="",
    metavar="FROM",
    help="Who asks the same at the same instant, and races, too: `other:40000`.",
)
@click.option("-v", "--verbose", is_flag=True, help="Tell every step, and the module that took it.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "md", "html"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
@options.write
@click.argument("asker", metavar="FROM")
@click.argument("target", metavar="TO")
def trace(
    given: Input,
    namespace: str,
    branch: int | None,
    all_branches: bool,
    dropped_only: bool,
    payload: int,
    races: bool,
    beside: str,
    verbose: bool,
    form: str,
    output: str | None,
    asker: str,
    target: str,
) -> int:
    """Tell whether FROM reaches TO, and stage by stage why: `emu trace -f lab.yaml pod1 pod2:8080`.

    FROM is a pod, node/NAME or ext/NAME (in a network document a namespace), or
    an address of one; TO is the same, svc/NAME, or a DNS name, then :PORT and
    /tcp, /udp, /sctp or /icmp. TCP is meant where there is a port, a ping where
    there is none. Nothing listens for the occasion: a closed port is refused.
    dns://NAME asks FROM's resolver for a name, A and AAAA together, and wants
    the answer at once: one that waits for a query to be sent again has failed.

    With --races the first packets of translated connections may overtake each
    other, on a kernel as the Scenario's `races` names it. What is answered only at
    a second attempt then fails, and SOMETIMES has no share: it is a matter of timing.

    TO may be a URL of http or https, too: then the page is fetched once more at
    the end, and whose rules its answer follows is told.
    A TCP connection that stands is an answer; with --payload data have to be
    acknowledged, too.

    The first line is the answer, then come both halves of the way of the most
    telling branch: what decided, whose doing it was, what would help.

    For a URL the first line tells the page, too, and the exit status is 0 for a
    good one alone. Where an Ingress controller answers 502, 503 or 504, what it
    asks itself is asked, and told below the page.

    With -w the packets of the branch that is told are written as a capture: -v
    tells which frame each step is, and each frame has a comment with its step.

    The packets are sent in the state after the document's last step, once for
    every branch that chance can take. The exit status is 0 only for ALWAYS.
    """
    import attrs

    from emu.cluster.cluster import Cluster
    from emu.verify.asker import Asker
    from emu.verify.fixes import find_fix
    from emu.verify.probing.guests import invite_ends
    from emu.verify.racing import race_of
    from emu.verify.telling.places import Places
    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Word

    if output is not None and (all_branches or form == "json" or output == "-"):
        raise click.UsageError(
            "-w FILE writes the branch that is told: not with --all-branches, -o json or -"
        )
    if branch is not None and all_branches:
        raise click.UsageError("--branch and --all-branches exclude each other")
    network = given.start()
    url, target = _url_and_end(target, form)
    guests = invite_ends(network, asker, target) if isinstance(network, Cluster) else ()
    if isinstance(network, Cluster):
        target = url or target
    race = race_of(network) if races or beside else None
    verdict = Asker(network, race=race).judge(
        asker, target, namespace=namespace, payload=payload, beside=beside
    )
    verdict = attrs.evolve(verdict, assumptions=(*verdict.assumptions, *guests))
    shown = _shown(verdict, branch, dropped_only=dropped_only)
    under, is_good = "", verdict.word is Word.ALWAYS
    if form == "json":
        written = _json(verdict, shown, Places(network))
    else:
        told = _told(verdict, shown, tell_all=all_branches or branch is not None)
        fix = find_fix(network, asker, target, verdict, namespace=namespace, race=race, beside=beside)
        fixes, denied = ((), None) if fix is None else ((fix,), fix.denied(verdict))
        telling = Telling(verdict, shown, told, verbose, fixes, Places(network), denied)
        if url and isinstance(network, Cluster):
            line, under, is_page_good = _page(network, asker, url, namespace, verdict)
            if is_good and not (denied and is_page_good):
                telling = attrs.evolve(telling, page=line)
            is_good = is_good and is_page_good
        if output is not None:
            telling = attrs.evolve(telling, frames=_record(output, network, telling))
        written = _write(form, telling)
    click.echo(written)
    if under:
        click.echo(under)
    options.tell_unobeyed(network.fabric, is_cluster=network.is_cluster)
    return 0 if is_good else 1


def _page(cluster: Cluster, asker: str, url: str, namespace: str, verdict: Verdict) -> tuple[str, str, bool]:
    """Fetch a page: return the first line and the last ones of the answer, and whether it is a good one."""
    from emu.verify.fixes import find_fix
    from emu.verify.pages import ask_on, look
    from emu.verify.telling.page import behind_lines, page_line
    from emu.verify.telling.places import Places
    from emu.verify.telling.telling import Telling

    page = look(cluster, asker, url, namespace=namespace)
    lines = page.lines()
    onward = ask_on(cluster, page)
    if onward is None:
        return page_line(verdict, page), "\n".join(lines), page.is_good
    (source, target), behind = onward
    fix = find_fix(cluster, source, target, behind)
    telling = Telling(behind, (), (), fixes=() if fix is None else (fix,), places=Places(cluster))
    lines += behind_lines(telling)
    return page_line(verdict, page, behind), "\n".join(lines), page.is_good


def _record(name: str, network: Emulation, telling: Telling) -> Mapping[int, int]:
    """Write the packets of the branch that is told, and return which frame each step is.

    Raises:
        UsageError: none is.
    """
    from emu.cli.output import opened
    from emu.verify.telling.frames import frames_of

    told = [outcome for _, outcome in telling.branches()]
    if not told:
        raise click.UsageError("-w: no branch is told, so there is nothing to write")
    found = frames_of(network, told[0].story, telling.places)
    with opened(name) as sink:
        if sink is not None:
            sink.write(found.capture, network.fabric, network.names())
    click.echo(f"{name}: {found.summary}", err=True)
    return found.numbers


def _url_and_end(target: str, form: str) -> tuple[str, str]:
    """Return the URL that TO is, empty if it is none, and the end point."""
    if "://" not in target or target.startswith("dns://"):
        return "", target
    from emu.verify.pages import end_point

    if form != "text":
        raise click.UsageError("a URL is told as text: -o text")
    return target, end_point(target)


def _shown(verdict: Verdict, branch: int | None, *, dropped_only: bool) -> tuple[tuple[int, Outcome], ...]:
    """Return the branches that were asked for, with their numbers."""
    numbered = list(enumerate(verdict.outcomes, 1))
    if branch is not None:
        if branch > len(numbered):
            raise click.UsageError(f"--branch {branch}: there are {len(numbered)} branches")
        numbered = [numbered[branch - 1]]
    return tuple((number, one) for number, one in numbered if one.cause is not None or not dropped_only)


def _told(verdict: Verdict, shown: tuple[tuple[int, Outcome], ...], *, tell_all: bool) -> tuple[int, ...]:
    """Return the numbers of the branches whose way is told: the most telling, or all."""
    telling = verdict.failure or verdict.outcomes[0]
    return tuple(number for number, one in shown if tell_all or one is telling)


def _json(verdict: Verdict, shown: tuple[tuple[int, Outcome], ...], places: Places) -> str:
    import json

    from emu.verify.report import report

    return json.dumps(report(verdict, [outcome for _, outcome in shown], places.object), indent=2)


def _write(form: str, telling: Telling) -> str:
    if form == "md":
        from emu.verify.telling.markdown import markdown as write
    elif form == "html":
        from emu.verify.telling.html import html as write
    else:
        from emu.verify.telling.text import text as write
    return write(telling)

# SPDX-License-Identifier: GPL-2.0-only
"""`emu matrix`: who reaches whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from emu.cli.source import Input


@click.command()
@source.given
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, metavar="NS", help="Only workloads of NS; repeatable."
)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Only pods with these labels.")
@click.option("--ports", default="", metavar="PORTS", help="Numbers or names, with commas between.")
@click.option("--protocols", default="", metavar="WORDS", help="tcp, udp, sctp, icmp, with commas between.")
@click.option(
    "--from", "sources", multiple=True, metavar="WHO", help="Only from: shop/*, ext/*, 203.0.113.9."
)
@click.option(
    "--to", "targets", multiple=True, metavar="WHOM", help="Only to: shop/web-*, svc/*, node/worker-1."
)
@click.option("--pods", "each_pod", is_flag=True, help="A row and a column for every pod.")
@click.option("--listen", type=click.Choice(["all"]), help="Every pod listens on every port asked.")
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; else one a processor."
)
@click.option("--brute-force", is_flag=True, help="Ask for every pair, also for pods proved alike.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json", "csv", "md", "html"]),
    default="table",
    show_default=True,
    help="How the answer is written.",
)
def matrix(
    given: Input,
    namespaces: tuple[str, ...],
    selector: str,
    ports: str,
    protocols: str,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    each_pod: bool,
    listen: str | None,
    jobs: int | None,
    brute_force: bool,
    form: str,
) -> int:
    """Tell who reaches whom: `emu matrix -f shop/ --ports 80,443`.

    Workloads ask workloads (with --pods each pod each pod) at their pods' own
    addresses, on the ports that containers declare or that --ports names.
    Behind every answer is a real packet; pods that nothing distinguishes share
    one where emu can prove it.

    Not asked, unless --from or --to names them: Services (svc/*), nodes (node/*),
    hosts outside (ext/*), addresses. Never asked: DNS names and URLs; `emu trace`,
    `emu diff` and `expect` lines ask names, `emu trace` and `expect` lines URLs.
    """
    from emu.cli.progress import progress
    from emu.verify.jobs import processors
    from emu.verify.matrix.matrix import ask
    from emu.verify.matrix.plan import make_plan
    from emu.verify.matrix.write import FORMS
    from emu.verify.probing import guests

    asked = _words(ports)
    spoken = _words(protocols.upper())
    unknown = [word for word in spoken if word not in {"TCP", "UDP", "SCTP", "ICMP"}]
    if unknown:
        raise click.BadParameter(
            f"{unknown[0].lower()!r} is none of tcp, udp, sctp, icmp", param_hint="--protocols"
        )
    cluster = given.start_cluster()
    plan = make_plan(
        cluster,
        ports=asked,
        protocols=spoken,
        namespaces=namespaces,
        selector=selector,
        sources=sources,
        targets=targets,
        each_pod=each_pod,
    )
    guests.prepare(cluster, plan, listens=listen is not None)
    with progress("asking") as told:
        found = ask(cluster, plan, brute_force=brute_force, jobs=jobs or processors(), told=told)
    click.echo(FORMS[form](found), nl=False)
    shared = (
        "" if found.asked == found.questions else f", {found.asked} of them asked, the others proved alike"
    )
    click.echo(f"{found.questions} questions{shared}", err=True)
    options.tell_unobeyed(cluster.fabric, is_cluster=True)
    return 0


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]

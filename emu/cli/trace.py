# SPDX-License-Identifier: GPL-2.0-only
"""`emu trace`: ask with real packets, and tell what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from emu.cli import options, source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cli.source import Input
    from emu.verify.verdict import Outcome, Verdict


@click.command()
@source.given
@source.namespace
@click.option("--branch", type=click.IntRange(min=1), metavar="N", help="Only branch N of chance.")
@click.option("--all-branches", is_flag=True, help="Tell the story of every branch.")
@click.option("--dropped-only", is_flag=True, help="Only branches that fail.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["text", "json", "md"]),
    default="text",
    show_default=True,
    help="How the answer is written.",
)
@click.argument("asker", metavar="FROM")
@click.argument("target", metavar="TO")
def trace(
    given: Input,
    namespace: str,
    branch: int | None,
    all_branches: bool,
    dropped_only: bool,
    form: str,
    asker: str,
    target: str,
) -> int:
    """Tell whether FROM reaches TO, and stage by stage why: `emu trace -f lab.yaml pod1 pod2:8080`.

    FROM is a pod, node/NAME or ext/NAME (in a network document a namespace), or
    an address of one; TO is the same, svc/NAME, or a DNS name, then :PORT and
    /tcp, /udp, /sctp or /icmp. TCP is meant where there is a port, a ping where
    there is none. Nothing listens for the occasion: a closed port is refused.

    The packets are sent in the state after the document's last step, once for
    every branch that chance can take. The exit status is 0 only for ALWAYS.
    """
    from emu.verify.verdict import Word, judge

    if branch is not None and all_branches:
        raise click.UsageError("--branch and --all-branches exclude each other")
    first = given.start()
    verdict = judge(given.starts(first), asker, target, namespace=namespace)
    shown = _shown(verdict, branch, dropped_only=dropped_only)
    click.echo(_write(verdict, shown, form, tell_all=all_branches or branch is not None))
    options.tell_unobeyed(first.fabric, is_cluster=first.is_cluster)
    return 0 if verdict.word is Word.ALWAYS else 1


def _shown(verdict: Verdict, branch: int | None, *, dropped_only: bool) -> list[tuple[int, Outcome]]:
    """Return the branches that were asked for, with their numbers."""
    numbered = list(enumerate(verdict.outcomes, 1))
    if branch is not None:
        if branch > len(numbered):
            raise click.UsageError(f"--branch {branch}: there are {len(numbered)} branches")
        numbered = [numbered[branch - 1]]
    return [(number, one) for number, one in numbered if one.cause is not None or not dropped_only]


def _write(verdict: Verdict, shown: Sequence[tuple[int, Outcome]], form: str, *, tell_all: bool) -> str:
    if form == "json":
        import json

        from emu.verify.report import report

        return json.dumps(report(verdict, [outcome for _, outcome in shown]), indent=2)
    from emu.verify import trace_text

    told = [number for number, one in shown if tell_all or one is (verdict.failure or verdict.outcomes[0])]
    write = trace_text.markdown if form == "md" else trace_text.text
    return write(verdict, shown, told)

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from fractions import Fraction

import attrs
import pytest

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.source import source_of
from emu.verify.causes.cause import Cause
from emu.verify.difference import Answer, Difference, TooManyQuestionsError, compare
from emu.verify.difference.answer import ABSENT
from emu.verify.difference.report import markdown, report, summary, text
from emu.verify.difference.rows import Both, Row, Side, rows
from emu.verify.story import Way
from emu.verify.verdict import Result, Word

ALWAYS = Answer(Word.ALWAYS, Fraction(1))
DENIED = Answer(
    Word.NEVER,
    Fraction(0),
    Result.DROPPED,
    Cause("NETPOL_EGRESS", "no rule allows it", Way.REQUEST, "pod/a", object="NetworkPolicy shop/deny"),
)
CLOSED = Answer(
    Word.NEVER, Fraction(0), Result.REFUSED, Cause("NO_SOCKET", "nobody listens", Way.REQUEST, "pod/b")
)
REJECTED = Answer(
    Word.NEVER, Fraction(0), Result.REFUSED, Cause("SVC_NO_ENDPOINTS", "it has none", Way.REQUEST, "node/a")
)
AS_CLIENT = Answer(Word.ALWAYS, Fraction(1), seen_as=("client",))
AS_NODE = Answer(Word.ALWAYS, Fraction(1), seen_as=("gateway", "node"))
HALF = Answer(Word.SOMETIMES, Fraction(1, 2), Result.DROPPED, DENIED.cause)
UNKNOWN = Answer(Word.UNKNOWN, None, None, None, ("match xt_foo",))

SAME, LOST = Both(ALWAYS, ALWAYS), Both(ALWAYS, DENIED)
WEB = Side("shop/web-*", "deploy/shop/web", ("shop/web-1", "shop/web-2", "shop/web-3"))
DB = Side("shop/db-*", "sts/shop/db", ("shop/db-0", "shop/db-1"))


def told(answers: dict[tuple[str, str], Both]) -> list[tuple[str, str]]:
    """Return the rows of a flow of WEB and DB: who, and what comes of it."""
    return [(each.flow, str(each.after)) for each in rows(WEB, DB, "80/TCP", answers)]


def every(both: Both) -> dict[tuple[str, str], Both]:
    """Return the same answer to all questions."""
    return {(source, target): both for source in WEB.names for target in DB.names}


class TestRows:
    """Pods that agree are one row."""

    def test_all_agree(self) -> None:
        """The workload is named once."""
        assert told(every(LOST)) == [("shop/web-* -> shop/db-*:80/TCP", "NEVER")]

    def test_one_asks_in_vain(self) -> None:
        """It is named; the others are counted."""
        answers = every(SAME) | {("shop/web-2", target): LOST for target in DB.names}
        assert told(answers) == [
            ("shop/web-* (2 of 3) -> shop/db-*:80/TCP", "ALWAYS"),
            ("shop/web-2 -> shop/db-*:80/TCP", "NEVER"),
        ]

    def test_one_is_asked_in_vain(self) -> None:
        """So is who is asked."""
        answers = every(SAME) | {(source, "shop/db-1"): LOST for source in WEB.names}
        assert told(answers) == [
            ("shop/web-* -> shop/db-0:80/TCP", "ALWAYS"),
            ("shop/web-* -> shop/db-1:80/TCP", "NEVER"),
        ]

    def test_neither_side_agrees(self) -> None:
        """Then each question is a row."""
        answers = every(SAME) | {("shop/web-1", "shop/db-0"): LOST}
        assert len(told(answers)) == 6
        assert ("shop/web-1 -> shop/db-0:80/TCP", "NEVER") in told(answers)

    def test_how_servers_see_clients_parts_them_where_it_changes(self) -> None:
        """One row stays one where all is as before."""
        last = {("shop/web-3", target): Both(AS_NODE, AS_NODE) for target in DB.names}
        assert len(told(every(Both(AS_CLIENT, AS_CLIENT)) | last)) == 1
        last = {("shop/web-3", target): Both(AS_CLIENT, AS_NODE) for target in DB.names}
        assert [flow for flow, _ in told(every(Both(AS_CLIENT, AS_CLIENT)) | last)] == [
            "shop/web-* (2 of 3) -> shop/db-*:80/TCP",
            "shop/web-3 -> shop/db-*:80/TCP",
        ]

    def test_no_question_is_no_row(self) -> None:
        """A pod that would ask only himself."""
        assert told({}) == []

    def test_a_part_has_an_end_point_of_its_own(self) -> None:
        """It can be given to `emu trace`."""
        answers = every(SAME) | {("shop/web-2", target): LOST for target in DB.names}
        found = list(rows(WEB, DB, "80/TCP", answers))
        assert [each.source.point for each in found] == ["deploy/shop/web", "pod/shop/web-2"]


class TestCause:
    """Why a row is what it is."""

    @pytest.mark.parametrize(
        ("both", "is_changed", "cause"),
        [
            (SAME, False, ""),
            (LOST, True, "NETPOL_EGRESS NetworkPolicy shop/deny"),
            (Both(DENIED, ALWAYS), True, "no longer NETPOL_EGRESS NetworkPolicy shop/deny"),
            (Both(DENIED, DENIED), False, "NETPOL_EGRESS NetworkPolicy shop/deny"),
            (Both(DENIED, CLOSED), True, "was dropped, now refused: NO_SOCKET (nobody listens)"),
            (Both(DENIED, HALF), True, "NETPOL_EGRESS NetworkPolicy shop/deny"),
            (Both(ABSENT, ALWAYS), True, "is new"),
            (Both(ABSENT, CLOSED), True, "is new: NO_SOCKET (nobody listens)"),
            (Both(ALWAYS, ABSENT), True, "is gone"),
            (Both(ALWAYS, UNKNOWN), True, "not modelled: match xt_foo"),
            (Both(UNKNOWN, ALWAYS), True, "no longer unknown"),
            (Both(CLOSED, REJECTED), True, "was NO_SOCKET, now SVC_NO_ENDPOINTS (it has none)"),
            (
                Both(HALF, attrs.evolve(HALF, codes=("NETPOL_EGRESS", "NO_SOCKET"))),
                True,
                "was NETPOL_EGRESS, now NETPOL_EGRESS, NO_SOCKET: NETPOL_EGRESS NetworkPolicy shop/deny",
            ),
            (Both(AS_CLIENT, AS_NODE), True, "source: client -> gateway or node"),
            (Both(AS_NODE, AS_NODE), False, ""),
            (Both(AS_CLIENT, DENIED), True, "NETPOL_EGRESS NetworkPolicy shop/deny"),
            (Both(ABSENT, AS_NODE), True, "is new"),
            (
                Both(AS_CLIENT, attrs.evolve(HALF, seen_as=("node",))),
                True,
                "NETPOL_EGRESS NetworkPolicy shop/deny; source: client -> node",
            ),
        ],
    )
    def test_it_is_told(self, both: Both, is_changed: bool, cause: str) -> None:  # noqa: FBT001 - a case
        """Whose doing it is, or was."""
        row = Row(WEB, DB, "80/TCP", *both)
        assert (row.is_changed, row.cause) == (is_changed, cause)


class TestReports:
    """How a difference is written."""

    FOUND = Difference((Row(WEB, DB, "80/TCP", *SAME), Row(DB, WEB, "53/UDP", ALWAYS, HALF)), 12)

    def test_changes_come_first_in_the_table(self) -> None:
        """Nothing that matters is below the fold."""
        assert text(self.FOUND).splitlines() == [
            "FLOW                            BEFORE  AFTER          CAUSE",
            "shop/db-* -> shop/web-*:53/UDP  ALWAYS  SOMETIMES 1/2  NETPOL_EGRESS NetworkPolicy shop/deny",
            "shop/web-* -> shop/db-*:80/TCP  ALWAYS  ALWAYS",
        ]

    def test_markdown_has_a_headline(self) -> None:
        """It is a comment of a review."""
        assert markdown(self.FOUND, only_changes=True).splitlines() == [
            "**1 of 2 flows changes**",
            "",
            "| flow | before | after | cause |",
            "| --- | --- | --- | --- |",
            f"| `shop/db-* -> shop/web-*:53/UDP` | ALWAYS | **SOMETIMES 1/2** | {self.FOUND.rows[1].cause} |",
        ]

    def test_markdown_without_changes_is_the_headline(self) -> None:
        """There is no empty table."""
        assert markdown(Difference((), 0), only_changes=True) == "**No flow of 0 changes**"

    def test_json_has_answers_as_probe_gives_them(self) -> None:
        """A machine sees both sides."""
        found = report(self.FOUND, only_changes=True)
        assert found == {
            "changed": 1,
            "questions": 12,
            "flows": [
                {
                    "from": "sts/shop/db",
                    "to": "deploy/shop/web:53/UDP",
                    "sources": list(DB.names),
                    "targets": list(WEB.names),
                    "changed": True,
                    "before": {
                        "verdict": "ALWAYS",
                        "delivered": "1",
                        "result": "delivered",
                        "reason": None,
                        "object": None,
                        "unknown": [],
                        "seen_as": [],
                    },
                    "after": {
                        "verdict": "SOMETIMES",
                        "delivered": "1/2",
                        "result": "dropped",
                        "reason": "NETPOL_EGRESS",
                        "object": "NetworkPolicy shop/deny",
                        "unknown": [],
                        "seen_as": [],
                    },
                    "cause": "NETPOL_EGRESS NetworkPolicy shop/deny",
                }
            ],
        }

    def test_the_summary_counts(self) -> None:
        """Nobody counts rows."""
        assert summary(self.FOUND) == "1 of 2 flows changes"


SHOP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, labels: {app: db}},
 spec: {containers: [{name: c, image: i, ports: [{containerPort: 5432}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {selector: {app: db}, ports: [{port: 5432}]}}
---
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}]}}
"""


def shop(changed: str = "", into: str = "") -> Cluster:
    """Return the shop, with a text in the place of another."""
    words = SHOP.replace(changed, into) if changed else SHOP
    found = source_of(document.parse(words, "shop.yaml"), "shop.yaml").start()
    assert isinstance(found, Cluster)
    return found


class TestCompare:
    """Two clusters, asked with packets."""

    def test_a_cluster_does_not_differ_from_itself(self) -> None:
        """Whatever it is asked."""
        found = compare(shop(), shop())
        assert found.changed == ()
        assert found.questions > 0

    def test_a_wrong_selector_cuts_flows(self) -> None:
        """Those through the Service, and no others."""
        found = compare(shop(), shop("selector: {app: db}", "selector: {app: dbb}"))
        assert [(each.flow, each.cause.split()[0]) for each in found.changed] == [
            ("default/db -> svc/default/db:5432/TCP", "SVC_NO_ENDPOINTS"),
            ("default/web-* -> svc/default/db:5432/TCP", "SVC_NO_ENDPOINTS"),
        ]

    def test_what_one_side_lacks_is_new_or_gone(self) -> None:
        """A Service of another name is another Service."""
        found = compare(shop(), shop("metadata: {name: db}, spec: {sel", "metadata: {name: da}, spec: {sel"))
        assert {(each.target.shown, each.cause) for each in found.changed} == {
            ("svc/default/db", "is gone"),
            ("svc/default/da", "is new"),
        }

    def test_more_replicas_are_new_pods(self) -> None:
        """The old ones are compared with themselves."""
        found = compare(shop(), shop("replicas: 2", "replicas: 3"), targets=["svc/default/db"])
        assert [(each.flow, str(each.before)) for each in found.changed] == [
            (found.changed[0].flow, "-"),
        ]
        assert found.changed[0].flow.startswith("default/web-")

    def test_flows_can_be_chosen(self) -> None:
        """By the names of either side."""
        found = compare(shop(), shop(), sources=["*/web-*"], targets=["svc/*/db"])
        assert [each.flow for each in found.rows] == ["default/web-* -> svc/default/db:5432/TCP"]

    def test_too_many_questions_are_refused(self) -> None:
        """Before the first is asked, and with a way out."""
        with pytest.raises(
            TooManyQuestionsError, match=r"and 3 are allowed: choose flows by --from and --to"
        ):
            compare(shop(), shop(), most=3)

    def test_sharing_answers_changes_none(self) -> None:
        """Pods that are alike fare alike; those on the host's network are asked, too."""
        changed = ("selector: {app: db}", "selector: {app: dbb}")
        hosts = (" spec: {containers: [{name: c, image: i, ports: [{containerPort: 5432}]}]}}", "")
        one, other = shop(), shop(*changed)
        assert compare(one, other) == compare(one, other, brute_force=True)
        alone = shop(hosts[0], hosts[0].replace("spec: {", "spec: {hostNetwork: true, "))
        assert compare(alone, alone) == compare(alone, alone, brute_force=True)

    def test_progress_is_told(self) -> None:
        """Up to the last question."""
        heard: list[tuple[int, int]] = []
        found = compare(
            shop(), shop(), sources=["default/db"], progress=lambda done, total: heard.append((done, total))
        )
        assert heard == [(done, found.questions) for done in range(1, found.questions + 1)]

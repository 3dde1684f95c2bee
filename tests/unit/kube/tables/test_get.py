# SPDX-License-Identifier: GPL-2.0-only
"""`get`: how kinds are named, what is shown together, and what is said when something is missing."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from emu.errors import CommandError
from emu.kube.api.objects import Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.store import Store
from emu.kube.tables.get import get
from emu.kube.tables.request import Options, Request, Target, parse
from emu.kube.tables.world import version_numbers
from emu.sim.loop import EventLoop
from emu.sim.time import EPOCH, SECOND

if TYPE_CHECKING:
    from tests.unit.kube.tables.conftest import Ask

CLUSTER = """
apiVersion: v1
kind: Pod
metadata: {name: web-10, namespace: default, labels: {app: web, app.kubernetes.io/part-of: shop}}
spec: {nodeName: n1, containers: [{name: web}]}
status: {phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, namespace: default, labels: {app: web, tier: front}}
spec: {containers: [{name: web}, {name: b}]}
---
apiVersion: v1
kind: Pod
metadata: {name: dns, namespace: kube-system}
spec: {containers: [{name: dns}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.12.7, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec: {selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: default}
spec: {podSelector: {}}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: default}
---
apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: default}
"""
PODS = """\
NAME     READY   STATUS    RESTARTS   AGE
web-10   0/1     Running   0          <unknown>
web-2    0/2     Pending   0          <unknown>
"""


class TestNames:
    """The names of kinds."""

    @pytest.mark.parametrize("word", ["pods", "pod", "po", "PODS", "pods.v1", "pods."])
    def test_plural_singular_and_short_names_are_one(self, ask: Ask, word: str) -> None:
        """Case does not matter either."""
        assert ask(CLUSTER, word).stdout == PODS

    @pytest.mark.parametrize(
        "word",
        ["deploy", "deployment", "deployments", "deployments.apps", "deploy.apps", "deployments.v1.apps"],
    )
    def test_groups_may_be_given(self, ask: Ask, word: str) -> None:
        """With a version before them or without."""
        assert ask(CLUSTER, word, output="name").stdout == "deployment.apps/web\n"

    @pytest.mark.parametrize("word", ["httproute", "httproutes", "httproutes.gateway.networking.k8s.io"])
    def test_kinds_that_are_only_kept_are_found(self, ask: Ask, word: str) -> None:
        """They have name and age."""
        assert ask(CLUSTER, word).stdout == "NAME   AGE\nr      <unknown>\n"

    @pytest.mark.parametrize("word", ["foo", "pods.apps", "deployments.v2.apps"])
    def test_unknown_kinds_are_refused(self, ask: Ask, word: str) -> None:
        """The message names what was written."""
        answer = ask(CLUSTER, word)
        assert (answer.stdout, answer.status) == ("", 1)
        assert answer.stderr == f'error: the server doesn\'t have a resource type "{word}"\n'


class TestSeveral:
    """Several kinds or objects in one call."""

    def test_kinds_stand_apart(self, ask: Ask) -> None:
        """Names have their kind before them, a blank line parts the tables, padding begins anew."""
        assert ask(CLUSTER, "netpol,deploy,svc,po").stdout == (
            "NAME                                   POD-SELECTOR   AGE\n"
            "networkpolicy.networking.k8s.io/deny   <none>         <unknown>\n"
            "\n"
            "NAME                  READY   UP-TO-DATE   AVAILABLE   AGE\n"
            "deployment.apps/web   0/1     0            0           <unknown>\n"
            "\n"
            "NAME          TYPE        CLUSTER-IP   EXTERNAL-IP   PORT(S)   AGE\n"
            "service/web   ClusterIP   10.96.12.7   <none>        80/TCP    <unknown>\n"
            "\n"
            "NAME         READY   STATUS    RESTARTS   AGE\n"
            "pod/web-10   0/1     Running   0          <unknown>\n"
            "pod/web-2    0/2     Pending   0          <unknown>\n"
        )

    def test_all_is_a_list_of_kinds(self, ask: Ask) -> None:
        """Kinds without objects are silent; policies and nodes are not among them."""
        names = [line.split()[0] for line in ask(CLUSTER, "all", no_headers=True).stdout.splitlines()]
        assert names == ["pod/web-10", "pod/web-2", "service/web", "deployment.apps/web"]

    def test_all_may_stand_beside_others(self, ask: Ask) -> None:
        """And what is named twice is shown once."""
        names = ask(CLUSTER, "all,netpol,pods", output="name").stdout.split()
        assert names == [
            "pod/web-10", "pod/web-2", "service/web", "deployment.apps/web",
            "networkpolicy.networking.k8s.io/deny",
        ]  # fmt: skip

    def test_names_of_one_kind(self, ask: Ask) -> None:
        """They come in the order in which they were asked for, in one table."""
        lines = ask(CLUSTER, "pod web-2 web-10").stdout.splitlines()
        assert [line.split()[0] for line in lines] == ["NAME", "web-2", "web-10"]

    def test_kinds_with_names(self, ask: Ask) -> None:
        """`kind/name` words may be of several kinds; neighbours of one kind share a table."""
        text = ask(CLUSTER, "po/web-2 pod/web-10 svc/web", no_headers=True).stdout
        assert [line.split()[0] for line in text.splitlines()] == ["pod/web-2", "pod/web-10", "service/web"]
        assert ask(CLUSTER, "deploy/web").stdout.splitlines()[1].startswith("web ")

    def test_a_kind_that_has_nothing_still_counts_as_one(self, ask: Ask) -> None:
        """Two kinds were asked for, so names have theirs."""
        assert "\npod/web-10 " in ask(CLUSTER, "po,sts").stdout


class TestOptions:
    """What a table has on request."""

    def test_all_namespaces(self, ask: Ask) -> None:
        """NAMESPACE comes first, rows are sorted by it."""
        assert ask(CLUSTER, "po", all_namespaces=True).stdout == (
            "NAMESPACE     NAME     READY   STATUS    RESTARTS   AGE\n"
            "default       web-10   0/1     Running   0          <unknown>\n"
            "default       web-2    0/2     Pending   0          <unknown>\n"
            "kube-system   dns      0/1     Pending   0          <unknown>\n"
        )

    def test_nodes_have_no_namespace(self, ask: Ask) -> None:
        """The column is only for kinds that are in one."""
        assert ask(CLUSTER, "no", all_namespaces=True).stdout.startswith("NAME   STATUS")

    def test_another_namespace(self, ask: Ask) -> None:
        """Only its objects are shown."""
        assert ask(CLUSTER, "po", namespace="kube-system", output="name").stdout == "pod/dns\n"

    def test_labels(self, ask: Ask) -> None:
        """A column for chosen labels, named by the end of their key, and one for all."""
        options = {"label_columns": ("app.kubernetes.io/part-of", "tier"), "show_labels": True}
        assert ask(CLUSTER, "po", **options).stdout == (
            "NAME     READY   STATUS    RESTARTS   AGE         PART-OF   TIER    LABELS\n"
            "web-10   0/1     Running   0          <unknown>   shop              "
            "app.kubernetes.io/part-of=shop,app=web\n"
            "web-2    0/2     Pending   0          <unknown>             front   app=web,tier=front\n"
        )

    def test_no_labels_are_none(self, ask: Ask) -> None:
        """In the column of all labels."""
        assert ask(CLUSTER, "svc", show_labels=True, no_headers=True).stdout.endswith(" <none>\n")

    @pytest.mark.parametrize(
        ("selector", "names"),
        [
            ("app=web", "web-10 web-2"),
            ("app==web,tier=front", "web-2"),
            ("tier", "web-2"),
            ("!tier", "web-10"),
            ("tier!=front", "web-10"),
            ("tier in (front, back)", "web-2"),
            ("tier notin (front),app", "web-10"),
            ("app=", ""),
        ],
    )
    def test_selectors(self, ask: Ask, selector: str, names: str) -> None:
        """All conditions have to hold."""
        answer = ask(CLUSTER, "po", selector=selector, output="jsonpath={.items[*].metadata.name}")
        assert answer.stdout == names

    @pytest.mark.parametrize(
        ("selector", "names"),
        [
            ("spec.nodeName=n1", "web-10"),
            ("spec.nodeName=", "web-2"),
            ("status.phase!=Running,metadata.namespace=default", "web-2"),
            ("metadata.name==web-2", "web-2"),
            ("spec.hostNetwork=false", "web-10 web-2"),
        ],
    )
    def test_field_selectors(self, ask: Ask, selector: str, names: str) -> None:
        """Those that the API server knows."""
        answer = ask(CLUSTER, "po", field_selector=selector, output="jsonpath={.items[*].metadata.name}")
        assert answer.stdout == names

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"selector": "a in b"}, 'label selector "a in b", field selector "": unable to parse'),
            ({"field_selector": "spec.x=1"}, 'field selector "spec.x=1": field label not supported: spec.x'),
            ({"field_selector": "x"}, "field selector \"x\": invalid selector: 'x'; can't understand 'x'"),
        ],
    )
    def test_selectors_that_are_wrong(self, ask: Ask, options: dict[str, str], message: str) -> None:
        """The server refuses them."""
        answer = ask(CLUSTER, "po", **options)
        assert answer.status == 1
        assert answer.stderr.startswith(
            'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that'
        )
        assert message in answer.stderr

    def test_sorting(self, ask: Ask) -> None:
        """The client sorts, names with numbers as people do."""
        lines = ask(CLUSTER, "po", sort_by=".metadata.name").stdout.splitlines()
        assert [line.split()[0] for line in lines] == ["NAME", "web-2", "web-10"]
        answer = ask(CLUSTER, "po", sort_by="{.metadata.name}", output="name")
        assert answer.stdout == "pod/web-2\npod/web-10\n"

    def test_sorting_by_nothing(self, ask: Ask) -> None:
        """A field that no object has is refused."""
        answer = ask(CLUSTER, "po", sort_by=".nope")
        assert answer.stderr == 'error: couldn\'t find any field with path "{.nope}" in the list of objects\n'
        assert answer.status == 1


class TestMissing:
    """What is not there."""

    @pytest.mark.parametrize(
        ("words", "options", "message"),
        [
            ("sts", {}, "No resources found in default namespace."),
            ("sts,ds", {}, "No resources found in default namespace."),
            ("po", {"namespace": "none"}, "No resources found in none namespace."),
            ("sts", {"all_namespaces": True}, "No resources found"),
            ("ingressclass", {}, "No resources found"),
            ("sts,ns", {}, "No resources found"),
        ],
    )
    def test_nothing_is_no_error(self, ask: Ask, words: str, options: dict[str, bool], message: str) -> None:
        """It is said on stderr, and the exit status is 0."""
        answer = ask(CLUSTER, words, **options)
        assert (answer.stdout, answer.stderr, answer.status) == ("", message + "\n", 0)

    @pytest.mark.parametrize(
        ("words", "what"),
        [
            ("pod nope", 'pods "nope"'),
            ("deploy/nope", 'deployments.apps "nope"'),
            ("netpol np", 'networkpolicies.networking.k8s.io "np"'),
            ("endpointslice x", 'endpointslices.discovery.k8s.io "x"'),
            ("node nope", 'nodes "nope"'),
        ],
    )
    def test_a_missing_object_is_an_error(self, ask: Ask, words: str, what: str) -> None:
        """The message has the kind's plural and group."""
        answer = ask(CLUSTER, words)
        assert (answer.stdout, answer.status) == ("", 1)
        assert answer.stderr == f"Error from server (NotFound): {what} not found\n"

    def test_what_is_there_is_shown(self, ask: Ask) -> None:
        """Each missing one is told."""
        answer = ask(CLUSTER, "po a web-2 b", no_headers=True)
        assert answer.stdout.startswith("web-2 ")
        assert answer.stderr == (
            'Error from server (NotFound): pods "a" not found\n'
            'Error from server (NotFound): pods "b" not found\n'
        )
        assert answer.status == 1

    def test_it_may_be_ignored(self, ask: Ask) -> None:
        """Then nothing is said."""
        answer = ask(CLUSTER, "po nope", ignore_not_found=True)
        assert (answer.stdout, answer.stderr, answer.status) == ("", "", 0)

    def test_endpoints_are_going_out_of_use(self, ask: Ask) -> None:
        """The server warns from 1.33 on."""
        warning = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n"
        assert ask(CLUSTER, "ep").stderr == warning
        assert ask(CLUSTER, "ep", version="1.32").stderr == ""


class TestWrong:
    """Requests that make no sense."""

    @pytest.mark.parametrize(
        ("words", "options", "message"),
        [
            (
                "pod x",
                {"all_namespaces": True},
                "a resource cannot be retrieved by name across all namespaces",
            ),
            ("po,svc x", {}, "you must specify only one resource"),
            ("po x", {"selector": "a=b"}, "name cannot be provided when a selector is specified"),
            (
                "po/x",
                {"selector": "a=b"},
                "selectors and the all flag cannot be used when passing resource/name arguments",
            ),
            ("po/a/b", {}, "arguments in resource/name form may not have more than one slash"),
            ("po/", {}, "arguments in resource/name form must have a single resource and name"),
            ("po", {"output": "wide", "show_labels": True}, ""),
            (
                "po",
                {"output": "json", "show_labels": True},
                "--show-labels option cannot be used with json printer",
            ),
            (
                "po",
                {"output": "custom-columns"},
                "custom-columns format specified but no custom columns given",
            ),
            ("po", {"output": "jsonpath="}, "template format specified but no template given"),
            (
                "po",
                {"output": "foo"},
                (
                    'unable to match a printer suitable for the output format "foo", allowed formats are: '
                    "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,"
                    "jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml"
                ),
            ),
            (
                "po",
                {"output": "go-template={{.kind}}"},
                (
                    "output format go-template is not modelled; "
                    "there are custom-columns, json, jsonpath, jsonpath-as-json, name, wide, yaml"
                ),
            ),
        ],
    )
    def test_are_refused(self, ask: Ask, words: str, options: dict[str, str], message: str) -> None:
        """In kubectl's words."""
        try:
            answer = ask(CLUSTER, words, **options)
            text, status = answer.stderr.removesuffix("\n"), answer.status
        except CommandError as error:
            text, status = str(error), error.status
        assert text == (f"error: {message}" if message else "")
        assert status == (1 if message else 0)

    def test_without_a_kind_the_usage_is_told(self) -> None:
        """Five lines that say what was expected."""
        with pytest.raises(CommandError) as caught:
            parse([])
        lines = str(caught.value).splitlines()
        assert lines[0] == (
            "You must specify the type of resource to get. "
            'Use "kubectl api-resources" for a complete list of supported resources.'
        )
        assert lines[1:3] == ["", "error: Required resource not specified."]
        assert len(lines) == 5

    def test_kinds_and_slashes_do_not_mix(self) -> None:
        """All words are of one form."""
        with pytest.raises(CommandError, match="there is no need to specify a resource type"):
            parse(["pods", "svc/web"])

    def test_versions_that_are_none_are_refused(self) -> None:
        """The caller has to give one."""
        assert version_numbers("v1.35.2") == (1, 35)
        with pytest.raises(ValueError, match="is no version"):
            version_numbers("new")


class TestDocuments:
    """Formats for programs."""

    def test_one_object_is_itself(self, ask: Ask) -> None:
        """Named alone, it is not in a list."""
        assert json.loads(ask(CLUSTER, "svc web", output="json").stdout)["kind"] == "Service"
        assert json.loads(ask(CLUSTER, "svc/web", output="json").stdout)["kind"] == "Service"

    @pytest.mark.parametrize("words", ["svc", "po web-2 web-10", "svc/web po/web-2", "sts"])
    def test_several_are_a_list(self, ask: Ask, words: str) -> None:
        """So is a kind of which there is one, or none."""
        assert json.loads(ask(CLUSTER, words, output="json").stdout)["kind"] == "List"

    def test_an_empty_list_is_not_commented(self, ask: Ask) -> None:
        """Programs get what they asked for."""
        answer = ask(CLUSTER, "sts", output="yaml")
        assert answer.stdout == 'apiVersion: v1\nitems: []\nkind: List\nmetadata:\n  resourceVersion: ""\n'
        assert (answer.stderr, answer.status) == ("", 0)

    def test_a_missing_object_prints_nothing(self, ask: Ask) -> None:
        """Only the error."""
        answer = ask(CLUSTER, "svc nope", output="yaml")
        assert (answer.stdout, answer.status) == ("", 1)

    def test_yaml_is_the_manifest(self, ask: Ask) -> None:
        """As it was given, sorted by key."""
        text = ask(CLUSTER, "no/n1", output="yaml").stdout
        assert text.startswith("apiVersion: v1\nkind: Node\nmetadata:\n  name: n1\n")

    def test_custom_columns(self, ask: Ask) -> None:
        """One row an object."""
        answer = ask(CLUSTER, "po", output="custom-columns=N:.metadata.name,NODE:.spec.nodeName")
        assert answer.stdout == "N        NODE\nweb-10   n1\nweb-2    <none>\n"

    def test_templates_of_lists_and_of_one(self, ask: Ask) -> None:
        """There is no newline at the end."""
        assert ask(CLUSTER, "po", output="jsonpath={.items[*].metadata.name}").stdout == "web-10 web-2"
        assert ask(CLUSTER, "svc web", output="jsonpath={.spec.clusterIP}").stdout == "10.96.12.7"

    def test_errors_of_templates(self, ask: Ask) -> None:
        """They end with status 1."""
        answer = ask(CLUSTER, "svc web", output="jsonpath={.spec.ports[5]}")
        assert answer.status == 1
        assert answer.stderr.startswith(
            'error: error executing jsonpath "{.spec.ports[5]}": Error executing template: '
            "array index out of bounds: index 5, length 1. Printing more information"
        )


def test_words_become_targets() -> None:
    """What is asked can be compared and printed."""
    assert parse(["po,svc"]) == Request((Target("po"), Target("svc")))
    assert parse(["po", "a", "b"]) == Request((Target("po", "a"), Target("po", "b")))
    options = Options(output="jsonpath={.a}=b")
    assert parse(["deploy/web"], options) == Request(
        (Target("deploy", "web"),), options, "jsonpath", "{.a}=b"
    )


def test_the_store_is_asked_as_it_is() -> None:
    """The API server's store has what tables need, and the ages come from its clock."""
    store = Store(EventLoop(), EPOCH, random.Random(1))
    store.put(Pod(Meta(name="web", namespace="default")))
    answer = get(parse(["po"]), store, now=EPOCH + 90 * SECOND)
    assert answer.stdout.splitlines()[1].split() == ["web", "0/0", "Pending", "0", "90s"]

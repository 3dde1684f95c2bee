# SPDX-License-Identifier: GPL-2.0-only
"""The `Scenario` document: its steps' files, and what it expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from emu.cluster.sources import read_all
from emu.cluster.topology import Topology, load_topology
from emu.errors import DocumentError
from emu.sim.time import SECOND

HEAD = "apiVersion: emu/v1\nkind: Scenario\nspec:\n"
POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
"""
POD = "{apiVersion: v1, kind: Pod, metadata: {name: late}, spec: {containers: [{name: c, image: i}]}}"


def load(folder: Path, spec: str, **files: str) -> Topology:
    """Return what a Scenario with `spec` says, beside some files."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    path = folder / "scenario.yaml"
    path.write_text(HEAD + spec)
    return load_topology(read_all([str(path)]))


def faults(folder: Path, spec: str, **files: str) -> list[tuple[str, int, str, str]]:
    """Return what is wrong with it: file, line, path and words."""
    with pytest.raises(DocumentError) as caught:
        load(folder, spec, **files)
    return [(Path(each.file).name, each.line, each.path, each.message) for each in caught.value.faults]


def test_files_of_a_step_are_beside_the_document(tmp_path: Path) -> None:
    """They are read with it, wherever emu runs; their objects are no part of the cluster before."""
    found = load(tmp_path, "  steps:\n  - {at: 5s, run: apply -f policy.yaml}\n", policy=POLICY)
    assert found.objects == ()
    (step,) = found.steps
    assert [each.metadata.name for each in step.objects] == ["deny"]
    assert [(Path(each.file).name, each.line) for each in step.sources] == [("policy.yaml", 1)]
    assert (Path(step.file).name, step.line) == ("scenario.yaml", 5)


def test_a_step_may_hold_manifests_itself(tmp_path: Path) -> None:
    """One or a list of them; it is printed as a line that reads its standard input."""
    found = load(tmp_path, f"  steps:\n  - apply: {POD}\n  - {{at: 3s, apply: [{POD}]}}\n")
    assert [step.words for step in found.steps] == [("apply", "-f", "-")] * 2
    assert [each.metadata.name for step in found.steps for each in step.objects] == ["late", "late"]


def test_a_step_without_a_time_follows_the_one_before_it(tmp_path: Path) -> None:
    """In each document anew."""
    spec = (
        "  steps: [{at: 4s, run: get pods}, {run: get nodes}]\n---\n" + HEAD + "  steps: [{run: get svc}]\n"
    )
    found = load(tmp_path, spec)
    assert [(step.at // SECOND, step.words[1]) for step in found.steps] == [
        (0, "svc"),
        (4, "pods"),
        (4, "nodes"),
    ]


def test_all_that_is_wrong_with_steps_and_lines_is_told_at_once(tmp_path: Path) -> None:
    """Of the document and of the files that it names, each with its own place."""
    spec = """  steps:
  - {run: apply -f none.yaml}
  - {run: apply -f wrong.yaml}
  - {run: apply -f cluster.yaml}
  - {run: apply}
  - {run: aply -f wrong.yaml}
  - {run: apply -f -}
  - {run: get pods, apply: {}}
  - {apply: [3]}
  - {apply: {kind: Pod, apiVersion: v1, metadata: {name: A}}}
  expect:
  - a -> b NEVR
  - 7
  - a -> b NEVER because NO_SOKET
  expct: []
"""
    wrong = POLICY.replace("podSelector", "podSelectr")
    told = faults(tmp_path, spec, wrong=wrong, cluster="apiVersion: emu/v1\nkind: Cluster\n")
    places = {(file, line) for file, line, _, _ in told}
    expected = {("scenario.yaml", line) for line in (5, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18)}
    assert places == expected | {("cluster.yaml", 1), ("wrong.yaml", 4)}
    words = "\n".join(f"{path}: {message}" for _, _, path, message in told)
    assert "$.spec.steps[0].run: none.yaml: no such file or folder" in words
    assert "a step applies objects of Kubernetes alone" in words
    assert "must specify one of -f and -k" in words
    assert "did you mean 'apply'?" in words
    assert "has either run or apply" in words
    assert "$.spec.steps[7].apply[0]: must be a manifest, not 3" in words
    assert "$.spec.expect[0]: 'NEVR' is no verdict" in words
    assert "$.spec.expect[2]: 'NO_SOKET' is no reason code; did you mean 'NO_SOCKET'?" in words
    assert "unknown key; did you mean 'expect'?" in words


def test_expectations_know_where_they_stand(tmp_path: Path) -> None:
    """For the report of those that are not met."""
    found = load(tmp_path, "  expect:\n  - a -> b NEVER\n  - any pod -> any pod NO-NAT\n")
    assert [(each.place.rpartition("/")[2], each.path) for each in found.expectations] == [
        ("scenario.yaml:5", "$.spec.expect[0]"),
        ("scenario.yaml:6", "$.spec.expect[1]"),
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('path: "a b"', "must be a path that begins with /"),
        ('path: "/a b"', "has no blanks"),
        ('path: "/\\u00e4"', "non-ASCII characters, not '/ä'"),
        ('path: "/a\\nX: y"', "control or non-ASCII characters"),
        (
            "kind: tcp, keepAlive: true, connections: 3, sourcePort: 4000",
            "3 connections to one place cannot share a sourcePort",
        ),
        ("rate: 100000000/s", "100000000/s is more than 1000/s, which is the most"),
        (
            "until: 99999999999999h",
            "99999999999999h is more than a year, which is the most (8760h)",
        ),
    ],
)
def test_traffic_that_cannot_be_is_told_with_its_line(tmp_path: Path, keys: str, words: str) -> None:
    """And a value that is too big with what is the most."""
    spec = f"  traffic:\n  - {{name: a, from: b, to: svc/c, {keys}}}\n"
    ((_, line, _, found),) = faults(tmp_path, spec)
    assert (line, words in found) == (5, True), found


def test_hours_are_a_unit_of_time(tmp_path: Path) -> None:
    """Of steps and of traffic."""
    found = load(tmp_path, "  until: 1h30m\n  steps: [{at: 99h, run: get pods}]\n")
    assert (found.steps[0].at, found.until) == (99 * 3600 * SECOND, 5400 * SECOND)


def test_an_unknown_client_is_told_beside_those_that_have_a_name(tmp_path: Path) -> None:
    """A client whose name is wrong or absent is no blank in the list."""
    expect = '  expect: ["traffic/nobody lost 0"]\n'
    one = "{name: a, from: b, to: svc/c}"
    found = faults(tmp_path, f"  traffic: [{{from: b, to: svc/c}}, {one}, {{name: 3, from: b}}]\n{expect}")
    assert found[-1][-1] == "no traffic is called nobody (there is a)"
    found = faults(tmp_path, f"  traffic: [{{from: b, to: svc/c}}]\n{expect}")
    assert found[-1][-1] == "no traffic is called nobody (there is some without a name)"


WRONG_STEPS = {
    "link one": "link END [END] up|down|clear",
    "link one loss=abc": "loss must be a probability",
    "link one speed=3": "link END [END]",
    "scale deploy/web --replicas=-1": "scale KIND/[NS/]NAME --replicas=N",
    "scale deploy/web --replicas=many": "scale KIND/[NS/]NAME --replicas=N",
    "cordon": "name one node",
    "drain": "name one node",
    "drain one --forc": "unknown option --forc",
    "kill -11": "unknown option -11",
    "probe client nope fail": "'nope' is no probe",
    "probe client readiness fails": "a probe can fail or pass",
    "unready": "unready [NS/]POD",
    "stop one sshd": "stop NODE kubelet|kube-proxy",
    "fail one --fire": "fail NODE [--network",
    "reboot one --for=99999999999h": "reboot NODE [--for=30s]",
    "taint node one a=b:Wrong": "invalid taint effect: Wrong",
    "annotate pod/client": "annotate KIND/NAME KEY=VALUE",
    "label pod/client a=b=c": 'invalid label value: "a=b=c"',
    "rollout restrat deploy/web": "rollout restart|undo",
    "rollout status deploy/web --timeout=soon": "'soon' is no time",
    "set image deploy/web": "set image KIND/[NS/]NAME",
    "delete pod/client --grace-period=-5": "--grace-period is a number of seconds, not -5",
    "delete": "delete KIND/[NS/]NAME",
    "run probe": "--image",
    "exec": "exec [-n NS]",
}


def test_all_steps_whose_words_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    """Each with its line, before anything is done, in the words of the verb."""
    steps = "".join(f"  - run: {step}\n" for step in WRONG_STEPS)
    found = faults(tmp_path, f"  steps:\n{steps}")
    assert [line for _, line, _, _ in found] == list(range(5, 5 + len(WRONG_STEPS)))
    for (_, _, _, message), words in zip(found, WRONG_STEPS.values(), strict=True):
        assert words in message

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random
import uuid

import attrs
import pytest

from emu.errors import UnknownNameError
from emu.kube.api.objects import Node, Other, Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.store import Change, Store
from emu.sim.loop import EventLoop
from emu.sim.time import EPOCH, SECOND, Instant


@pytest.fixture
def store() -> Store:
    """An API server without objects at the start of time."""
    return Store(EventLoop(), EPOCH, random.Random(1))


def pod(name: str, namespace: str = "default", **labels: str) -> Pod:
    """Return a pod."""
    return Pod(Meta(name, namespace, labels=labels))


class TestPut:
    """An object is kept, and gets what the API server gives."""

    def test_a_new_object_gets_a_uid_a_time_and_a_revision(self, store: Store) -> None:
        """The time is that of the virtual clock."""
        store.loop.run_until(Instant(3 * SECOND))
        metadata = store.put(pod("a")).metadata
        assert metadata.creation_timestamp == "2025-01-01T00:00:03Z"
        assert metadata.resource_version == "1"
        assert uuid.UUID(metadata.uid).version == 4

    def test_what_a_dump_brings_is_kept(self, store: Store) -> None:
        """Its UID and its time of creation, for it refers to them elsewhere."""
        brought = Pod(Meta("a", "default", uid="u", creation_timestamp="2020-02-02T02:02:02Z"))
        metadata = store.put(brought).metadata
        assert (metadata.uid, metadata.creation_timestamp) == ("u", "2020-02-02T02:02:02Z")

    def test_a_change_keeps_uid_and_time_and_counts_on(self, store: Store) -> None:
        """Whatever the new object says of them."""
        first = store.put(pod("a"))
        store.loop.run_until(Instant(SECOND))
        second = store.put(Pod(Meta("a", "default", uid="other", labels={"x": "y"})))
        assert second.metadata.uid == first.metadata.uid
        assert second.metadata.creation_timestamp == first.metadata.creation_timestamp
        assert (first.metadata.resource_version, second.metadata.resource_version) == ("1", "2")

    def test_the_same_twice_tells_nobody_and_counts_nothing(self, store: Store) -> None:
        """So controllers come to rest."""
        heard: list[Change] = []
        first = store.put(pod("a"))
        store.watch(Pod, heard.append)
        assert store.put(pod("a")) is first
        assert store.put(first) is first
        assert (store.revision, heard) == (1, [])

    def test_no_two_objects_have_one_uid(self, store: Store) -> None:
        """However many there are."""
        assert len({store.put(pod(f"p{number}")).metadata.uid for number in range(100)}) == 100

    def test_one_that_was_deleted_comes_back_as_another(self, store: Store) -> None:
        """Its name is the same, its UID is not."""
        first = store.put(pod("a"))
        store.delete(Pod, "a", "default")
        assert store.put(pod("a")).metadata.uid != first.metadata.uid


class TestReading:
    """Objects are found by kind, namespace and name."""

    def test_a_list_is_sorted_by_namespace_and_name(self, store: Store) -> None:
        """As the API gives it; `each` has the order in which they were made."""
        for namespace, name in (("b", "a"), ("a", "c"), ("a", "b")):
            store.put(pod(name, namespace))
        assert [each.metadata.name for each in store.list(Pod)] == ["b", "c", "a"]
        assert [each.metadata.name for each in store.each(Pod)] == ["a", "c", "b"]
        assert [each.metadata.name for each in store.list(Pod, "b")] == ["a"]

    def test_a_list_is_of_its_moment(self, store: Store) -> None:
        """What comes later, or what its owner does to it, does not change another's."""
        store.put(pod("a"))
        found = store.list(Pod)
        store.put(pod("b"))
        found.clear()
        assert store.count(Pod) == len(store.list(Pod)) == 2

    def test_an_object_is_found_in_its_namespace_alone(self, store: Store) -> None:
        """And by its kind."""
        store.put(pod("a"))
        assert store.find(Pod, "a", "other") is None
        assert store.find(Node, "a", "default") is None
        assert store.get(Pod, "a", "default").metadata.name == "a"

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        """With its kind, namespace and name."""
        with pytest.raises(UnknownNameError, match="there is no Pod default/a"):
            store.get(Pod, "a", "default")
        with pytest.raises(UnknownNameError, match="there is no Node a"):
            store.get(Node, "a")

    def test_a_kind_that_nobody_reads_is_kept(self, store: Store) -> None:
        """By kind, namespace and name, the last one of them."""
        store.keep(Other("Secret", "v1", Meta("s", "default")))
        store.keep(Other("Secret", "v1", Meta("s", "default"), rest={"data": {}}))
        assert [other.rest for other in store.others.values()] == [{"data": {}}]

    @pytest.mark.parametrize(
        ("version", "kind", "namespace"),
        [
            ("v1", "Secret", "default"),
            ("policy/v1", "PodDisruptionBudget", "default"),
            ("extensions/v1beta1", "Deployment", ""),  # a group of its own
            ("networking.k8s.io/v1beta1", "Ingress", "default"),
            ("scheduling.k8s.io/v1", "PriorityClass", ""),
            ("networking.k8s.io/v1beta1", "IngressClass", ""),
            ("example.com/v1", "Secret", ""),
        ],
    )
    def test_what_names_no_namespace_is_in_default(
        self, store: Store, version: str, kind: str, namespace: str
    ) -> None:
        """If its kind is known to be in one at all."""
        store.keep(Other(kind, version, Meta("s")))
        assert list(store.others) == [(kind, namespace, "s")]
        assert store.others[kind, namespace, "s"].metadata.namespace == namespace


class TestWatching:
    """Watchers hear of changes at once."""

    def test_each_change_is_told_with_what_was_before(self, store: Store) -> None:
        """Added without an old one, deleted without a new one."""
        heard: list[tuple[str, str]] = []

        def hear(change: Change) -> None:
            words = [
                "" if each is None else each.metadata.labels.get("v", "?")
                for each in (change.old, change.new)
            ]
            heard.append((words[0], words[1]))

        store.watch(Pod, hear)
        store.put(pod("a", v="1"))
        store.put(pod("a", v="2"))
        store.delete(Pod, "a", "default")
        assert heard == [("", "1"), ("1", "2"), ("2", "")]

    def test_watchers_hear_in_the_order_in_which_they_began(self, store: Store) -> None:
        """So a run is the same each time."""
        heard: list[str] = []
        for name in ("first", "second", "third"):
            store.watch(Pod, lambda _, name=name: heard.append(name))  # type: ignore[misc]  # a default binds it
        store.put(pod("a"))
        assert heard == ["first", "second", "third"]

    def test_nobody_hears_of_another_kind(self, store: Store) -> None:
        """A watch is of one kind."""
        heard: list[Change] = []
        store.watch(Node, heard.append)
        store.put(pod("a"))
        assert heard == []

    def test_a_watcher_finds_in_the_store_what_it_was_told(self, store: Store) -> None:
        """The change is there before anybody hears of it."""
        found: list[int] = []
        store.watch(Pod, lambda _: found.append(store.count(Pod)))
        store.put(pod("a"))
        store.delete(Pod, "a", "default")
        assert found == [1, 0]

    def test_taking_away_what_is_not_there_is_nothing(self, store: Store) -> None:
        """Nobody hears of it."""
        heard: list[Change] = []
        store.watch(Pod, heard.append)
        assert store.delete(Pod, "a", "default") is None
        assert (heard, store.revision) == ([], 0)


def test_an_object_that_was_given_never_changes(store: Store) -> None:
    """A change is another object in its place."""
    first = store.put(pod("a"))
    store.put(attrs.evolve(first, metadata=attrs.evolve(first.metadata, labels={"x": "y"})))
    assert first.metadata.labels == {}

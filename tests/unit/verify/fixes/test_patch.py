# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

from emu.verify.fixes.patch import patch

if TYPE_CHECKING:
    from emu.verify.fixes.patch import Value


def lines(text: str) -> list[str]:
    """Return the lines of a text that begins and ends with a line break."""
    return text.strip("\n").splitlines()


class TestPatch:
    """What differs, beneath the keys that lead there."""

    def test_a_value_is_shown_as_it_was_and_as_it_should_be(self) -> None:
        """With the keys above it, and none beside it."""
        old: dict[str, Value] = {"spec": {"selector": {"app": "wbe"}, "type": "ClusterIP"}}
        new: dict[str, Value] = {"spec": {"selector": {"app": "web"}, "type": "ClusterIP"}}
        assert patch(old, new, 80) == lines("""
  spec:
    selector:
-     app: wbe
+     app: web
""")

    def test_an_item_is_known_by_its_short_neighbours(self) -> None:
        """Of a list the item that changes, and of that what tells it from others."""
        old: dict[str, Value] = {
            "ports": [{"name": "dns", "port": 53}, {"name": "http", "port": 80, "target": 80}]
        }
        new: dict[str, Value] = {
            "ports": [{"name": "dns", "port": 53}, {"name": "http", "port": 80, "target": 8080}]
        }
        assert patch(old, new, 80) == lines("""
  ports:
    - name: http
      port: 80
-     target: 80
+     target: 8080
""")

    def test_what_is_added_is_shown_whole(self) -> None:
        """A key that was not there, and an item behind the others."""
        old: dict[str, Value] = {"a": [1], "b": {}}
        new: dict[str, Value] = {"a": [1, {"deep": {"deeper": {"deepest": 1}}}], "b": {}, "c": {"d": [1, 2]}}
        assert patch(old, new, 80) == lines("""
  a:
+   - deep: {deeper: {deepest: 1}}
+ c: {d: [1, 2]}
""")

    def test_what_is_removed_is_shown_too(self) -> None:
        """A key, and items at the end or in the middle."""
        assert patch({"a": 1, "b": 2}, {"a": 1}, 80) == ["- b: 2"]
        assert patch({"a": [1, 2]}, {"a": [1]}, 80) == ["  a:", "-   - 2"]
        assert patch({"a": [1, 2, 3]}, {"a": [1, 3]}, 80) == ["  a:", "-   - 2"]

    def test_short_items_with_other_keys_are_shown_whole(self) -> None:
        """Else one would not see what belongs to which."""
        old: dict[str, Value] = {"from": [{"pod": {"app": "a"}, "space": {"team": "b"}}]}
        new: dict[str, Value] = {"from": [{"space": {"team": "b"}}, {"pod": {"app": "a"}}]}
        assert patch(old, new, 80) == lines("""
  from:
-   - pod: {app: a}
-     space: {team: b}
+   - space: {team: b}
+   - pod: {app: a}
""")

    def test_the_first_key_of_an_item_has_the_dash_both_times(self) -> None:
        """As it was and as it should be."""
        old: dict[str, Value] = {"ports": [{"port": 80, "long": "x" * 40}]}
        new: dict[str, Value] = {"ports": [{"port": 81, "long": "x" * 40}]}
        assert patch(old, new, 80) == ["  ports:", "-   - port: 80", "+   - port: 81"]

    def test_what_is_new_has_a_plus_everywhere(self) -> None:
        """The whole object."""
        new: dict[str, Value] = {
            "kind": "Policy",
            "spec": {"policyTypes": ["Egress"], "podSelector": {}},
        }
        assert patch(None, new, 30) == lines("""
+ kind: Policy
+ spec:
+   policyTypes: [Egress]
+   podSelector: {}
""")

    def test_another_kind_of_value_takes_its_place(self) -> None:
        """A list where there was a mapping, something where there was nothing."""
        assert patch({"a": {"b": 1}}, {"a": [1]}, 80) == ["- a: {b: 1}", "+ a: [1]"]
        assert patch({"a": {}}, {"a": {"b": 1}}, 80) == ["- a: {}", "+ a: {b: 1}"]

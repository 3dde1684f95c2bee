# SPDX-License-Identifier: GPL-2.0-only
"""What names may look like, in the words of the API.

Each rule is a function from a text to what is wrong with it, nothing if it is
well formed.

Source: staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Rule: TypeAlias = "Callable[[str], tuple[str, ...]]"

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"

_LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character"
)
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_UNDERSCORES: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character"
)
_LABEL_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
_WILDCARD_TEXT: Final = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
    "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_NAME_PART_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character"
)
_CONFIG_KEY_TEXT: Final = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_CACHED: Final = 16384


def _with_examples(text: str, pattern: str, *examples: str) -> str:
    """Return a rule's text as the API ends it; before each further example stand two blanks."""
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{text} (e.g. {listed}regex used for validation is '{pattern}')"


def _too_long(text: str, limit: int) -> tuple[str, ...]:
    return (f"must be no more than {limit} characters",) if len(text.encode()) > limit else ()


@lru_cache(_CACHED)
def label(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a label of RFC 1123."""
    long = _too_long(text, 63)
    if re.fullmatch(_LABEL, text):
        return long
    if re.fullmatch(_SUBDOMAIN, text):
        return (*long, "must not contain dots")
    return (*long, _with_examples(_LABEL_TEXT, _LABEL, "my-name", "123-abc"))


@lru_cache(_CACHED)
def subdomain(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a subdomain of RFC 1123."""
    long = _too_long(text, 253)
    if re.fullmatch(_SUBDOMAIN, text):
        return long
    return (*long, _with_examples(_SUBDOMAIN_TEXT, _SUBDOMAIN, "example.com"))


def label_1035(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a label of RFC 1035, which starts with a letter."""
    long = _too_long(text, 63)
    if re.fullmatch(_LABEL_1035, text):
        return long
    return (*long, _with_examples(_LABEL_1035_TEXT, _LABEL_1035, "my-name", "abc-123"))


def wildcard(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being `*.` and a subdomain."""
    long = _too_long(text, 253)
    pattern = rf"\*\.{_SUBDOMAIN}"
    if re.fullmatch(pattern, text):
        return long
    return (*long, _with_examples(_WILDCARD_TEXT, pattern, "*.example.com"))


def search_path(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a domain to search in, which may have underscores."""
    long = _too_long(text, 253)
    part = "[a-z0-9_]([-_a-z0-9]*[a-z0-9])?"
    pattern = rf"{part}(\.{part})*"
    if re.fullmatch(pattern, text):
        return long
    return (*long, _with_examples(_UNDERSCORES, pattern, "example.com"))


@lru_cache(_CACHED)
def port_name(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a service name of RFC 6335, section 5.1."""
    complaints = []
    if len(text) > 15:
        complaints.append("must be no more than 15 characters")
    if not re.fullmatch("[-a-z0-9]+", text):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in text:
        complaints.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return tuple(complaints)


@lru_cache(_CACHED)
def qualified_name(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a key of labels: a name, before which a domain and `/` may stand."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        tail = _with_examples(_NAME_PART_TEXT, _NAME_PART, "MyName", "my.name", "123-abc")
        domain = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return (f"a qualified name {tail} {domain}",)
    complaints = []
    if slash and not prefix:
        complaints.append("prefix part must be non-empty")
    elif slash:
        complaints += [f"prefix part {one}" for one in subdomain(prefix)]
    if not name:
        complaints.append("name part must be non-empty")
    complaints += [f"name part {one}" for one in _too_long(name, 63)]
    if not re.fullmatch(_NAME_PART, name):
        tail = _with_examples(_NAME_PART_TEXT, _NAME_PART, "MyName", "my.name", "123-abc")
        complaints.append(f"name part {tail}")
    return tuple(complaints)


@lru_cache(_CACHED)
def label_value(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being the value of a label."""
    long = _too_long(text, 63)
    if not text or re.fullmatch(_NAME_PART, text):
        return long
    return (*long, _with_examples(_VALUE_TEXT, f"({_NAME_PART})?", "MyValue", "my_value", "12345"))


def config_key(text: str) -> tuple[str, ...]:
    """Say what keeps `text` from being a key of a ConfigMap or Secret."""
    long = _too_long(text, 253)
    if text in {".", ".."} or text.startswith(".."):
        return (*long, "must not be '.'" if text == "." else "must not start with '..'")
    if re.fullmatch(_CONFIG_KEY, text):
        return long
    return (*long, _with_examples(_CONFIG_KEY_TEXT, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))

# SPDX-License-Identifier: GPL-2.0-only
"""jsonpath templates as kubectl reads them."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.kube.tables.formats.jsonpath import render

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json

WEB: Json = {
    "kind": "Service",
    "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "web", "tier": "a"}},
    "spec": {
        "clusterIP": "10.96.12.7",
        "ports": [
            {"name": "http", "port": 80, "nodePort": 30080},
            {"name": "https", "port": 443, "weight": 0.5, "on": True},
        ],
        "selector": {"app": "web", "note": "<&>"},
        "nothing": None,
    },
}
LIST: Json = {"kind": "List", "items": [WEB, {"kind": "Service", "metadata": {"name": "db"}}]}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.metadata.name}", "web"),
        ("{$.metadata.name}", "web"),
        ("{@.metadata.name}", "web"),
        ("name: {.metadata.name}!", "name: web!"),
        (".metadata.name", ".metadata.name"),
        ("{.spec.ports[*].port}", "80 443"),
        ("{.spec.ports[0].port}", "80"),
        ("{.spec.ports[-1].port}", "443"),
        ("{.spec.ports[-2:].port}", "80 443"),
        ("{.spec.ports[0:2].name}", "http https"),
        ("{.spec.ports[:1].name}", "http"),
        ("{.spec.ports[1:].name}", "https"),
        ("{.spec.ports[0:2:2].name}", "http"),
        ("{.spec.ports[].name}", "http"),
        ("{.spec.ports[1:1].name}", ""),
        ("{.spec.ports[0,1].name}", "http https"),
        ("{.spec.selector['app','note']}", "web <&>"),
        (r"{.metadata.labels.app\.kubernetes\.io/name}", "web"),
        (r"{.metadata.labels['app\.kubernetes\.io/name']}", "web"),
        ("{.metadata.labels['app.kubernetes.io/name']}", "web"),
        ("{['metadata.name']}", "web"),
        ("{..name}", "web http https"),
        ("{.spec..port}", "80 443"),
        ("{.metadata.labels.*}", "web a"),
        ('{.spec.ports[?(@.name=="http")].port}', "80"),
        ("{.spec.ports[?(@.name=='http')].port}", "80"),
        ('{.spec.ports[?(@.name!="http")].port}', "443"),
        ("{.spec.ports[?(@.port>80)].name}", "https"),
        ("{.spec.ports[?(@.port<=80)].name}", "http"),
        ("{.spec.ports[?(@.nodePort)].name}", "http"),
        ("{.spec.ports[?(@.on==true)].name}", "https"),
        ("{.spec.ports[?(@.weight==0.5)].name}", "https"),
        ('{.spec.ports[?(@.absent=="x")].name}', ""),
        ("{.spec.ports[1].weight} {.spec.ports[1].on}", "0.5 true"),
        ("{.spec.nothing}", "null"),
        ("{.nope.at.all}", ""),
        ('{.kind}{"\\n"}{"\\t"}{\'x\'}', "Service\n\tx"),
        ('{"\\u00e9\\x41\\101"}', "éAA"),
        ("{.spec.selector}", '{"app":"web","note":"\\u003c\\u0026\\u003e"}'),
        ("{.spec.ports[0]}", '{"name":"http","nodePort":30080,"port":80}'),
        (
            "{}",
            json.dumps(WEB, sort_keys=True, separators=(",", ":")).replace("<&>", "\\u003c\\u0026\\u003e"),
        ),
        ("a}b", "a}b"),
    ],
)
def test_templates_find_what_kubectl_finds(template: str, text: str) -> None:
    """Each form of the language gives the text that kubectl prints, without a newline at the end."""
    assert render(template, WEB) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].metadata.name}", "web db"),
        ("{.items[?(@.spec)].metadata.name}", "web"),
        ('{range .items[*]}{.metadata.name}={.spec.clusterIP}{"\\n"}{end}.', "web=10.96.12.7\ndb=\n."),
        ("{range .items[*]}[{range .spec.ports[*]}{.port},{end}]{end}{.kind}", "[80,443,][]List"),
        ("{range .nope[*]}x{end}y", "y"),
        ("{range .items[*]}x", "xxx"),
    ],
)
def test_ranges_repeat_their_body(template: str, text: str) -> None:
    """The body of a range is printed for each value, and what is behind its end once."""
    assert render(template, LIST) == text


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{.spec.ports[5]}", "array index out of bounds: index 5, length 2"),
        ("{.spec.ports[0:5]}", "array index out of bounds: index 4, length 2"),
        ("{.spec.ports[-3]}", "array index out of bounds: index -1, length 2"),
        ("{.spec.ports[1:0]}", "starting index 1 is greater than ending index 0"),
        ("{.spec.ports[0:2:0]}", "step must be > 0"),
        ("{.spec[0]}", "map[string]interface {} is not array or slice"),
        ("{.kind[0]}", "string is not array or slice"),
        ('{.metadata.labels[?(@.a=="b")]}', "map[app.kubernetes.io/name:web tier:a] is not array or slice"),
        ("{end}", "not in range, nothing to end"),
        ("{hello}", "unrecognized identifier hello"),
        ('{.spec.ports[?(@.port=="80")]}', "incompatible types for comparison"),
        ("{.spec.ports[?(@.on<true)]}", "invalid type for comparison"),
        ("{.spec.ports[?(@.port=<80)]}", "unrecognized filter operator =<"),
        ("{.spec.ports[?(@..name==1)]}", "incompatible types for comparison"),
        ("{.spec.ports[?(@.*==1)]}", "can only compare one element at a time"),
    ],
)
def test_what_cannot_be_answered_is_complained_of(template: str, complaint: str) -> None:
    """The complaint names the template, what is wrong, and shows the object as Go would."""
    with pytest.raises(CommandError) as caught:
        render(template, WEB)
    quoted = template.replace('"', '\\"')
    assert str(caught.value).startswith(
        f'error executing jsonpath "{quoted}": Error executing template: {complaint}'
    )
    assert ". Printing more information for debugging the template:\n\ttemplate was:\n\t\t" in str(
        caught.value
    )
    assert str(caught.value).endswith("\n\n")
    assert caught.value.status == 1


def test_the_object_is_shown_with_its_types() -> None:
    """Maps, lists, texts, numbers and null are written as in Go's source."""
    value: Json = {"b": [1, 1.5, "x\n", None, True], "a": {}}
    with pytest.raises(CommandError) as caught:
        render("{.b[9]}", value)
    assert (
        'map[string]interface {}{"a":map[string]interface {}{}, '
        '"b":[]interface {}{1, 1.5, "x\\n", interface {}(nil), true}}' in str(caught.value)
    )


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{.a", "unclosed action"),
        ("{.a\n}", "unclosed action"),
        ("{[0}", "unterminated array"),
        ("{[a]}", "invalid array index a"),
        ("{[99999999999999999999]}", "array index 99999999999999999999 is not a number"),
        ("{[?(@.a==1}", "unterminated filter"),
        ("{[?(@.a==1)}", "unclosed array expect ]"),
        ('{"a}', "unterminated quoted string"),
        ('{"\\q"}', 'unquote string "\\q" error invalid syntax'),
        ("{....a}", "invalid multiple recursive descent"),
        ("{*}", "unrecognized character in action: U+002A '*'"),
        ("{1.2.3}", "cannot parse number 1.2.3"),
    ],
)
def test_templates_that_are_wrong_are_refused(template: str, complaint: str) -> None:
    """What cannot be read is told before anything is asked."""
    with pytest.raises(CommandError) as caught:
        render(template, WEB)
    assert str(caught.value) == f"error parsing jsonpath {template}, {complaint}"


def test_no_template_is_refused() -> None:
    """`-o jsonpath` alone is not enough."""
    with pytest.raises(CommandError, match=r"^template format specified but no template given$"):
        render("", WEB)


def test_as_json_prints_each_group_as_a_list() -> None:
    """`-o jsonpath-as-json` gives lists, four blanks a level."""
    assert render("{.spec.ports[*].port}", WEB, as_json=True) == "[\n    80,\n    443\n]\n"


HOSTILE = (
    "{" + "..a.*" * 200 + "}",
    "{..[*]}" * 2000,
    "{}" * 20000,
    "{range .a[*]}" * 30,
    "{" + "[?(@.a" * 60 + ")]" * 60 + "}",
    "{" + "[0," * 500 + "]" * 500 + "}",
    "{range ..a}{range ..a}{range ..a}{.}",
    "{" * 50_000,
    "x" * 100_000,
    "{" + "9" * 60_000 + "}",
)


@pytest.mark.parametrize("template", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_templates_end_soon(template: str) -> None:
    """However a template multiplies, the work is bounded by the size of what it asks."""
    nested: Json = {}
    for _ in range(40):
        nested = {"a": [nested, 1, 2]}
    begin = time.perf_counter()
    with suppress(CommandError):
        render(template, nested)
    assert time.perf_counter() - begin < 2


@given(st.text(alphabet="{}[]().*?@$'\"\\ab1:,-= \n", max_size=40))
def test_any_text_is_answered_or_refused(template: str) -> None:
    """No template ends in anything but text or a complaint."""
    with suppress(CommandError):
        assert isinstance(render(template, WEB), str)

# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

import pytest

from emu.kube.api.objects import Pod
from emu.kube.api.objects.container import Container, ContainerPort, EnvVar
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodSpec
from emu.kube.kubelet.serving import faults, image_name, listeners


def said(container: Container, **notes: str) -> list[str]:
    """Return what a container listens on, as `tcp/80` or `tcp/80=text`."""
    annotations = {key.replace("_", "/", 1).replace("_", "."): text for key, text in notes.items()}
    pod = Pod(Meta("web", "default", annotations=annotations), PodSpec((container,)))
    return [
        f"{each.protocol.lower()}/{each.port}" + ("" if each.text is None else f"={each.text}")
        for each in listeners(pod, container)
    ]


def container(image: str = "x", *args: str, **fields: Any) -> Container:  # noqa: ANN401 - fields
    """Return a container `main`."""
    return Container("main", image, args=args, **fields)


PORTS = (ContainerPort(8080), ContainerPort(53, protocol="UDP"), ContainerPort(9, protocol="SCTP"))


class TestOrder:
    """What is said first wins: annotation, arguments, ports, image."""

    def test_the_annotation_wins_over_everything(self) -> None:
        """Ports and image are not asked."""
        assert said(container("nginx", ports=PORTS), emu_serve="tcp/1, udp/2 , sctp/3=ho ho") == [
            "tcp/1",
            "udp/2",
            "sctp/3=ho ho",
        ]

    def test_an_annotation_for_one_container_wins_over_that_for_all(self) -> None:
        """`emu/serve.main` is of the container `main`."""
        assert said(container(), emu_serve="tcp/1", emu_serve_main="none") == []
        assert said(container(), emu_serve="tcp/1", emu_serve_other="none") == ["tcp/1"]

    def test_ports_are_listened_on(self) -> None:
        """By their protocols."""
        assert said(container("redis", ports=PORTS)) == ["tcp/8080", "udp/53", "sctp/9"]

    @pytest.mark.parametrize(
        ("image", "expected"),
        [
            ("nginx", ["tcp/80"]),
            ("docker.io/library/nginx:1.27@sha256:0123", ["tcp/80"]),
            ("localhost:5000/redis", ["tcp/6379"]),
            ("busybox", []),
        ],
    )
    def test_a_known_image_has_its_port(self, image: str, expected: list[str]) -> None:
        """Whatever its registry, tag and digest."""
        assert said(container(image)) == expected

    def test_a_command_takes_the_place_of_the_images_program(self) -> None:
        """`sleep` in the image nginx listens on nothing."""
        assert said(container("nginx", command=("sleep", "9"))) == []

    def test_a_port_that_is_named_twice_is_listened_on_once(self) -> None:
        """Two names for one port are one socket."""
        ports = (ContainerPort(80, "http"), ContainerPort(80, "metrics"), ContainerPort(80, protocol="UDP"))
        assert said(container(ports=ports)) == ["tcp/80", "udp/80"]
        assert said(container(), emu_serve="tcp/80=first, tcp/80=second") == ["tcp/80=first"]


class TestAgnhost:
    """The image of Kubernetes' own tests does what its arguments say."""

    @pytest.mark.parametrize(
        ("args", "expected"),
        [
            (("netexec",), ["tcp/8080", "udp/8081"]),
            (("netexec", "--http-port=80", "--udp-port", "90"), ["tcp/80", "udp/90"]),
            (("netexec", "--sctp-port=100", "--udp-port=-1"), ["tcp/8080", "sctp/100"]),
            (("/agnhost", "netexec", "--http-port", "83"), ["tcp/83", "udp/8081"]),
            (("serve-hostname",), ["tcp/9376"]),
            (("serve-hostname", "--tcp", "--http=false", "--port", "80"), ["tcp/80"]),
            (("serve-hostname", "--udp", "--port=81"), ["tcp/81", "udp/81"]),
            (("test-webserver",), ["tcp/80"]),
            (("test-webserver", "--port=99999"), ["tcp/80"]),
            (("netexec", "--http-port=\N{SUPERSCRIPT TWO}", "--udp-port=-1"), ["tcp/8080"]),
            (("pause",), []),
            ((), []),
        ],
    )
    def test_listens_as_told(self, args: tuple[str, ...], expected: list[str]) -> None:
        """Options with `=` or a blank; what is left out has agnhost's defaults."""
        image = "registry.k8s.io/e2e-test-images/agnhost:2.53"
        assert said(Container("main", image, args=args)) == expected

    def test_porter_takes_its_ports_from_the_environment(self) -> None:
        """One for each variable, with its value as the answer."""
        env = (
            EnvVar("SERVE_PORT_80", "foo"),
            EnvVar("SERVE_SCTP_PORT_81", "bar"),
            EnvVar("SERVE_PORT_99999", "x"),
        )
        assert said(container("agnhost", "porter", env=env)) == ["tcp/80=foo", "sctp/81=bar"]

    def test_http_echo_answers_its_text(self) -> None:
        """The image of HashiCorp, for trying Services out."""
        found = said(container("hashicorp/http-echo", "-text=hello", "-listen=:8080"))
        assert found == ["tcp/8080=hello\n"]
        assert said(container("hashicorp/http-echo", "-text=x", "-listen=:70000")) == ["tcp/5678=x\n"]


class TestFaults:
    """What an annotation says and nobody can read is told."""

    @pytest.mark.parametrize("text", ["tcp/80", "none", "", " tcp/80 , udp/53=a b ", "sctp/1=x=y"])
    def test_what_is_right_has_none(self, text: str) -> None:
        """Blanks around items do not matter."""
        assert faults(text) == []

    @pytest.mark.parametrize("item", ["80", "http/80", "tcp/0", "tcp/65536", "TCP/80", "tcp:80", "tcp/"])
    def test_the_items_that_are_wrong_are_named(self, item: str) -> None:
        """The others are read all the same."""
        assert faults(f"tcp/1, {item}") == [item]


def test_an_images_name_is_its_last_part() -> None:
    """Without registry, tag and digest."""
    assert image_name("registry:5000/a/b/web:v1@sha256:00") == "web"

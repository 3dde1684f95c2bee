# SPDX-License-Identifier: GPL-2.0-only
"""An Ingress controller in a cluster: what clients get, and what endpoints see of them."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner

import emu
from emu.apps.tls.certificates import ROOT, issue
from emu.cli import cli
from emu.cluster.cluster import Cluster
from emu.kube.api.objects import Deployment, Event, Ingress, Pod
from emu.sim.time import SECOND
from emu.verify.pages import look

if TYPE_CHECKING:
    from emu.apps.tools.finished import Finished

TOPOLOGY: Final = Path(__file__).parents[2] / "topologies" / "ingress.yaml"
BAD_GATEWAY: Final = TOPOLOGY.parent / "failures" / "ingress-bad-gateway.yaml"
NODE: Final = "172.18.0.3"  # of the controller's pod


def pod(name: str, serve: str, **labels: str) -> dict[str, object]:
    """Return a pod that answers."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": name, **labels},
            "annotations": {"emu/serve": serve} if serve else {},
        },
        "spec": {"containers": [{"name": "c", "image": "agnhost", "args": ["netexec"]}]},
    }


def service(name: str, port: int = 80, target: int = 8080, **spec: object) -> dict[str, object]:
    """Return a Service of the pods of its name."""
    ports = [{"port": port, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def path(path: str, name: str, kind: str = "Prefix", port: int | str = 80) -> dict[str, object]:
    """Return a path of a rule."""
    key = "number" if isinstance(port, int) else "name"
    return {"path": path, "pathType": kind, "backend": {"service": {"name": name, "port": {key: port}}}}


def ingress(name: str, rules: dict[str, list[object]], **more: object) -> dict[str, object]:
    """Return an Ingress; `notes` are ingress-nginx' annotations, the others of its spec."""
    notes = more.pop("notes", {})
    assert isinstance(notes, dict)
    annotations = {f"nginx.ingress.kubernetes.io/{key}": text for key, text in notes.items()}
    made = [{**({"host": host} if host else {}), "http": {"paths": paths}} for host, paths in rules.items()]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"rules": made, **more} if made else more,
    }


def secret(name: str, *names: str, by: str | None = ROOT) -> dict[str, object]:
    """Return a Secret with a certificate for names."""
    made = issue(names, by=by)
    data = {
        "tls.crt": base64.b64encode(made.certificate.encode()).decode(),
        "tls.key": base64.b64encode(made.key.encode()).decode(),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/tls",
        "data": data,
    }


OBJECTS: Final[list[dict[str, object]]] = [
    pod("web-1", "", app="web"),
    pod("web-2", "", app="web"),
    service("web"),
    pod("refusing", "tcp/9999"),
    service("refusing"),
    service("nobody"),
    pod("text", "tcp/8080=a text"),
    service("text"),
    pod("secure", "https/8443=secure"),
    service("secure", 443, 8443),
    {
        **service("outside"),
        "spec": {"type": "ExternalName", "externalName": "api.example.com", "ports": [{"port": 80}]},
    },
    secret("good", "good.example"),
    secret("other", "somebody.else"),
    {**secret("broken", "broken.example"), "data": {"tls.crt": "", "tls.key": ""}},
    ingress(
        "plain",
        {
            "plain.example": [
                path("/", "web"),
                path("/text", "text", "Exact"),
                path("/refusing", "refusing"),
                path("/nobody", "nobody"),
                path("/gone", "no-such-service"),
                path("/port", "text", port=81),
                path("/outside", "outside"),
            ],
            "only.example": [path("/text", "text")],
        },
    ),
    ingress(
        "tls",
        {
            "good.example": [path("/", "text")],
            "missing.example": [path("/", "text")],
            "mismatch.example": [path("/", "text")],
            "broken.example": [path("/", "text")],
        },
        tls=[
            {"hosts": ["good.example"], "secretName": "good"},
            {"hosts": ["missing.example"], "secretName": "nowhere"},
            {"hosts": ["mismatch.example"], "secretName": "other"},
            {"hosts": ["broken.example"], "secretName": "broken"},
        ],
    ),
    ingress(
        "annotated",
        {"annotated.example": [path("/app(/|$)(.*)", "web", "ImplementationSpecific")]},
        notes={"rewrite-target": "/$2", "affinity": "cookie", "proxy-read-timeout": "soon"},
    ),
    ingress(
        "secure-backend",
        {"secure.example": [path("/", "secure", port=443)]},
        notes={"backend-protocol": "HTTPS"},
    ),
    ingress(
        "guarded", {"guarded.example": [path("/", "text")]}, notes={"allowlist-source-range": "10.0.0.0/8"}
    ),
    ingress("everything", {}, defaultBackend={"service": {"name": "text", "port": {"number": 80}}}),
    {
        "apiVersion": "emu/v1",
        "kind": "Fabric",
        "spec": {
            "external": [
                {"name": "laptop", "ip": "198.51.100.7"},
                {"name": "api.example.com", "ip": "192.0.2.80", "serves": ["tcp/80"]},
            ]
        },
    },
]


def make(folder: Path, objects: list[dict[str, object]]) -> Cluster:
    """Return a cluster with these objects."""
    file = folder / "objects.yaml"
    file.write_text("\n---\n".join(json.dumps(each) for each in objects))
    found = emu.load(file)
    assert isinstance(found, Cluster)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Return a cluster that no test changes."""
    return make(tmp_path_factory.mktemp("ingress"), OBJECTS)


def curl(cluster: Cluster, words: str) -> Finished:
    """Run curl on the laptop."""
    return cluster.external("laptop").execute(["curl", "-sS", *words.split()])


def address(cluster: Cluster) -> str:
    """Return where Ingresses are reached."""
    return next(cluster.store.each(Ingress)).status.load_balancer.ingress[0].ip


def code(cluster: Cluster, words: str) -> str:
    """Return the status that curl gets."""
    return curl(cluster, f"-o /dev/null -w %{{http_code}} {words}").stdout


class TestRouting:
    """Hosts and paths."""

    @pytest.mark.parametrize(
        ("url", "status"),
        [
            ("http://plain.example/hostname", "200"),
            ("http://plain.example/text", "200"),
            ("http://plain.example/text/x", "404"),  # of the pod behind /
            ("http://plain.example/refusing", "502"),
            ("http://plain.example/nobody", "503"),
            ("http://plain.example/gone", "503"),
            ("http://plain.example/port", "503"),
            ("http://only.example/other", "404"),
            ("http://guarded.example/", "403"),
        ],
    )
    def test_statuses_are_those_that_users_know(self, cluster: Cluster, url: str, status: str) -> None:
        """Of endpoints, of their absence, and of paths that nobody has."""
        assert code(cluster, url) == status

    def test_pages_are_nginx_own(self, cluster: Cluster) -> None:
        """To the octet."""
        assert curl(cluster, "http://plain.example/nobody").stdout == (
            "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
            "<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n"
            "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        )

    def test_what_meets_no_host_goes_to_the_default_backend(self, cluster: Cluster) -> None:
        """By address, by another name; a host with rules of its own keeps its 404."""
        node = address(cluster)
        assert curl(cluster, f"http://{node}/").stdout == "a text"
        assert curl(cluster, f"-H Host:nobody.example http://{node}/x").stdout == "a text"

    def test_endpoints_are_asked_in_turn(self, cluster: Cluster) -> None:
        """Six requests, three for each."""
        names = [curl(cluster, "http://plain.example/hostname").stdout for _ in range(6)]
        assert sorted(names) == ["web-1"] * 3 + ["web-2"] * 3
        assert names[0] != names[1]

    def test_paths_are_rewritten(self, cluster: Cluster) -> None:
        """The endpoint is asked for what the annotation says."""
        assert curl(cluster, "http://annotated.example/APP/echo?msg=hello").stdout == "hello"

    def test_endpoints_can_speak_tls(self, cluster: Cluster) -> None:
        """With any certificate."""
        assert curl(cluster, "http://secure.example/").stdout == "secure"

    def test_a_name_outside_can_be_behind_it(self, cluster: Cluster) -> None:
        """An ExternalName is looked up by the controller's pod."""
        assert curl(cluster, "http://plain.example/outside").stdout == "api.example.com\n"


class TestHeaders:
    """What endpoints see."""

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("X-Real-IP", "198.51.100.7"),
            ("X-Forwarded-For", "198.51.100.7"),
            ("X-Forwarded-Host", "plain.example"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Port", "80"),
            ("X-Scheme", "http"),
            ("Host", "plain.example"),
            ("User-Agent", "curl/8.14.1"),
            ("X-Original-Forwarded-For", "1.2.3.4"),
            ("X-Own", "kept"),
            ("Connection", ""),
        ],
    )
    def test_fields_say_who_asked(self, cluster: Cluster, field: str, value: str) -> None:
        """Those of a client that would have itself taken for another are replaced."""
        words = f"-H X-Forwarded-For:1.2.3.4 -H X-Own:kept http://plain.example/header?key={field}"
        assert curl(cluster, words).stdout == value

    def test_the_endpoint_sees_the_controllers_pod(self, cluster: Cluster) -> None:
        """A pod address is the source, not the client's."""
        seen = curl(cluster, "http://plain.example/clientip").stdout
        own = [each for each in cluster.store.each(Pod) if each.metadata.namespace == "ingress-nginx"]
        assert seen.rpartition(":")[0] == own[0].status.pod_ip


class TestTls:
    """Certificates by name, and what is shown without one."""

    def test_a_certificate_comes_from_its_secret(self, cluster: Cluster) -> None:
        """It is looked at, and the page is there."""
        found = curl(cluster, "-i https://good.example/")
        assert found.stderr == ""
        assert found.stdout.splitlines()[-1] == "a text"
        assert "Strict-Transport-Security: max-age=31536000; includeSubDomains" in found.stdout

    @pytest.mark.parametrize(
        "host", ["missing.example", "mismatch.example", "broken.example", "plain.example"]
    )
    def test_without_a_fitting_secret_the_fake_certificate_is_shown(
        self, cluster: Cluster, host: str
    ) -> None:
        """Absent, for other names, empty, or never asked for."""
        refused = curl(cluster, f"https://{host}/")
        assert refused.status == 60
        assert "SSL certificate problem: self-signed certificate" in refused.stderr
        told = curl(cluster, f"-vk https://{host}/").stderr
        assert "subject: O=Acme Co; CN=Kubernetes Ingress Controller Fake Certificate" in told

    def test_what_is_amiss_is_told_by_name(self, cluster: Cluster) -> None:
        """Once for each Secret and each annotation."""
        told = "\n".join(cluster.warnings)
        fake = "has the Kubernetes Ingress Controller Fake Certificate (TLS_DEFAULT_CERT)"
        for words in (
            f"Ingress default/tls: Secret default/nowhere is not there: missing.example {fake}",
            "Secret default/other has a certificate for other names: mismatch.example",
            "Secret default/broken has no tls.crt and tls.key: broken.example",
            "Ingress default/annotated: annotation nginx.ingress.kubernetes.io/affinity is not modelled",
            "annotation nginx.ingress.kubernetes.io/proxy-read-timeout: 'soon' cannot be read",
        ):
            assert words in told

    @pytest.mark.parametrize(
        ("url", "location"),
        [
            ("http://good.example/", "https://good.example"),
            ("http://good.example/a/b?c=d", "https://good.example/a/b?c=d"),
            ("http://good.example/a/", "https://good.example/a"),
            ("http://missing.example/", "https://missing.example"),
        ],
    )
    def test_plain_requests_are_sent_to_https(self, cluster: Cluster, url: str, location: str) -> None:
        """By 308, where the host has TLS, with whatever certificate."""
        words = f"-o /dev/null -w %{{http_code}}-%header{{location}} {url}"
        assert curl(cluster, words).stdout == f"308-{location}"

    def test_who_speaks_no_tls_at_its_port_is_told_so(self, cluster: Cluster) -> None:
        """In nginx' words."""
        found = curl(cluster, "http://good.example:443/")
        assert "The plain HTTP request was sent to HTTPS port" in found.stdout

    def test_the_name_in_the_hello_and_the_host_are_two_things(self, cluster: Cluster) -> None:
        """The certificate is for the one, the page for the other."""
        found = curl(cluster, "-H Host:only.example https://good.example/text")
        assert (found.stdout, found.status) == ("a text", 0)


class TestStatus:
    """What the API shows."""

    def test_ingresses_have_the_nodes_address(self, cluster: Cluster) -> None:
        """That of the controller's pod, which has ports of its node."""
        own = [each for each in cluster.store.each(Pod) if each.metadata.namespace == "ingress-nginx"]
        for each in cluster.store.list(Ingress):
            assert [one.ip for one in each.status.load_balancer.ingress] == [own[0].status.host_ip]

    def test_the_controller_says_that_it_has_seen_them(self, cluster: Cluster) -> None:
        """By an event."""
        told = [each for each in cluster.store.each(Event) if each.reason == "Sync"]
        assert {each.involved_object.name for each in told} >= {"plain", "tls"}

    def test_nothing_is_installed_where_nobody_wants_it(self, tmp_path: Path) -> None:
        """For a class of another controller; and that nobody serves it is said."""
        other: list[dict[str, object]] = [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": "traefik"},
                "spec": {"controller": "traefik.io/ingress-controller"},
            },
            ingress("web", {"web.example": [path("/", "web")]}, ingressClassName="traefik"),
        ]
        found = make(tmp_path, other)
        assert found.store.find(Deployment, "ingress-nginx-controller", "ingress-nginx") is None
        words = "Ingress default/web: no controller that is modelled serves the class traefik"
        assert any(each.startswith(words) for each in found.warnings)

    def test_the_cluster_document_can_leave_it_out(self, tmp_path: Path) -> None:
        """`addons: {ingress: none}`."""
        wish: dict[str, object] = {
            "apiVersion": "emu/v1",
            "kind": "Cluster",
            "spec": {"addons": {"ingress": "none"}},
        }
        found = make(tmp_path, [wish, ingress("web", {"web.example": [path("/", "web")]})])
        assert found.store.find(Deployment, "ingress-nginx-controller", "ingress-nginx") is None


class TestChange:
    """What happens later."""

    def test_a_slow_endpoint_ends_in_a_504(self, tmp_path: Path) -> None:
        """A minute for the connection that is kept, five seconds for each new one; then for those alone."""
        found = make(
            tmp_path,
            [
                pod("text", "tcp/8080=a text"),
                service("text"),
                ingress("i", {"a.example": [path("/", "text")]}),
            ],
        )
        assert curl(found, "http://a.example/").stdout == "a text"
        found.do("exec text -- iptables -A INPUT -p tcp --dport 8080 -j DROP", settle=False)
        for seconds in (70, 15):
            begin = found.fabric.loop.now
            assert code(found, "http://a.example/") == "504"
            assert found.fabric.loop.now - begin == seconds * SECOND

    def test_new_endpoints_and_secrets_are_taken_up(self, tmp_path: Path) -> None:
        """Within a second, and a certificate at the next handshake."""
        tls = [{"hosts": ["a.example"], "secretName": "late"}]
        found = make(
            tmp_path,
            [pod("text", "tcp/8080=a text"), ingress("i", {"a.example": [path("/", "text")]}, tls=tls)],
        )
        assert code(found, "-k https://a.example/") == "503"
        assert curl(found, "https://a.example/").status == 60
        found.apply(service("text"), secret("late", "a.example"))
        assert curl(found, "https://a.example/").stdout == "a text"


class TestTrace:
    """`emu trace FROM URL`: the way, then the page, and whose rules its answer follows."""

    @pytest.mark.parametrize(
        ("url", "status", "lines"),
        [
            (
                "https://shop.example/cart",
                0,
                [
                    "ALWAYS  ext/laptop -> https://shop.example/cart  HTTP 200\n",
                    "http     GET https://shop.example/cart: 200",
                    "rules    Ingress shop/shop sends shop.example/cart to Service shop/cart:80",
                ],
            ),
            (
                "http://172.18.0.3/",
                1,
                [
                    "ALWAYS  http://172.18.0.3/  HTTP 404 from the Ingress controller   HTTP_NO_ROUTE\n",
                    "http     GET http://172.18.0.3/: 404",
                    "rules    no Ingress has the host 172.18.0.3: there are *.shop.example, shop.example",
                    "   HTTP_NO_ROUTE",
                ],
            ),
            (
                "https://172.18.0.3/",
                1,
                [
                    "ALWAYS  ext/laptop -> https://172.18.0.3/  certificate refused  TLS_DEFAULT_CERT\n",
                    "http     GET https://172.18.0.3/: 404",
                    "tls      SSL certificate problem: self-signed certificate   TLS_DEFAULT_CERT",
                ],
            ),
            ("http://nowhere.example/", 1, ["http     GET http://nowhere.example/: Could not resolve host"]),
        ],
    )
    def test_a_page_is_told_behind_the_way(self, url: str, status: int, lines: list[str]) -> None:
        """With the code of what is amiss."""
        result = CliRunner().invoke(cli, ["trace", "-f", str(TOPOLOGY), "ext/laptop", url])
        assert result.exit_code == status, result.output
        for line in lines:
            assert line in result.stdout

    @pytest.mark.parametrize(
        ("where", "status", "reason", "lines"),
        [
            ("guarded", 504, "NETPOL_INGRESS", ["object   NetworkPolicy shop/guarded", "fix      "]),
            ("wrong-port", 502, "NO_SOCKET", ["object   Service shop/wrong-port", "fix      "]),
            ("no-endpoints", 503, "SVC_NO_ENDPOINTS", ["object   Service shop/no-endpoints", "fix      "]),
        ],
    )
    def test_the_first_line_tells_the_page_and_what_fails_behind_the_controller(
        self, where: str, status: int, reason: str, lines: list[str]
    ) -> None:
        """The way is asked on from the controller's pod: code, object and fix are told below the page."""
        url = f"http://shop.example/{where}"
        result = CliRunner().invoke(cli, ["trace", "-f", str(BAD_GATEWAY), "ext/laptop", url])
        assert result.exit_code == 1, result.output
        first, _, rest = result.stdout.partition("\n")
        assert first.startswith("ALWAYS  ")
        assert f"  HTTP {status} from the Ingress controller  " in first
        assert first.endswith(f"  {reason}")
        below = rest[rest.index("\nhttp ") :]
        for words in [*lines, f"about    emu explain {reason}"]:
            assert words in below

    def test_a_certificate_of_the_right_secret_is_no_default_one(self, tmp_path: Path) -> None:
        """Its subject is named, why it is refused, and what a client can do."""
        tls = [{"hosts": ["a.example"], "secretName": "own"}]
        found = make(
            tmp_path,
            [
                pod("text", "tcp/8080=a text"),
                service("text"),
                secret("own", "a.example", by=None),
                ingress("i", {"a.example": [path("/", "text")]}, tls=tls),
            ],
        )
        page = look(found, "ext/laptop", "https://a.example/")
        assert (page.status, page.code, page.is_default, page.is_good) == (200, "TLS_UNTRUSTED", False, False)
        assert page.lines()[1] == "tls      SSL certificate problem: self-signed certificate   TLS_UNTRUSTED"
        told = " ".join(" ".join(page.lines()).split())
        assert "the certificate is that of CN=a.example" in told
        assert "--cacert FILE" in told

    @pytest.mark.parametrize(
        ("where", "status", "words", "reason"),
        [
            ("/nobody", 503, "which has no ready endpoint, or is not there", "SVC_NO_ENDPOINTS"),
            ("/refusing", 502, "whose endpoints fail", ""),
            ("/text", 200, "Ingress default/plain sends plain.example/text to Service default/text:80", ""),
        ],
    )
    def test_rules_are_told_of_other_answers(
        self, cluster: Cluster, where: str, status: int, words: str, reason: str
    ) -> None:
        """Of endpoints that there are not, or that fail."""
        page = look(cluster, "ext/laptop", f"http://plain.example{where}")
        assert page.explanation is not None
        assert page.status == status
        assert page.explanation.words.endswith(words)
        assert page.explanation.code == reason


class TestLoadBalancer:
    """A balancer in front, which tells by the PROXY protocol who asks."""

    FABRIC: Final[dict[str, object]] = {
        "apiVersion": "emu/v1",
        "kind": "Fabric",
        "spec": {"loadBalancers": [{"name": "cloud", "kind": "proxy", "proxyProtocol": "v2"}]},
    }

    def cluster(self, folder: Path, wish: str) -> Cluster:
        """Return a cluster whose controller expects the header, or not."""
        settings: dict[str, object] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ingress-nginx-controller", "namespace": "ingress-nginx"},
            "data": {"use-proxy-protocol": wish},
        }
        web = [pod("web", ""), service("web"), ingress("web", {"web.example": [path("/", "web")]})]
        return make(folder, [self.FABRIC, settings, *web])

    def test_the_clients_address_comes_through(self, tmp_path: Path) -> None:
        """By the balancer's address, which Ingresses have, with and without TLS."""
        found = self.cluster(tmp_path, "true")
        assert address(found) == "203.0.113.128"
        for scheme in ("http", "https"):
            told = curl(found, f"-k {scheme}://web.example/header?key=X-Real-IP")
            assert (told.stdout, told.stderr) == ("198.51.100.7", "")

    def test_a_controller_that_expects_no_header_takes_it_for_a_request(self, tmp_path: Path) -> None:
        """400, and by TLS nothing."""
        found = self.cluster(tmp_path, "false")
        assert code(found, "http://web.example/") == "400"
        assert curl(found, "-k https://web.example/").status == 35


class TestCaptures:
    """What Wireshark makes of it."""

    @pytest.mark.tshark
    def test_requests_are_seen_on_both_sides_of_the_proxy(self, tmp_path: Path) -> None:
        """Inside TLS from the laptop to the controller, in the clear from there on."""
        file = tmp_path / "shop.pcapng"
        words = f"capture -f {TOPOLOGY} -i ext/laptop/eth0 -i shop/*/eth0 -w {file} -- exec ext/laptop -- "
        result = CliRunner().invoke(cli, [*words.split(), "curl", "-s", "https://shop.example/cart"])
        assert (result.exit_code, result.stdout) == (0, "the cart"), result.output
        fields = ["ip.dst", "tcp.dstport", "http.host", "http.x_forwarded_for"]
        command = ["tshark", "-r", str(file), "-Y", "http.request", "-T", "fields"]
        command += [word for field in fields for word in ("-e", field)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [line.split("\t") for line in output.splitlines()]
        assert [NODE, "443", "shop.example", ""] in rows
        assert any(row[1:] == ["8080", "shop.example", "198.51.100.7"] for row in rows)

"""What `haat up` and kind install is what the chart accepts; ports, classes and images of kind fit together."""

import yaml

from hack.cli import up
from hack.cli.helm import merged
from hack.cli.paths import ROOT
from hack.cli.ports import Ports
from tests.unit.charts.conftest import AUTH, named, of_kind, pods, render, rendered

KIND = ROOT / "hack" / "kind"


def test_the_values_of_up_are_values_of_the_chart() -> None:
    documents = render(merged(up.chart_values(Ports(http=8080, rtmp=1935, api=6443)), AUTH))
    assert not of_kind(documents, "CronJob")
    for name, template in pods(documents):
        assert template["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "20m", "memory": "64Mi"}, name


def test_kinds_ports_lead_to_its_services() -> None:
    mapped = {
        mapping["hostPort"]: mapping["containerPort"]
        for node in yaml.safe_load((KIND / "config.yaml").read_text())["nodes"]
        for mapping in node.get("extraPortMappings", ())
    }
    rtmp = named(rendered("kind"), "Service", "rtmp")["spec"]["ports"][0]
    assert mapped[1935] == rtmp["nodePort"]
    traefik = next(d for d in yaml.safe_load_all((KIND / "traefik.yaml").read_text()) if d["kind"] == "Service")
    assert mapped[8080] == traefik["spec"]["ports"][0]["nodePort"]


def test_kinds_ingress_controller_takes_the_class_of_the_chart() -> None:
    ingress_class = of_kind(rendered("kind"), "IngressClass")[0]
    assert ingress_class["spec"]["controller"] == "traefik.io/ingress-controller"
    controller = next(d for d in yaml.safe_load_all((KIND / "traefik.yaml").read_text()) if d["kind"] == "Deployment")
    arguments = controller["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--providers.kubernetesingress.ingressclass={ingress_class['metadata']['name']}" in arguments
    assert all(
        ingress["spec"]["ingressClassName"] == ingress_class["metadata"]["name"]
        for ingress in of_kind(rendered("kind"), "Ingress")
    )


def test_kind_runs_the_images_that_it_loads() -> None:
    script = (KIND / "up").read_text()
    own = [t["spec"]["containers"][0]["image"] for _, t in pods(rendered("kind"))]
    for image in {image for image in own if image.startswith("haat/")}:
        assert image in script
    assert "haat/workloads:dev" in (ROOT / "hack" / "samples" / "test-source.yaml").read_text()


def test_later_values_go_over_earlier_ones() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3}, "d": [2]}) == {"a": {"b": 3, "c": 2}, "d": [2]}

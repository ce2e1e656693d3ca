"""From a serveConfigV2 text to what must be deployed; what the operators render is understood."""

from pathlib import Path

import pytest
import yaml

from ml_serving.serve_config.document import Application, ConfigError, Document, change, load, parse, read
from ml_serving.serve_config.environment import LONGEST_FOLDER, prepare
from operators.core.platform import ModelApp
from operators.models.plan import serve_config

APP = Application("co-view", "/recommendations", "ml_serving.apps.recommendations:build", {"num_cpus": 0.2})


def text(**changes: object) -> str:
    application = {"name": "co-view", "route_prefix": "/recommendations", "import_path": APP.import_path, "args": {}}
    return yaml.safe_dump({"http_options": {"port": 8000}, "applications": [application | changes]})


def test_what_the_operators_render_is_understood() -> None:
    rendered = serve_config(
        {"co-view": ModelApp(import_path=APP.import_path, route_prefix="/recommendations", role="Recommendation")}
    )
    document = parse(yaml.safe_dump(rendered))
    assert document.port == 8000
    assert [(item.name, item.route_prefix) for item in document.applications] == [("co-view", "/recommendations")]
    assert load(document.applications[0]) is not None


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        pytest.param("a: [", "", "not YAML", id="not YAML"),
        pytest.param("- 1", "", "not an object", id="a list"),
        pytest.param("applications: 1", "applications", "list", id="not the schema"),
        pytest.param(text(import_path="nowhere"), "", "import", id="no builder named"),
        pytest.param(text(deployments=[{"name": "x"}]), "applications.0.deployments", "args", id="overrides"),
        pytest.param(text(runtime_env={"pip": ["x"]}), "applications.0.runtime_env", "one node", id="packages"),
    ],
)
def test_a_wrong_document_names_the_place(given: str, field: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        parse(given)
    assert field in caught.value.field


def test_an_absent_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read(tmp_path / "serve.yaml")


def test_only_what_changed_is_deployed() -> None:
    kept, old = APP, Application("old", "/old", APP.import_path, {})
    changed, new = Application("tuned", "/t", APP.import_path, {"num_cpus": 0.1}), Application("new", "/n", "m:b", {})
    before = Document(8000, (kept, old, Application("tuned", "/t", APP.import_path, {})))
    step = change(before, Document(8000, (kept, changed, new)))
    assert step.deploy == (changed, new)
    assert step.delete == ("old",)


def test_the_port_cannot_move() -> None:
    with pytest.raises(ConfigError) as caught:
        change(Document(8000, ()), Document(8001, ()))
    assert caught.value.field == "http_options.port"


@pytest.mark.parametrize(
    ("application", "reason"),
    [
        pytest.param(Application("a", "/", "ml_serving.nowhere:build", {}), "cannot import", id="no such module"),
        pytest.param(Application("a", "/", "ml_serving.apps.common:nothing", {}), "cannot import", id="no such name"),
        pytest.param(Application("a", "/", "ml_serving.apps.common:MAX_BODY_BYTES", {}), "builder", id="not callable"),
        pytest.param(Application("a", "/", APP.import_path, {"replicas": 1}), "replicas", id="an unknown argument"),
        pytest.param(
            Application("a", "/", APP.import_path, {"min_replicas": 2}), "below min_replicas", id="fewer than the least"
        ),
        pytest.param(
            Application("a", "/", APP.import_path, {"user_config": {"half_life_days": 0}}), "half_life", id="bad tuning"
        ),
    ],
)
def test_a_wrong_application_names_the_reason(application: Application, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        load(application)


def test_the_manifests_settings_win_and_folders_fit_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * LONGEST_FOLDER)
    deep.mkdir()
    environment = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0", "TMPDIR": str(deep)}
    folder = prepare(environment)
    try:
        assert len(str(folder)) <= LONGEST_FOLDER
        assert folder.stat().st_mode & 0o777 == 0o700
        assert environment["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"
        assert len(environment["RAY_AUTH_TOKEN"]) == 64
    finally:
        folder.rmdir()

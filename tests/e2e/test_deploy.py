"""What `deploy/` says is true: commands, settings, routes, figures and files that it names exist, and agree."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import temporalio.bridge
import typer
import yaml
from dotenv import dotenv_values
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from temporalio.client import Client

from api import metrics, routers
from api.cli import app as cli
from deploy.embedded.machine import find_binary
from deploy.embedded.stack import free_port
from deploy.embedded.temporal_server import DYNAMIC_CONFIG, TemporalServer
from deploy.embedded.ui import list_path
from deploy.temporal.register import CannotRegister, main, register, value_type
from lunas.receivables.actions import NoticeKind
from lunas.receivables.ladder import Channel
from lunas.settings import Settings
from workflows import messages as m
from workflows import worker
from workflows.visibility import REGISTRY, SAVED_VIEWS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOKS = sorted((DEPLOY / "runbooks").glob("*.md"))
SETTINGS = {f"LUNAS_{name.upper()}": field for name, field in Settings.model_fields.items()}
#: Read by the command line or by Temporal's SDK, not by Settings.
OTHER_NAMES = {
    "LUNAS_API_URL",
    "LUNAS_API_KEY",
    "LUNAS_DATA",
    "TEMPORAL_ADDRESS",
    "TEMPORAL_NAMESPACE",
    "TEMPORAL_API_KEY",
}

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LUNAS_SERVICES = {name: one for name, one in SERVICES.items() if "build" in one}
MANIFESTS: dict[str, list[dict[str, Any]]] = {
    path.name: list(yaml.safe_load_all(path.read_text("utf-8"))) for path in sorted((DEPLOY / "k8s").glob("*.yaml"))
}
ALERTS = [
    rule
    for group in yaml.safe_load((DEPLOY / "grafana/alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [manifest for manifests in MANIFESTS.values() for manifest in manifests if manifest["kind"] == kind]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in [*of_kind("Deployment"), *of_kind("Job")]:
        yield manifest["metadata"]["name"], manifest["spec"]["template"]


def containers() -> Iterator[dict[str, Any]]:
    for _, pod in pods():
        yield from pod["spec"].get("initContainers", [])
        yield from pod["spec"]["containers"]


def check_command(command: list[str]) -> None:
    """A command line that an image is started with can be started."""
    match command:
        case ["python", "-m", module]:
            assert find_spec(module), module
        case ["python", "-c", code]:
            compile(code, "health check", "exec")
        case ["lunas", *words]:
            check_lunas(words)
        case _:
            pytest.fail(f"not a command of ours: {command}")


def check_lunas(words: list[str]) -> None:
    """The words of a `lunas` command line, up to its first argument or option, are commands."""
    commands: Mapping[str, Any] | None = typer.main.get_command(cli).commands  # type: ignore[attr-defined]
    for word in words:
        if commands is None or word.startswith("-"):
            return
        assert word in commands, f"there is no command `lunas {' '.join(words)}`"
        commands = getattr(commands[word], "commands", None)


def every_route() -> list[APIRoute]:
    return [route for router in routers.EVERY for route in router.routes if isinstance(route, APIRoute)]


def routes(method: str, path: str) -> list[APIRoute]:
    """The API's routes that take this request."""
    plain = path.partition("?")[0]
    return [route for route in every_route() if method in (route.methods or ()) and route.path_regex.match(plain)]


def temporal_cli(*words: str) -> str:
    return subprocess.run([str(find_binary()), *words], capture_output=True, text=True, check=True).stdout


# --- settings -------------------------------------------------------------------------------------------------------


def test_every_setting_is_in_the_example_with_its_meaning_and_its_default(tmp_path: Path) -> None:
    lines = (DEPLOY / "example.env").read_text("utf-8").splitlines()
    plain = tmp_path / "plain.env"
    plain.write_text("\n".join(re.sub(r"^#(?=[A-Z_]+=)", "", line) for line in lines), "utf-8")
    stated = {name: value or "" for name, value in dotenv_values(plain, interpolate=False).items()}
    named = re.findall(r"^#?([A-Z_]+)=", "\n".join(lines), re.MULTILINE)

    assert len(named) == len(set(named)), "a name stands twice"
    assert {name for name in named if name.startswith("LUNAS_")} - {"LUNAS_IMAGE"} == SETTINGS.keys()
    for name, field in SETTINGS.items():
        at = next(i for i, line in enumerate(lines) if re.match(rf"#?{name}=", line))
        before = next(line for line in reversed(lines[:at]) if not re.match(r"#?[A-Z_]+=", line))
        assert before.startswith("# "), f"{name} has no line that says what it is"
        if field.default is None:
            assert stated[name] == ""
            assert lines[at].startswith("#"), f"{name} is off by default: an empty value would not be"
        else:
            read = Settings.model_validate({name.removeprefix("LUNAS_").lower(): stated[name]})
            assert getattr(read, name.removeprefix("LUNAS_").lower()) == field.default, name
    assert stated["LUNAS_RECONCILE_EVERY"] == TypeAdapter(timedelta).dump_python(timedelta(minutes=5), mode="json")


def test_what_compose_asks_for_is_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    named = set(re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "example.env").read_text("utf-8"), re.MULTILINE))

    assert asked <= named


# --- the image ------------------------------------------------------------------------------------------------------


def test_the_image_is_made_of_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    allowed = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split() if line[0] == "!"}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]

    assert {name.rstrip("*") for name in packages["include"]} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, f"{source} is kept out of the build by Dockerfile.dockerignore"
    assert set(re.findall(r"\b(LUNAS_[A-Z_]+)=", text)) <= SETTINGS.keys()
    assert "--require-hashes" in text and "--index" not in text and "://" not in text.replace("file://", "")
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    check_command(json.loads(re.findall(r"^CMD (.+)$", text, re.MULTILINE)[-1]))


# --- Compose --------------------------------------------------------------------------------------------------------


def test_every_service_of_ours_can_be_started_and_has_settings_that_exist() -> None:
    assert LUNAS_SERVICES.keys() == {"migrate", "register", "api", "worker"}
    for name, service in LUNAS_SERVICES.items():
        check_command(service["command"])
        assert service["environment"].keys() <= SETTINGS.keys() | OTHER_NAMES, name
        if "healthcheck" in service:
            check_command(service["healthcheck"]["test"][1:])
    assert SERVICES["api"]["deploy"]["replicas"] == SERVICES["worker"]["deploy"]["replicas"] == 2
    assert SERVICES["register"]["environment"]["TEMPORAL_ADDRESS"] == "temporal:7233"


def test_services_wait_for_each_other_in_a_way_that_comes_to_an_end() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            once = SERVICES[other].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy"), (name, other)
            assert once or "healthcheck" in SERVICES[other]
        for mounted in service.get("volumes", []):
            source = mounted.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        for port in service.get("ports", []):
            local = port["host_ip"] if isinstance(port, dict) else port.split(":")[0]
            assert local == "127.0.0.1", f"{name} is open to the world"


def test_health_checks_and_ports_are_those_of_the_processes() -> None:
    inside = int(LUNAS_SERVICES["api"]["environment"]["LUNAS_API_PORT"])
    figures = LUNAS_SERVICES["worker"]["environment"]["LUNAS_METRICS_ADDRESS"]

    assert SERVICES["api"]["ports"][0]["target"] == inside
    assert f"http://127.0.0.1:{inside}/readyz" in SERVICES["api"]["healthcheck"]["test"][-1]
    assert f"http://127.0.0.1:{figures.split(':')[1]}/metrics" in SERVICES["worker"]["healthcheck"]["test"][-1]
    assert routes("GET", "/readyz") and routes("GET", "/healthz")
    assert SERVICES["worker"]["stop_grace_period"] == "40s"
    assert timedelta(seconds=40) >= worker._GRACE + timedelta(seconds=15)


def test_temporal_is_the_one_that_the_tests_run_against() -> None:
    server, ui = re.findall(r"(?:Server|UI) (\d+\.\d+)\.\d+", temporal_cli("--version"))
    config = yaml.safe_load((DEPLOY / "temporal/dynamic-config.yaml").read_text("utf-8"))

    for name, version in {"temporal": server, "temporal-schema": server, "temporal-ui": ui}.items():
        assert SERVICES[name]["image"].split(":")[1].startswith(f"{version}."), SERVICES[name]["image"]
    assert {key: values[0]["value"] for key, values in config.items()} == {key: DYNAMIC_CONFIG[key] for key in config}
    assert not any("TimeSkipping" in key for key in config), "nobody's clock is moved in production"


def test_buttons_that_end_or_invent_a_workflow_are_off() -> None:
    shown = SERVICES["temporal-ui"]["environment"]
    page = (DEPLOY / "runbooks/temporal-ui.md").read_text("utf-8")

    for name in ("WORKFLOW_TERMINATE", "WORKFLOW_CANCEL", "WORKFLOW_RESET", "START_WORKFLOW", "BATCH_ACTIONS"):
        assert shown[f"TEMPORAL_{name}_DISABLED"] == "true"
    assert not {"TEMPORAL_WORKFLOW_SIGNAL_DISABLED", "TEMPORAL_WORKFLOW_UPDATE_DISABLED"} & shown.keys()
    assert [name for name in shown if name.endswith("_DISABLED") and name not in page] == []


# --- Kubernetes -----------------------------------------------------------------------------------------------------


def test_the_base_has_every_manifest_and_only_settings_that_exist() -> None:
    (base,) = MANIFESTS["kustomization.yaml"]
    (secrets,) = MANIFESTS["secrets.example.yaml"]
    (generated,) = base["configMapGenerator"]
    config = dotenv_values(DEPLOY / "k8s" / generated["envs"][0], interpolate=False)

    assert {*base["resources"], "kustomization.yaml", "secrets.example.yaml"} == MANIFESTS.keys()
    assert config.keys() | secrets["stringData"].keys() <= SETTINGS.keys() | OTHER_NAMES
    assert not config.keys() & secrets["stringData"].keys()
    given = {**config, **secrets["stringData"]}
    read = Settings.model_validate({k.removeprefix("LUNAS_").lower(): v for k, v in given.items() if k in SETTINGS})
    assert read.links.public_url.startswith("https://")
    for container in containers():
        assert container["envFrom"] == [
            {"configMapRef": {"name": generated["name"]}},
            {"secretRef": {"name": secrets["metadata"]["name"]}},
        ]


def test_pods_start_what_exists_as_nobody_in_particular() -> None:
    assert sorted(name for name, _ in pods()) == ["lunas-api", "lunas-prepare", "lunas-worker"]
    for container in containers():
        check_command(container["command"])
        assert container["image"] == "lunas"
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    for name, pod in pods():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
    assert {tuple(container["command"]) for container in containers()} == {
        tuple(service["command"]) for service in LUNAS_SERVICES.values()
    }


def test_selectors_ports_and_probes_fit() -> None:
    exposed = re.findall(r"^EXPOSE (.+)$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)[0].split()
    (service,), (scaler,) = of_kind("Service"), of_kind("HorizontalPodAutoscaler")
    probed: dict[str, list[str]] = {}
    for deployment in of_kind("Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        pod = spec["template"]
        (container,) = pod["spec"]["containers"]
        (port,) = container["ports"]
        probes = [container[kind]["httpGet"] for kind in ("readinessProbe", "livenessProbe")]
        probed[name] = [probe["path"] for probe in probes]
        selecting = [spec, *(one["spec"] for one in of_kind("PodDisruptionBudget") if one["metadata"]["name"] == name)]
        assert len(selecting) == 2
        for one in selecting:
            assert one["selector"]["matchLabels"] == pod["metadata"]["labels"]
        assert {probe["port"] for probe in probes} == {port["name"]}
        assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
        assert str(port["containerPort"]) in exposed
        assert pod["spec"]["terminationGracePeriodSeconds"] >= 35
    assert probed == {"lunas-api": ["/readyz", "/healthz"], "lunas-worker": ["/metrics", "/metrics"]}
    assert all(routes("GET", path) for path in probed["lunas-api"])
    assert scaler["spec"]["scaleTargetRef"]["name"] == service["metadata"]["name"] == "lunas-api"
    assert service["spec"]["selector"]["app.kubernetes.io/component"] == "api"


# --- figures --------------------------------------------------------------------------------------------------------


def expressions() -> Iterator[str]:
    for panel in json.loads((DEPLOY / "grafana/dashboard.json").read_text("utf-8"))["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in ALERTS)


def test_every_figure_exists() -> None:
    ours = {name for family in metrics.Metrics().registry.collect() for name in (family.name, f"{family.name}_total")}
    (library,) = Path(temporalio.bridge.__file__).parent.glob("*.so")
    core = library.read_bytes()
    activities = [f"{channel}_{kind}" for channel in Channel for kind in NoticeKind]

    for expression in expressions():
        for name in re.findall(r"\b(?:lunas|temporal)_[a-z_]+", re.sub(r'"[^"]*"', "", expression)):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            known = plain in ours if name.startswith("lunas_") else plain.removeprefix("temporal_").encode() in core
            assert known, f"{name} is nobody's figure"
        for operator, route in re.findall(r'route(=~?)"([^"]+)"', expression):
            paths = [one.path_format for one in every_route()]
            assert route in paths if operator == "=" else any(re.fullmatch(route, path) for path in paths), route
        for pattern in re.findall(r'activity_type=~"([^"]+)"', expression):
            assert all(re.fullmatch(pattern, name) for name in activities)


def test_alerts_name_their_runbook_and_scraped_jobs() -> None:
    jobs = {
        job["job_name"]
        for job in yaml.safe_load((DEPLOY / "grafana/prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    }

    for rule in ALERTS:
        page = ROOT / rule["annotations"]["runbook"]
        assert page in RUNBOOKS, rule["alert"]
        assert rule["alert"] in page.read_text("utf-8"), f"{page.name} does not say what {rule['alert']} means"
        assert set(re.findall(r'job="([^"]+)"', rule["expr"])) <= jobs


# --- runbooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_names_only_what_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    known = SETTINGS.keys() | OTHER_NAMES | {rule["alert"] for rule in ALERTS}

    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    assert set(re.findall(r"\bLUNAS_[A-Z_]+|\bLunas[A-Z]\w+", text)) <= known
    for words in re.findall(r"\blunas ((?:[a-z-]+ ?)+)", " ".join(re.findall(r"`([^`\n]+)`", text))):
        check_lunas(words.split())
    for service in re.findall(r"\bdc (?:ps|run --rm|start|stop) ([a-z][a-z-]*)", text):
        assert service in SERVICES, service
    for method, path, body in re.findall(r"\bapi (GET|POST) (/\S+?)(?:`|\s'([^']+)'|\n|$)", text):
        (route, *_) = routes(method, path) or pytest.fail(f"there is no {method} {path}")
        if body:
            model: Any = route.body_field and route.body_field.field_info.annotation
            TypeAdapter(model).validate_json(body)


def test_the_temporal_commands_of_the_runbooks_exist() -> None:
    text = "\n".join(page.read_text("utf-8") for page in RUNBOOKS).replace("\\\n", " ")
    lines = re.findall(r"(?:^\s*|`)temporal ((?:[a-z-]+ ){1,3})(--[^`\n]*|-o[^`\n]*)", text, re.MULTILINE)
    commands: dict[str, set[str]] = {}
    for words, rest in lines:
        commands.setdefault(words.strip(), set()).update(re.findall(r"(?<![\w'])--[a-z-]+", rest))

    assert {"schedule trigger", "workflow update-options", "workflow signal"} <= commands.keys()
    for words, flags in commands.items():
        said = temporal_cli(*words.split(), "--help")
        assert [flag for flag in flags if flag not in said] == [], words


def test_the_nudge_of_the_runbook_is_understood_and_changes_nothing() -> None:
    text = (DEPLOY / "runbooks/worker-deploy.md").read_text("utf-8")
    (signal,) = re.findall(r"--name (\w+) --input '([^']+)'", text)

    assert signal[0] == m.FACTS_CHANGED
    assert TypeAdapter(m.FactsChanged).validate_json(signal[1]).facts.version == 0


def test_the_saved_views_are_those_of_the_code() -> None:
    text = (DEPLOY / "runbooks/temporal-ui.md").read_text("utf-8")
    namespace = SERVICES["temporal-ui"]["environment"]["TEMPORAL_DEFAULT_NAMESPACE"]

    listed = dict(re.findall(r"^\| ([A-Z][\w ]+) \| `(/namespaces\S+)` \|$", text, re.MULTILINE))
    assert listed == {name: list_path(namespace, query, save_as=name) for name, query in SAVED_VIEWS.items()}


# --- registering ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalServer]:
    async with TemporalServer(tmp_path_factory.mktemp("temporal")) as server:
        yield server


async def registered(client: Client, attributes: Mapping[str, str] = REGISTRY) -> list[str]:
    said: list[str] = []
    await register(client, said.append, attributes=attributes)
    return said


async def test_a_new_temporal_is_made_ready_once(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, namespace="lunas")
    first = await registered(client)
    again = await registered(client)

    assert first[0].startswith("namespace lunas: made")
    assert sorted(first[1:]) == sorted(f"search attribute {name} ({kind}): made" for name, kind in REGISTRY.items())
    assert all(line.endswith(": there") for line in again) and len(again) == len(first)
    await worker.check_search_attributes(client)


async def test_what_an_older_version_registered_stays_and_the_rest_is_added(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, namespace="older")
    await registered(client, {"Stage": "Keyword", "TheirOwn": "Text"})
    said = await registered(client)

    assert "search attribute Stage (Keyword): there" in said
    assert "search attribute Hold (Keyword): made" in said


async def test_an_attribute_of_another_type_is_not_touched(temporal: TemporalServer) -> None:
    client = await Client.connect(temporal.address, namespace="conflict")
    await registered(client, {"Stage": "Int"})

    with pytest.raises(CannotRegister, match=r"Stage is Int in namespace conflict, and Lunas needs Keyword"):
        await registered(client)


def test_a_temporal_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")

    assert main(["--wait", "0"]) == 1
    assert "Temporal cannot be reached: start it, or set TEMPORAL_ADDRESS" in capsys.readouterr().err


def test_types_are_named_as_temporal_names_them() -> None:
    assert value_type("KeywordList") != value_type("Keyword")
    with pytest.raises(ValueError, match="no search attributes of type 'Money'"):
        value_type("Money")

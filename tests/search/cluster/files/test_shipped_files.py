"""The files of `cluster/`: each is good, opens with its command, and agrees with the pins."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from search.cluster.files.check import check_file, check_files

ROOT = Path(__file__).parents[4]
CLUSTER = ROOT / "cluster"
FILES = sorted(
    path
    for path in CLUSTER.rglob("*")
    if path.is_file() and path.name not in ("README.md", "tls.sh", "Dockerfile.dockerignore")
)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


PLACEHOLDERS = re.findall(
    r"\w+",
    "ACCOUNT AMI_ID CORPUS CORPUS_DIR EXPORT GPUS_PER_NODE HEAD_IP IMAGE LOCAL_QUEUE MLFLOW_URI "
    "NFS_SERVER PARTITION PROJECT_ID REGISTRY SECURITY_GROUP SPACE SSH_USER STORAGE_CLASS "
    "WORKER_IP",
)


def pin(package):
    return re.search(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]


def named(path):
    return path.relative_to(CLUSTER).as_posix()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_shipped_file_is_of_a_known_kind_and_good(path):
    report = check_file(path)
    assert report.kind
    assert report.status == "ok", report.findings


def test_the_folder_has_a_file_for_every_way_to_run():
    assert set(map(named, FILES)) == {
        "Dockerfile",
        "aws.yaml",
        "compose.yaml",
        "gcp.yaml",
        "kuberay/networkpolicy.yaml",
        "kuberay/raycluster.yaml",
        "kuberay/rayjob-kueue.yaml",
        "kuberay/rayjob.yaml",
        "kuberay/storage.yaml",
        "onprem.yaml",
        "skypilot.yaml",
        "slurm.sh",
    }
    assert {report.status for report in check_files([CLUSTER])} == {"ok", "skipped"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_opens_with_the_one_command_that_uses_it(path):
    opening = path.read_text().removeprefix("#!/usr/bin/env bash\n").split("\n\n")[0]
    commands = re.findall(r"^#   (\S.*)$", opening, re.M)
    assert len(commands) == 1
    assert f"cluster/{named(path)}" in commands[0]
    assert "To change:" in opening or "must be changed" in opening


@pytest.mark.parametrize("path", FILES, ids=named)
def test_what_must_be_changed_is_little_and_named_in_the_opening(path):
    lines = path.read_text().splitlines()
    start = 1 if lines[0].startswith("#!") else 0
    end = next(
        n
        for n, line in enumerate(lines)
        if n >= start and not line.startswith("# ") and line != "#"
    )
    opening = "\n".join(lines[:end])
    body = "\n".join(line for line in lines[end:] if not line.startswith("# "))
    found = {name for name in PLACEHOLDERS if re.search(rf"(?<![$\w{{]){name}(?!\w|: )", body)}
    assert len(found) <= 5
    assert all(name in opening or "IN_CAPITALS" in opening for name in found), found


@pytest.mark.parametrize("path", FILES, ids=named)
def test_versions_are_those_that_the_project_is_pinned_to(path):
    text = path.read_text()
    ray = pin("ray")
    for found in re.findall(r"ray\[[\w,]*\]==([\w.]+)|rayVersion: \"([\w.]+)\"", text):
        assert "".join(found) == ray
    for found in re.findall(r"spksearch:([\w.]+)", text):
        assert found == PYPROJECT["project"]["version"]
    for package, found in re.findall(r"\b([a-z]\w+)==([\d.]+)", re.sub(r"ray\[.*?\]", "", text)):
        assert found == pin(package)
    for found in re.findall(r"python:(\d\.\d+)", text):
        low, high = re.findall(r"\d\.\d+", PYPROJECT["project"]["requires-python"])
        assert tuple(map(int, low.split("."))) <= tuple(map(int, found.split(".")))
        assert tuple(map(int, found.split("."))) < tuple(map(int, high.split(".")))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_port_of_ray_is_the_same_everywhere(path):
    places = (
        r"--head\b.*?--port=(\d+)|--address=\S+?:(\d+)|head:(\d+)|_ip:(\d+)"
        r"|containerPort: (\d+), name: gcs"
    )
    found = {port for ports in re.findall(places, path.read_text()) for port in ports if port}
    assert found <= {"6379"}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_that_starts_ray_switches_the_token_on(path):
    text = path.read_text()
    if re.search(r"\bray (start|symmetric-run)\b|rayVersion", text):
        assert re.search(r"RAY_AUTH_MODE[:=] ?token|authOptions:\n\s+mode: token", text)


@pytest.mark.parametrize("name", ["raycluster", "rayjob", "rayjob-kueue"])
def test_in_kubernetes_no_trial_runs_on_the_head_and_only_one_token_is_used(name):
    (manifest,) = yaml.safe_load_all((CLUSTER / "kuberay" / f"{name}.yaml").read_text())
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert spec["authOptions"] == {"mode": "token", "secretName": "spksearch-ray-token"}
    (group,) = spec["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1
    assert spec.get("enableInTreeAutoscaling", False) is (name != "rayjob-kueue")
    assert group["maxReplicas"] >= max(1, group["minReplicas"])


def test_every_pod_is_one_that_the_network_policy_and_the_storage_are_for():
    policy = yaml.safe_load((CLUSTER / "kuberay" / "networkpolicy.yaml").read_text())
    storage = yaml.safe_load((CLUSTER / "kuberay" / "storage.yaml").read_text())
    labels = policy["spec"]["podSelector"]["matchLabels"]
    templates = []
    for name in ("raycluster", "rayjob", "rayjob-kueue"):
        manifest = yaml.safe_load((CLUSTER / "kuberay" / f"{name}.yaml").read_text())
        spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
        nodes = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
        templates += [node["template"] for node in nodes]
        for node in nodes:
            claims = [
                volume["persistentVolumeClaim"]["claimName"]
                for volume in node["template"]["spec"]["volumes"]
                if "persistentVolumeClaim" in volume
            ]
            assert claims == [storage["metadata"]["name"]]
        if "submitterPodTemplate" in manifest["spec"]:
            templates.append(manifest["spec"]["submitterPodTemplate"])
    assert all(template["metadata"]["labels"] == labels for template in templates)


def test_the_queue_label_stands_on_a_job_that_waits_for_it():
    manifest = yaml.safe_load((CLUSTER / "kuberay" / "rayjob-kueue.yaml").read_text())
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "LOCAL_QUEUE"
    assert manifest["spec"]["suspend"] is True


def test_the_state_of_a_head_that_stays_outlives_its_pod():
    manifest = yaml.safe_load((CLUSTER / "kuberay" / "raycluster.yaml").read_text())
    assert manifest["spec"]["gcsFaultToleranceOptions"]["backend"] == "rocksdb"


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_cloud_workers_are_spot_gpus_that_scale_from_none(cloud):
    config = yaml.safe_load((CLUSTER / f"{cloud}.yaml").read_text())
    workers = config["available_node_types"]["gpu_spot"]
    assert (workers["min_workers"], workers["resources"]["GPU"]) == (0, 1)
    assert "spot" in yaml.safe_dump(workers["node_config"]).lower()
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert all(
        "--num-cpus=0" in each for each in config["head_start_ray_commands"] if "start" in each
    )


@pytest.mark.parametrize("name", ["rayjob", "rayjob-kueue", "raycluster"])
def test_pods_are_as_restricted_as_kubernetes_knows(name):
    """The standard `restricted` of Pod Security, and no token of the API but the autoscaler's."""
    manifest = yaml.safe_load((CLUSTER / "kuberay" / f"{name}.yaml").read_text())
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    scaling = spec.get("enableInTreeAutoscaling", False)
    if "submitterPodTemplate" in manifest["spec"]:
        pods.append(manifest["spec"]["submitterPodTemplate"]["spec"])
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert all(each["securityContext"] == locked for each in pod["containers"])
        assert pod.get("automountServiceAccountToken", True) is (scaling and pod is pods[0])
    if scaling:
        assert spec["autoscalerOptions"]["securityContext"] == locked


def test_where_no_gpu_is_there_at_launch_the_launch_says_that_it_wants_one():
    """Left to itself a trial takes a GPU only where some are there; GPUs would come and idle."""
    entrypoints = [
        yaml.safe_load((CLUSTER / "kuberay" / f"{name}.yaml").read_text())["spec"]["entrypoint"]
        for name in ("rayjob", "rayjob-kueue")
    ]
    sections = (CLUSTER / "README.md").read_text().split("\n## ")
    in_readme = [
        re.search(r"spksearch launch (?:.*\\\n)*.*", section)[0]
        for section in sections
        if section.startswith(("Machines, AWS", "Kubernetes"))
    ]
    assert len(in_readme) == 2
    assert all("--gpus-per-trial 1" in each for each in (*entrypoints, *in_readme))


@pytest.mark.parametrize("name", ["aws.yaml", "gcp.yaml", "skypilot.yaml"])
def test_the_folder_of_the_state_is_made_writable_on_a_fresh_export(name):
    text = (CLUSTER / name).read_text()
    assert re.search(
        r"mount -t nfs.*\n(?:.*#.*\n)?.*test -w /shared/runs \|\| sudo install -d", text
    )


def test_ssh_to_aws_is_for_the_security_group_to_decide():
    config = yaml.safe_load((CLUSTER / "aws.yaml").read_text())
    for node_type in config["available_node_types"].values():
        assert node_type["node_config"]["SecurityGroupIds"] == ["SECURITY_GROUP"]


def test_gpu_machines_of_google_get_a_disk_that_they_take_in_their_zone():
    config = yaml.safe_load((CLUSTER / "gcp.yaml").read_text())
    workers = config["available_node_types"]["gpu_spot"]["node_config"]
    zone = config["provider"]["availability_zone"]
    (disk,) = workers["disks"]
    assert disk["initializeParams"]["diskType"] == f"zones/{zone}/diskTypes/pd-balanced"


def test_no_node_of_skypilot_outstays_its_job():
    """A job ends when the script of every node has, so none may wait for its Ray."""
    task = yaml.safe_load((CLUSTER / "skypilot.yaml").read_text())
    assert "ray start --address" in task["run"]
    assert "--block" not in task["run"]


def test_containers_own_the_folders_that_they_write():
    config = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
    services = config["services"]
    user = services["head"]["user"]
    assert services["head"]["build"]["args"] == {"UID": user}
    assert {service["user"] for service in services.values()} == {user}
    dockerfile = (CLUSTER / "Dockerfile").read_text()
    assert 'useradd --create-home --uid "$UID"' in dockerfile
    assert "USER $UID" in dockerfile
    (volume,) = services["postgres"]["volumes"]
    assert services["postgres"]["environment"]["PGDATA"].startswith(volume.split(":")[1] + "/")


def test_every_container_says_whether_it_is_well_and_ports_are_on_loopback():
    config = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
    assert all("healthcheck" in service for service in config["services"].values())
    ports = [port for service in config["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_builder_gets_what_the_dockerfile_copies_and_nothing_else():
    rules = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    assert "*" in rules
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (CLUSTER / "Dockerfile").read_text(), re.M)
    assert allowed == {name for names in copied for name in names.split()}
    assert all((ROOT / name).exists() for name in allowed)


def test_the_readme_says_of_everything_that_was_not_run_that_it_was_not():
    readme = (CLUSTER / "README.md").read_text()
    assert "**checked offline, not run**" in readme


def test_the_readme_gives_one_command_for_every_file():
    readme = (CLUSTER / "README.md").read_text()
    for path in FILES:
        assert f"cluster/{named(path)}" in readme or f"`{named(path)}`" in readme, path

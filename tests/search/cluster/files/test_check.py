"""Planted mistakes are found, each at its line and with the name that was meant."""

import json
import re
import shutil
from pathlib import Path

import pytest

from search.cli import app
from search.cluster.files import tools
from search.cluster.files.check import check_file, check_files
from search.core.errors import UsageError

CLUSTER = Path(__file__).parents[4] / "cluster"


@pytest.fixture
def changed(tmp_path):
    """A shipped file with one thing replaced, checked; the line of the change beside it."""

    def check_changed(name, before, after):
        text = (CLUSTER / name).read_text()
        assert before in text, before
        path = tmp_path / Path(name).name
        path.write_text(text.replace(before, after, 1))
        return check_file(path), text[: text.index(before)].count("\n") + 1

    return check_changed


def said(report):
    return "\n".join(f"{each.line} {each.where}: {each.message}" for each in report.findings)


@pytest.mark.parametrize(
    ("name", "before", "after", "where", "message"),
    [
        ("aws.yaml", "max_workers: 8\nup", "max_worker: 8\nup", "max_worker", "mean max_workers?"),
        (
            "aws.yaml",
            "    max_workers: 8",
            '    max_workers: "8"',
            "gpu_spot.max_workers",
            "a whole",
        ),
        ("aws.yaml", "region: eu", "regoin: eu", "provider.regoin", "did you mean region?"),
        ("gcp.yaml", "ssh_user", "ssh_usr", "auth.ssh_usr", "did you mean ssh_user?"),
        ("onprem.yaml", "cluster_name", "cluster_nam", "cluster_nam", "did you mean cluster_name?"),
        (
            "kuberay/rayjob.yaml",
            "shutdownAfterJobFinishes",
            "shutdownAfterJobFinish",
            "spec.shutdownAfterJobFinish",
            "did you mean shutdownAfterJobFinishes?",
        ),
        (
            "kuberay/raycluster.yaml",
            "minReplicas",
            "minReplica",
            "spec.workerGroupSpecs[0].minReplica",
            "did you mean minReplicas?",
        ),
        (
            "kuberay/raycluster.yaml",
            "version: v2",
            "version: v3",
            "Options.version",
            "one of v1, v2",
        ),
        ("kuberay/raycluster.yaml", "kind: RayCluster", "kind: RayClutser", "kind", "RayCluster?"),
        ("kuberay/rayjob.yaml", "  labels: {app", "  lables: {app", "metadata.lables", "labels?"),
        ("kuberay/rayjob.yaml", "backoffLimit: 3", "backoffLimit: three", "backoffLimit", "whole"),
        (
            "kuberay/networkpolicy.yaml",
            "policyTypes",
            "policyType",
            "spec.policyType",
            "did you mean policyTypes?",
        ),
        ("kuberay/storage.yaml", "accessModes", "accesModes", "spec.accesModes", "accessModes?"),
        ("compose.yaml", "depends_on:", "depend_on:", "services.worker.depend_on", "depends_on?"),
        (
            "compose.yaml",
            "secrets: [postgres_password]",
            "secrets: [postgres]",
            "mlflow",
            "postgres_p",
        ),
        ("skypilot.yaml", "num_nodes:", "num_node:", "num_node", "did you mean num_nodes?"),
        ("skypilot.yaml", "use_spot", "spot", "resources.spot", "use_spot?"),
        ("skypilot.yaml", "num_nodes: 2", "num_nodes: two", "num_nodes", "a whole number"),
        ("slurm.sh", "--open-mode", "--opn-mode", "--opn-mode=append", "did you mean open-mode?"),
    ],
)
def test_a_typo_is_told_with_its_line_and_the_right_name(
    changed, name, before, after, where, message
):
    report, line = changed(name, before, after)
    assert report.status == "bad"
    found = [each for each in report.findings if message in each.message]
    assert found, said(report)
    assert any(each.where.endswith(where) for each in found), said(report)
    if "secrets" not in before:
        assert any(each.line == line for each in found), (line, said(report))


def test_the_beginning_of_one_option_of_sbatch_is_that_option(changed):
    assert changed("slurm.sh", "--job-name", "--job-n")[0].status == "ok"
    assert (
        changed("slurm.sh", "#SBATCH --nodes", "#SBATCH --node")[0].status == "bad"
    )  # or nodelist, or nodefile


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    [
        ("aws.yaml", "export RAY_AUTH_MODE=token; ", "", "without token authentication"),
        ("aws.yaml", "--dashboard-host=127.0.0.1", "--dashboard-host=0.0.0.0", "every interface"),
        ("aws.yaml", "head_start_ray_commands:", "initialization_commands:", "Ray's default"),
        (
            "aws.yaml",
            "  cache_stopped",
            "  security_group:\n    IpPermissions: [{FromPort: 1, ToPort: 9999, "
            "IpProtocol: tcp, IpRanges: [{CidrIp: 0.0.0.0/0}]}]\n  cache_stopped",
            "lets the world in",
        ),
        ("gcp.yaml", "==2.60.0", "==2.59.1", "names Ray 2.59.1"),
        ("onprem.yaml", "  worker_ips: [WORKER_IP]\n", "", "ray up refuses it"),
        ("kuberay/rayjob.yaml", "mode: token", "mode: disabled", "without token authentication"),
        ("kuberay/rayjob.yaml", '"2.60.0"', '"2.59.0"', "must be 2.60.0"),
        ("kuberay/rayjob.yaml", "ClusterIP", "LoadBalancer", "to the outside"),
        (
            "kuberay/rayjob.yaml",
            "- {name: SPKSEARCH_HOME, value: /shared/runs}",
            "- {name: RAY_AUTH_TOKEN, value: 0123abcd}",
            "RAY_AUTH_TOKEN stands here in clear",
        ),
        ("kuberay/rayjob.yaml", "launch SPACE", "--password hunter2", "in clear"),
        (
            "kuberay/rayjob.yaml",
            "restartPolicy",
            "hostNetwork: true\n      restartPolicy",
            "machine's",
        ),
        (
            "kuberay/rayjob.yaml",
            "name: gcs}",
            "name: gcs, hostPort: 6379}",
            "on the machine itself",
        ),
        (
            "kuberay/rayjob.yaml",
            "allowPriv",
            "privileged: true\n            allowPriv",
            "the machine;",
        ),
        (
            "kuberay/networkpolicy.yaml",
            "    - from:",
            "    - ports: []\n    - from:",
            "everybody in",
        ),
        (
            "kuberay/networkpolicy.yaml",
            "- podSelector:",
            "- ipBlock: {cidr: 0.0.0.0/0}\n        - podSelector:",
            "everybody in",
        ),
        (
            "compose.yaml",
            "secrets/ray_token\n",
            "secrets/ray/auth_token\n",
            "no secret of this service",
        ),
        ("compose.yaml", "  shm_size", "  network_mode: host\n  shm_size", "every port"),
        ("compose.yaml", '"127.0.0.1:5000:5000"', '"5000:5000"', "open to every machine"),
        (
            "compose.yaml",
            "POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password",
            "POSTGRES_PASSWORD: hunter2",
            "POSTGRES_PASSWORD stands here in clear",
        ),
        ("compose.yaml", "    RAY_AUTH_MODE: token\n", "", "without token authentication"),
        (
            "compose.yaml",
            "--allowed-hosts mlflow:5000",
            "--workers 1 --x",
            "without --allowed-hosts",
        ),
        ("compose.yaml", "--allowed-hosts mlflow:5000,", "--allowed-hosts *,", "with a *"),
        ("compose.yaml", "mlflow@postgres", "mlflow:hunter2@postgres", "password stands in a URI"),
        ("compose.yaml", "postgresql+psycopg2", "postgresql", "psycopg 3"),
        ("skypilot.yaml", "  RAY_AUTH_MODE: token\n", "", "without token authentication"),
        ("skypilot.yaml", "  use_spot", "  ports: 8265\n  use_spot", "opens 8265 to the world"),
        ("skypilot.yaml", "  use_spot", "  ports: [8265, 80]\n  use_spot", "opens 8265, 80 to the"),
        ("skypilot.yaml", "  SPACE: t", "  HF_TOKEN: hf_abc\n  SPACE: t", "HF_TOKEN stands here"),
        ("slurm.sh", "RAY_AUTH_MODE=token ", "", "without token authentication"),
        ("slurm.sh", "export RAY_USAGE", "export RAY_AUTH_TOKEN=abc RAY_USAGE", "in clear"),
        ("slurm.sh", "#SBATCH --exclusive", "#", "ends every Ray of this user"),
        ("slurm.sh", "PATH=$venv/bin:$PATH", "OTHER=1", "by name on every node"),
        ("slurm.sh", "--disable-usage-stats", "--include-dashboard=false", "the workers too"),
        ("slurm.sh", "set -euo pipefail\n", "set -e\n#SBATCH --mem=1\n", "sbatch ignores it"),
        ("Dockerfile", "ENV RAY_AUTH", "ENV DB_PASSWORD=hunter2 RAY_AUTH", "in clear"),
    ],
)
def test_what_would_leave_a_cluster_open_is_told(changed, name, before, after, message):
    report, _ = changed(name, before, after)
    assert report.status == "bad"
    assert message in said(report), said(report)


def test_no_message_repeats_a_secret(changed):
    report, _ = changed("compose.yaml", "mlflow@postgres", "mlflow:hunter2@postgres")
    assert "hunter2" not in said(report)


@pytest.mark.skipif(tools.find_program("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize(
    ("name", "before", "after", "code"),
    [
        ("slurm.sh", '"$token"', "$token", "SC2086"),
        ("skypilot.yaml", '--corpus "$CORPUS"', "--corpus $CORPUS", "run: SC2086"),
    ],
)
def test_shellcheck_reads_scripts_where_they_stand(changed, name, before, after, code):
    report, line = changed(name, before, after)
    assert f"{line} {code}" in said(report)


@pytest.mark.skipif(tools.find_program("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_reads_dockerfiles(changed):
    report, line = changed("Dockerfile", "USER $UID", "USER $UID\nRUN cd / && sudo ls")
    assert f"{line + 1} DL3004" in said(report)


def test_a_tool_that_is_missing_is_said_and_not_a_fault(monkeypatch):
    monkeypatch.setattr(tools, "find_program", lambda _: None)
    for name, tool in (
        ("slurm.sh", "shellcheck"),
        ("Dockerfile", "hadolint"),
        ("skypilot.yaml", "run"),
    ):
        report = check_file(CLUSTER / name)
        assert report.status == "ok"
        assert any(tool in reason and "not installed" in reason for reason in report.unchecked)


# --- YAML itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("cluster_name: a\nprovider: {type: local}\ncluster_name: b\n", 3, "second time"),
        ("provider: {type: aws}\nauth:\n  ssh_user: a\n  ssh_user: b\n", 4, "second time"),
        ("cluster_name: !!python/object/apply:os.system ['true']\n", 1, "only plain data"),
        ("a: [1, 2\n", 2, "not valid YAML"),
        ("a: &a [*a]\n", 1, "holds it"),
        ("[" * 100 + "]" * 100, 1, "nested deeper"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{c}: &{c} [{', '.join([f'*{b}'] * 10)}]\n"
                for b, c in zip("abcdef", "bcdefg", strict=True)
            ),
            1,
            "written out",
        ),
    ],
)
def test_yaml_that_must_not_be_read_is_refused_with_its_line(tmp_path, text, line, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    report = check_file(path)
    assert report.status == "bad"
    assert any(each.line == line and message in each.message for each in report.findings), said(
        report
    )


def test_a_key_may_stand_in_two_mappings_and_be_merged_over(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "x-base: &base {image: a, user: '1'}\nservices:\n  one:\n    <<: *base\n    user: '2'\n"
    )
    assert check_file(path).status == "ok"


# --- files, folders and the command ---------------------------------------------------------------


def test_folders_are_walked_and_what_is_unknown_is_skipped_with_a_reason(tmp_path):
    (tmp_path / "below" / ".hidden").mkdir(parents=True)
    (tmp_path / "below" / ".hidden" / "bad.yaml").write_text("a: [")
    shutil.copy(CLUSTER / "slurm.sh", tmp_path / "below" / "job")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cron.yaml").write_text("apiVersion: batch/v1\nkind: CronJob\n")
    (tmp_path / "sound.bin").write_bytes(b"\xff\xfe\x00")
    reports = {report.file.name: report for report in check_files([tmp_path])}
    assert set(reports) == {"job", "notes.txt", "cron.yaml", "sound.bin"}
    assert reports["job"].kind == "Slurm batch script"
    assert "CronJob" in reports["cron.yaml"].skipped
    assert reports["notes.txt"].status == reports["sound.bin"].status == "skipped"


def test_one_unknown_manifest_among_known_ones_is_said(tmp_path):
    path = tmp_path / "a.yaml"
    known = (CLUSTER / "kuberay" / "storage.yaml").read_text()
    path.write_text(known + "---\napiVersion: batch/v1\nkind: CronJob\n")
    report = check_file(path)
    assert report.status == "ok"
    assert "document 2" in report.unchecked[0]


def test_nothing_to_check_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        check_files([tmp_path])
    with pytest.raises(UsageError, match="no file or folder"):
        check_files([tmp_path / "gone"])


def test_a_file_that_is_not_there_ends_with_2_though_another_is_good(tmp_path, capsys):
    gone = tmp_path / "gone.yaml"
    assert app.run(["cluster", "check", str(CLUSTER / "aws.yaml"), str(gone)]) == 2
    assert f"no file or folder {gone}" in capsys.readouterr().err


def test_the_command_says_ok_and_ends_with_0(capsys):
    assert app.run(["cluster", "check", str(CLUSTER / "kuberay")]) == 0
    assert re.search(r"^ok +\S+raycluster\.yaml \(RayCluster\)$", capsys.readouterr().out, re.M)


def test_the_command_ends_with_2_if_any_file_is_bad(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text((CLUSTER / "gcp.yaml").read_text().replace("max_workers:", "max_worker:", 1))
    assert app.run(["cluster", "check", str(CLUSTER / "aws.yaml"), str(bad)]) == 2
    out = capsys.readouterr().out
    assert f"{bad}:8: max_worker: there is no max_worker here; did you mean max_workers?" in out
    assert "1 ok, 1 bad" in out


def test_json_holds_every_file_and_nothing_else_is_on_stdout(tmp_path, capsys):
    shutil.copy(CLUSTER / "onprem.yaml", tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    assert app.run(["cluster", "check", str(tmp_path), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {(Path(each["file"]).name, each["status"]) for each in files} == {
        ("onprem.yaml", "ok"),
        ("notes.txt", "skipped"),
    }

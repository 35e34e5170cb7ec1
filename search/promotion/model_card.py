"""Format `MODEL_CARD.md`: a promoted model, its figures, its intended use and its limits."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.core.atomic_folder import REPORT, write_json
from search.evaluation.pair_evaluation import describe_better_baselines
from search.promotion.winner_luck import format_luck
from search.reporting.formatting import format_percent
from search.reporting.markdown import escape_text, format_code

Facts = Mapping[str, Any]


def format_card(report: Facts, config: Facts) -> str:
    """Return the model card of a promotion's report, in Markdown."""
    parts = [
        _format_heading(report),
        _format_test_figures(report),
        _format_dev_figures(report),
        _format_threshold(report),
        _format_limits(report),
        _format_loading(report),
        f"## Config\n\nSignature `{report['model']['signature']}`.\n\n"
        f"```json\n{json.dumps(config, indent=2)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def rewrite_card(folder: Path, report: Facts, registered_as: str) -> dict[str, Any]:
    """Give card and report of a promoted folder another address, and return the new report."""
    document = {**report, "registered_as": registered_as}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    card, recorded = folder / "MODEL_CARD.md", folder / REPORT
    card.with_suffix(".tmp").write_text(format_card(document, config), encoding="utf-8")
    card.with_suffix(".tmp").replace(card)
    # The report last: a call that died before this line rewrites both again.
    write_json(recorded.with_suffix(".tmp"), document)
    recorded.with_suffix(".tmp").replace(recorded)
    return document


MOST_DESCRIPTION = 5000
"""Characters that MLflow's databases keep of a version's description; PostgreSQL refuses more."""

_PICTURE = re.compile(r"\]\((\w+\.png)\)")


def format_description(report: Facts, run_id: str) -> str:
    """Return the card for the version's page in MLflow: short, with pictures that it can show.

    The page takes no data in place of a picture's address (its sanitiser allows http only), so the
    pictures are those that the run has as artifacts.
    """
    parts = [
        _format_heading(report),
        _format_test_figures(report),
        _format_dev_figures(report),
        _format_loading(report),
        "Threshold, limits and config: `promotion/MODEL_CARD.md` of the version's run.",
    ]
    text = "\n\n".join(part for part in parts if part)
    address = f"](get-artifact?path=promotion%2F\\1&run_uuid={run_id})"
    text = _PICTURE.sub(address, text)
    return text if len(text) <= MOST_DESCRIPTION else text[: MOST_DESCRIPTION - 4] + " ..."


def _format_heading(report: Facts) -> str:
    model = report["model"]
    return (
        f"# {report['search']}/{report['trial']}, epoch {report['epoch']}\n\n"
        f"A speaker encoder of kind `{model['encoder']}` with {model['parameters']:,} parameters "
        f"(training head excluded): 16 kHz mono speech in, an embedding of "
        f"{model['embedding_dim']} numbers out. Two utterances are compared by the cosine of their "
        f"embeddings. It was found by the search `{report['search']}` of the space "
        f"{format_code(report['space'])} and trained on the training list of a corpus with SHA-256 "
        f"`{report['corpus_sha256'][:16]}...`.\n\n"
        f"Weights: `encoder.safetensors`, SHA-256 `{model['sha256']}`."
    )


def _format_test_figures(report: Facts) -> str:
    test = report["test"]
    if test is None:
        return (
            "## What it is worth\n\nUnknown: the corpus has no test pairs. The dev figure below "
            "chose this model and flatters it."
        )
    listed = test["list"]
    rows = [_format_rows(name, numbers) for name, numbers in test["conditions"].items()]
    again = test["looks"]
    times = "once" if again == 1 else f"{again} times"
    looks = (
        "The search had never opened these pairs before."
        if again == 0
        else f"The search had opened these pairs {times} before: the figures flatter."
    )
    worse = describe_better_baselines(test["conditions"].values())
    warned = ["", f"**Worse than no network:** {escape_text(worse)}."] if worse else []
    return "\n".join(
        [
            "## What it is worth",
            "",
            # Not at the start of a line, where a long row of backticks would open a block.
            f"The list {format_code(listed['name'])}: {listed['pairs']:,} pairs "
            f"({listed['targets']:,} target, {listed['non_targets']:,} non-target) of "
            f"{listed['speakers']:,} speakers, SHA-256 "
            f"`{listed['sha256'][:16]}...`. {looks} Scores are the {report['scoring']}, "
            "without score normalisation, mean subtraction or calibration; the interval is "
            "over the draw of speakers.",
            "",
            "| condition | system | EER | 95 % interval | minDCF .01 | minDCF .05 |",
            "| --- | --- | --- | --- | --- | --- |",
            *(line for row in rows for line in row),
            *warned,
            "",
            "The mismatched condition puts each utterance through a filter, a room and noise of "
            "its own. Mel statistics are what is reached without a network.",
            "",
            "![DET curve](det.png)",
            "",
            "![scores](histogram.png)",
        ]
    )


def _format_rows(condition: str, numbers: Facts) -> list[str]:
    systems = [("**this model**", numbers)]
    systems += [(escape_text(floor["name"]), floor) for floor in numbers["floors"]]
    return [
        f"| {condition} | {name} | {format_percent(each['eer'])} "
        f"| {_format_interval(each)} "
        f"| {each['min_dcf_p01']:.3f} | {each['min_dcf_p05']:.3f} |"
        for name, each in systems
    ]


def _format_interval(numbers: Facts) -> str:
    if numbers["eer_low"] is None:
        return "none, too few speakers"
    return f"{format_percent(numbers['eer_low'])} to {format_percent(numbers['eer_high'])}"


def _format_dev_figures(report: Facts) -> str:
    dev = report["dev"]
    listed = dev["list"]
    selection = report.get("selection")
    lucky = ""
    if selection:
        lines = format_luck(selection, str(report["trial"]))
        lucky = "".join(f"\n- {escape_text(line.strip())}" for line in lines) + "\n"
    return (
        f"On the dev pairs that chose it ({listed['pairs']:,} of {listed['speakers']:,} speakers, "
        f"{dev['condition']}): EER {format_percent(dev['eer'])} "
        f"({_format_interval(dev)}).\n{lucky}\n"
        "![dev EER and training loss by epoch](epochs.png)"
    )


def _format_threshold(report: Facts) -> str:
    dev = report["dev"]
    lines = [
        "## Threshold",
        "",
        f"Accept a pair if the cosine is at least **{dev['threshold']:.4f}** (`threshold.json`): "
        f"where misses and false alarms were equal on the {dev['condition']} dev pairs.",
    ]
    if report["test"] is not None:
        lines += ["", "On the test pairs it gives:", ""]
        lines += [
            f"- {name}: {format_percent(numbers['at_dev_threshold']['miss'])} misses, "
            f"{format_percent(numbers['at_dev_threshold']['false_alarm'])} false alarms"
            for name, numbers in report["test"]["conditions"].items()
        ]
    lines += [
        "",
        "Another microphone, room or population needs a threshold of its own, and so does another "
        "way of scoring: crops, AS-norm (`spksearch evaluate --norm as_norm1`) or a subtracted "
        "mean move the scores. `--calibrate-on` pairs of yours turns them into log-likelihood "
        "ratios, for which any prior and costs have a threshold.",
    ]
    return "\n".join(lines)


def _format_limits(report: Facts) -> str:
    seconds = report["utterance_seconds"]
    return (
        "## Intended use and limits\n\n"
        "For research and for verifying, with consent, that two recordings are of one speaker. Not "
        "for identifying people without their knowledge, and not as the only ground of a decision "
        "about a person. It does not detect replayed or synthetic speech.\n\n"
        f"It was judged on utterances of {seconds['low']:.1f} to {seconds['high']:.1f} s (median "
        f"{seconds['median']:.1f} s) of the corpus named above; languages, ages, devices and "
        "recording sessions that the corpus lacks are untested. Where a speaker has one recording "
        "session only, the clean figure rewards the channel as well as the voice."
    )


def _format_loading(report: Facts) -> str:
    # Before it is registered there is no version that the card could name.
    address = json.dumps(report["registered_as"] or ".")
    return (
        "## Loading it\n\n"
        "With the project installed. It compares the hashes of weights and config with the "
        "registered ones before it uses them, and runs no code of the model's files:\n\n"
        "```python\n"
        "import soundfile\n"
        "import spksearch\n\n"
        f"model = spksearch.load_model({address})\n"
        'waveform, sample_rate = soundfile.read("recording.wav", dtype="float32")\n'
        "embedding = model.embed(waveform, sample_rate)\n"
        "```\n\n"
        "The folder of this card can be named instead of the address. It is an MLflow model, too, "
        "which loads without a server. From this folder:\n\n"
        "```python\n"
        "import mlflow.pyfunc\n\n"
        'model = mlflow.pyfunc.load_model(".")\n'
        'embeddings = model.predict(["recording.wav"])  # or waveforms: 16 kHz, mono\n'
        "```\n\n"
        "MLflow runs the code that is stored with the model and checks no hash: this trusts "
        "whoever can write to the folder. No pickle is involved: it loads with "
        "`MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false`. MLflow takes the address as well, with the "
        "server's in `MLFLOW_TRACKING_URI`; the server that `spksearch` starts asks for "
        'a credential: `export MLFLOW_TRACKING_TOKEN="$(cat "$SPKSEARCH_HOME/mlflow-credential'
        '")"`.'
    )

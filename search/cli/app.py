"""The command line: its verbs, and the exit code and message of an error."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from search.cli import demo, error_handling
from search.cli.data import cluster, corpus, noise
from search.cli.models import embed, evaluate, identify, import_trainer, verify
from search.cli.read import compare, doctor, inspect, notebook, report
from search.cli.run import launch, promote, replay, steer, ui, watch
from search.core import restart, signals
from search.core.errors import EnvironmentSetupError, Interrupted
from search.core.paths import CODE
from search.launch import exit_record
from search.reporting import console

EXIT_CODES = """\
Exit codes: 0 done; 1 a failure of spksearch; 2 usage, config, space or corpus wrong;
3 environment (cluster, tracking server, storage, token, port, lock); 4 the search ended
without a usable trial; 5 a condition was not met; 6 no such search, trial or model;
7 not finished yet; 130, 143 interrupted with everything saved.

Environment: SPKSEARCH_HOME (default ./runs) holds everything that is written;
SPKSEARCH_NOISE, SPKSEARCH_ROOMS, MLFLOW_TRACKING_URI, RAY_ADDRESS, RAY_AUTH_TOKEN_PATH
and NO_COLOR are honoured; a flag beats the environment. SPKSEARCH_GRACE_SECONDS (10),
SPKSEARCH_RAY_START_SECONDS (180) and SPKSEARCH_STALL_SECONDS (300, on a cluster 900) are how
long trials may take to save, Ray to start, and trials to start while none runs."""

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app = typer.Typer(
    name="spksearch",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=HELP,
    epilog=console.mark_verbatim(EXIT_CODES),
    help=console.help_text(
        "Search for speaker-verification networks: launch, browse, promote.",
        "spksearch demo                              # launch, promote and evaluate, in minutes",
        "spksearch describe quickstart               # what would be tried",
        "spksearch launch quickstart --corpus DIR    # the same call again resumes it",
        "spksearch trials quickstart                 # best first",
        "spksearch ui quickstart                     # the same in the MLflow UI",
        "spksearch promote quickstart                # evaluate the winner on test pairs",
    ),
)

Verb = tuple[Callable[..., Any], str, str]
"""A function, its help, and its line in the help of all verbs."""

VERBS: dict[str, Verb] = {
    "demo": (demo.demo, demo.DEMO, "Launch, promote and evaluate on voices made here."),
    "describe": (inspect.describe, inspect.DESCRIBE, "Print the parameters (axes) of a space."),
    "launch": (launch.launch, launch.LAUNCH, "Start a search, or go on with it."),
    "list": (inspect.list_searches, inspect.LIST, "Print all searches, by name."),
    "status": (
        inspect.status,
        inspect.STATUS,
        "Print the state of a search, its best trial, its speed and the next commands.",
    ),
    "trials": (inspect.trials, inspect.TRIALS, "Print the trials of a search, one a line."),
    "best": (inspect.best, inspect.BEST, "Print the best trial of a search in detail."),
    "show": (inspect.show, inspect.SHOW, "Print one trial in detail."),
    "report": (report.report, report.REPORT, "Write the report of a search, as one HTML file."),
    "compare": (compare.compare, compare.COMPARE, "Compare models on the same pairs."),
    "logs": (watch.logs, watch.LOGS, "Print the log of a trial, or of a launch in the background."),
    "wait": (watch.wait, watch.WAIT, "Wait until a search has ended."),
    "stop": (steer.stop, steer.STOP, "Ask a running search to stop."),
    "pause": (steer.pause, steer.PAUSE, "Start no new trial in a running search."),
    "resume": (steer.resume, steer.RESUME, "Continue a paused search."),
    "budget": (steer.budget, steer.BUDGET, "Change the budgets of a search."),
    "add": (steer.add, steer.ADD, "Add a config to be tried next."),
    "promote": (promote.promote, promote.PROMOTE, "Register a winner and evaluate it."),
    "evaluate": (evaluate.evaluate, evaluate.EVALUATE, "Evaluate a model on a list of pairs."),
    "embed": (embed.embed, embed.EMBED, "Embed recordings with a model."),
    "verify": (verify.verify, verify.VERIFY, "Tell whether recordings are of one speaker."),
    "identify": (identify.identify, identify.IDENTIFY, "Find the speaker of a recording."),
    "replay": (
        replay.replay,
        replay.REPLAY,
        "Run entries of a notebook, and test what they claim.",
    ),
    "import-voxceleb-trainer": (
        import_trainer.import_voxceleb_trainer,
        import_trainer.IMPORT,
        "Convert a training of voxceleb_trainer.",
    ),
    "ui": (ui.ui, ui.UI, "Serve the MLflow UI."),
    "doctor": (doctor.doctor, doctor.DOCTOR, "Check this machine, or a cluster."),
}

for _name, (_function, _help, _short) in VERBS.items():
    app.command(_name, help=_help, short_help=_short, context_settings=HELP)(_function)
app.add_typer(corpus.app, name="corpus", context_settings=HELP)
app.add_typer(noise.app, name="noise", context_settings=HELP)
app.add_typer(cluster.app, name="cluster", context_settings=HELP)
app.add_typer(notebook.app, name="notebook", context_settings=HELP)


def _print_version(wanted: bool) -> None:
    if wanted:
        from search.cli.version import describe_version

        console.print_result(describe_version(CODE))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version; in a clone, the commit too.",
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Search for speaker-verification networks."""


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line, and return its exit code."""
    # A launch in the background: nobody sees its terminal, so it records how it ended.
    launched = exit_record.taken()
    if launched is None:
        return _carry_out(arguments)[0]
    with signals.handle_signals(lambda number: exit_record.at_signal(*launched, number)):
        code, message = _carry_out(arguments)
    exit_record.write(*launched, code, message)
    return code


def _carry_out(arguments: Sequence[str]) -> tuple[int, str]:
    """Return the exit code, and the message of what was wrong; empty if nothing was."""
    arguments = list(arguments)
    # Typer takes --debug before the verb only; people add it to the end of a line that failed.
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _quiet_libraries()
    try:
        _end_if_told(restart.received())
        result: Any = get_command(app).main(arguments, "spksearch", standalone_mode=False)
    except typer.TyperException as error:
        return _print_usage_error(error)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (every error is one message)
        if debug:
            console.stderr_console().print_exception()
        message = error_handling.format_message(error)
        console.print_note(f"spksearch: {message}")
        return error_handling.choose_exit_code(error), message
    # Typer turns Ctrl-C into this code and prints nothing.
    code = result if isinstance(result, int) else 0
    if code == 128 + signal.SIGINT:
        console.print_note("spksearch: interrupted")
        return code, "interrupted"
    return code, ""


def _end_if_told(handoff: restart.Handoff) -> None:
    """End a process that replaced itself only to say why it ends."""
    restart.reap_children()
    if handoff.message and handoff.signal:
        raise Interrupted(handoff.message, handoff.signal)
    if handoff.message:
        raise EnvironmentSetupError(handoff.message)


def _print_usage_error(error: typer.TyperException) -> tuple[int, str]:
    """Print what is wrong with a command line; return the exit code and the message."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "spksearch"
    message = error_handling.rephrase_usage(error.format_message())
    if type(error).__name__ != "NoArgsIsHelpError":
        message = f"{message.replace('Value error, ', '').rstrip('.')}\nsee: {command} --help"
        console.print_note(f"{command}: {message}")
    else:
        console.print_note(message)
    return error.exit_code, message


def _quiet_libraries() -> None:
    """Turn off the telemetry and progress bars of libraries, unless the user has set them."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
    }.items():
        os.environ.setdefault(name, value)

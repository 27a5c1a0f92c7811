"""The commands by name, and what becomes of an error: one line on stderr and exit code 2."""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import typer

from kizu.cli import (
    INTERRUPTED,
    _backbones,
    _check,
    _compare,
    _data,
    _demo,
    _drift,
    _evaluate,
    _export,
    _fit,
    _info,
    _predict,
    _presets,
    _report,
    _streams,
    _threshold,
    _update,
)
from kizu.cli._printable import one_line
from kizu.errors import KizuError, KizuWarning

app = typer.Typer(
    name="kizu",
    help="Visual inspection from pictures of good parts alone.\n\n"
    "First `kizu fit GOOD -o part.kizu` on a folder of good images, then `kizu predict part.kizu NEW`.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("check")(_check.check)
app.command("fit")(_fit.fit)
app.command("evaluate")(_evaluate.evaluate)
app.command("predict")(_predict.predict)
app.command("compare")(_compare.compare)
app.command("threshold")(_threshold.threshold)
app.command("update")(_update.update)
app.command("drift")(_drift.drift)
app.command("report")(_report.report)
app.command("export")(_export.export)
app.command("info")(_info.info)
app.command("demo")(_demo.demo)
app.add_typer(_backbones.app, name="backbones")
app.add_typer(_presets.app, name="presets")
app.add_typer(_data.app, name="data")

_UsageError: Any = typer.BadParameter.__base__


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the version and stop. [default: off]"),
) -> None:
    if version:
        from kizu._version import __version__

        print(f"kizu {__version__}")
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 when it did its work, 2 for a mistake the message names, 130 when interrupted, 143
    when told to end.
    """
    _streams.prepare()
    logging.getLogger().addHandler(logging.NullHandler())  # what libraries log concerns developers
    with _heeding_signals() as heard:
        code = _run(sys.argv[1:] if arguments is None else arguments, heard)
    if code == 0:  # all is put away, and a last search for garbage takes as long as inspecting some images
        atexit.register(gc.freeze)
    sys.exit(code)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: a service or the system ends the process, which cleans up as after an interrupt."""


@contextmanager
def _heeding_signals() -> Iterator[list[KeyboardInterrupt]]:
    """Raise what signals mean, and keep it in the list: libraries make errors of their own of it."""
    heard: list[KeyboardInterrupt] = []

    def end(number: int, _: object) -> None:
        heard.append(_Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise heard[-1]

    before = {}
    with suppress(ValueError):  # not in the main thread: then it is another's affair
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, end)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored, as with nohup
            before[signal.SIGINT] = signal.signal(signal.SIGINT, end)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(arguments: list[str], heard: Sequence[KeyboardInterrupt] = ()) -> int:
    warnings.showwarning = _show_warning
    try:
        code = _command(arguments or ["--help"])
        sys.stdout.flush()  # here, where a full disk or a reader that went away can still be told
        return code
    except (KeyboardInterrupt, typer.Abort) as ended:
        return _interrupted(ended)
    except Exception as error:
        if heard:
            return _interrupted(heard[-1])
        if not isinstance(error, (KizuError, _UsageError, MemoryError, OSError)) and not _out_of_memory(error):
            raise
        print(f"error: {one_line(_words(error, arguments))}", file=sys.stderr)
        return 2


def _interrupted(ended: BaseException) -> int:
    print(INTERRUPTED, file=sys.stderr)
    return 143 if isinstance(ended, _Terminated) else 130


def _command(arguments: list[str]) -> int:
    """Run one command. Not by ``app()``: Typer's own handling of interrupts and closed pipes says nothing."""
    command: Any = typer.main.get_command(app)
    try:
        with command.make_context("kizu", arguments) as context:
            command.invoke(context)
    except typer.Exit as done:
        return int(done.exit_code)
    return 0


_OUT_OF_MEMORY = ("can't start new thread", "failed to map segment", "cannot allocate memory", "bad_alloc")


def _out_of_memory(error: Exception) -> bool:
    """Whether memory is short: threads and libraries that could not be had say so in words of their own."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def _called(arguments: list[str]) -> str:
    """The command that is called, as far as its words are known: ``kizu data fetch``."""
    command: Any = typer.main.get_command(app)
    words = ["kizu"]
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        words.append(word)
    return " ".join(words)


def _words(error: Any, arguments: list[str]) -> str:
    """One line for an error: what, where, what to do."""
    if isinstance(error, KizuError):
        return str(error)
    if isinstance(error, _UsageError):
        where = error.ctx.command_path if error.ctx else _called(arguments)  # the parser names no context
        problem = error.format_message().rstrip(".")
        return f"{problem}{'' if problem.endswith('?') else '.'} See `{where} --help`."
    if _out_of_memory(error):
        return "not enough memory. Use fewer or smaller images, a smaller --image-size, or a larger machine."
    _streams.abandon_stdout()
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}. Check the path, its permissions and the space left, and run again."


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """kizu's own warnings as one line; those of libraries concern developers and stay unseen here."""
    if issubclass(category, KizuWarning):
        print(f"warning: {one_line(message)}", file=sys.stderr)

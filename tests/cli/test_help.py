"""What the commands say of themselves, and that it is true."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer

from cli.running import Command
from kizu import backbones, images
from kizu.cli import _app, _options
from kizu.config import Config
from kizu.detectors import names
from kizu.workflows._resolve import resolve

TOP: dict[str, Any] = typer.main.get_command(_app.app).commands  # type: ignore[attr-defined]


def flattened(commands: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Commands by what is typed for them, those of groups too: ``backbones list``."""
    found: dict[str, Any] = {}
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        found |= flattened(inner, f"{before}{name} ") if inner else {f"{before}{name}": command}
    return found


COMMANDS = flattened(TOP)
PARAMETERS = [(name, parameter) for name, command in COMMANDS.items() for parameter in command.params]
ROW = r"^  {} +[A-Z].*[^.]\.$"  # of a list of commands: the whole sentence, on a terminal of 80 columns
OPTIONS = [(name, option) for name, option in PARAMETERS if option.param_type_name == "option"]


def ids(value: Any) -> str:
    return value if isinstance(value, str) else value.name


def stated_default(command: str, option: str) -> str:
    """The default an option's help shows."""
    (found,) = (o for name, o in OPTIONS if name == command and f"--{option}" in o.opts)
    in_words = re.search(r"\[default: ([^\]]*)\]$", found.help)
    return in_words[1] if in_words else str(found.default)


def test_the_commands() -> None:
    alone = ["check", "fit", "evaluate", "predict", "compare", "threshold", "update", "drift", "report"]
    alone += ["export", "info", "demo"]
    data = [f"data {name}" for name in ("list", "fetch", "synthesise")]
    backbones_ = [f"backbones {name}" for name in ("list", "info", "pull", "add")]
    assert list(COMMANDS) == [*alone, *backbones_, "presets list", "presets show", *data]
    assert all(command.help for command in [*TOP.values(), *COMMANDS.values()])


@pytest.mark.parametrize("name", [name for name in TOP if name not in COMMANDS])
def test_help_of_a_group(kizu: Command, name: str) -> None:
    said = kizu(name, "--help")
    assert (said.code, said.err) == (0, "")
    assert all(re.search(ROW.format(command), said.out, re.MULTILINE) for command in TOP[name].commands)
    assert kizu(name).error == f"Missing command. See `kizu {name} --help`."


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS, ids=ids)
def test_everything_has_help(command: str, parameter: Any) -> None:
    assert parameter.help
    assert re.fullmatch(r"[A-Z].*\.(?: \[default: [^]]+\])?", parameter.help)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=ids)
def test_every_option_shows_its_default(kizu: Command, command: str, option: Any) -> None:
    said = kizu(*command.split(), "--help")
    assert said.code == 0
    text = " ".join(said.out.split())
    start = text.index(f"{option.opts[0]}") if f" {option.opts[0]}" in text else -1
    assert start >= 0
    here = re.split(r" (?=-\w, --|--\w[\w-]+ )", text[text.index(" " + option.opts[0] + " ") + 1 :])
    described = here[1] if re.fullmatch(r"-\w,?", here[0].strip()) else here[0]
    assert ("[default: " in described) != option.required, described
    assert ("[required]" in described) == option.required, described


def test_the_defaults_of_fit_are_those_of_the_library() -> None:
    config, complete = Config(), resolve(Config())
    card = backbones.get(config.backbone).card
    assert stated_default("fit", "detector") == config.detector.name
    assert stated_default("fit", "backbone") == config.backbone
    assert stated_default("fit", "layers") == ",".join(complete.layers or ()) == ",".join(card.default_layers)
    assert stated_default("fit", "image-size") == str(complete.image_size) == str(card.default_image_size)
    assert stated_default("fit", "false-alarms") == str(config.false_alarms)
    assert stated_default("fit", "seed") == str(config.seed)
    assert stated_default("fit", "engine") == config.engine
    assert stated_default("fit", "precision") == config.precision


def test_the_engines_and_precisions_that_help_names_are_those_there_are() -> None:
    for command in ("fit", "evaluate", "predict"):
        for option, known in (("engine", backbones.engines.ENGINES), ("precision", backbones.engines.PRECISIONS)):
            (found,) = (o for name, o in OPTIONS if name == command and o.name == option)
            assert all(name in found.help for name in known)


def test_the_methods_that_help_names_are_those_there_are() -> None:
    (option,) = (o for name, o in OPTIONS if name == "fit" and o.name == "detector")
    assert all(name in option.help for name in names())


def test_the_limit_of_pixels_is_that_of_the_reader() -> None:
    assert images.DEFAULT_MAX_PIXELS == _options.DEFAULT_MAX_PIXELS
    for command in ("fit", "evaluate", "predict"):
        assert stated_default(command, "max-pixels") == str(images.DEFAULT_MAX_PIXELS)


def test_the_parts_that_help_names_are_those_there_are() -> None:
    from kizu.report import PARTS

    (option,) = (o for name, o in OPTIONS if name == "predict" and o.name == "save")
    assert f": {', '.join(PARTS)}; several" in option.help


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Config.model_fields.values())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_of_all(kizu: Command, arguments: list[str]) -> None:
    said = kizu(*arguments)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: kizu [OPTIONS] COMMAND [ARGS]...")
    assert all(re.search(ROW.format(name), said.out, re.MULTILINE) for name in TOP)


def test_usage_repeats_no_dots(kizu: Command) -> None:
    assert kizu("predict", "--help").out.startswith("Usage: kizu predict [OPTIONS] {MODEL} {PATH}...\n")


def test_version(kizu: Command) -> None:
    import kizu as library

    said = kizu("--version")
    assert (said.code, said.out, said.err) == (0, f"kizu {library.__version__}\n", "")


def test_the_kinds_of_defects_that_are_drawn_are_those_there_are() -> None:
    from kizu.synthetic import DEFAULT_SIZE, DEFAULT_STRENGTH, KINDS

    assert stated_default("data synthesise", "kinds") == ",".join(KINDS)
    assert stated_default("data synthesise", "strength") == str(DEFAULT_STRENGTH)
    assert stated_default("data synthesise", "size") == str(DEFAULT_SIZE)

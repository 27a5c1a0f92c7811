"""README and docs against the program: commands run, options and names are documented."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.main import get_command

import kizu
from backbones.networks import convolutions
from backbones.resnets import random_state, write_safetensors
from kizu import detectors
from kizu.backbones.resnet import RESNETS
from kizu.cli._app import app
from kizu.config import Config
from kizu.report import write_image
from kizu.workflows._resolve import resolve
from test_packaging import CELLS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PARAMETERS = "| parameter | default | meaning |"


def blocks(language):
    """Code blocks of the README in a language, markers of lists taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)
    return ["\n".join(line[len(indent) :] for line in body.splitlines()) for indent, body in found]


def run(command, folder, environment):
    """A line of the README in a shell, as a reader would type it."""
    return subprocess.run(
        command, check=False, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with what the README's tour talks of: screws, new pictures, sorted pictures."""
    folder = tmp_path_factory.mktemp("workshop")
    rng = np.random.default_rng(0)
    texture = rng.normal(120, 6, (96, 96, 1))

    def picture(path, scratched=False):
        image = np.clip(texture + rng.normal(0, 4, (96, 96, 3)), 0, 255).astype(np.uint8)
        if scratched:
            image[40:44, 20:70] = 250
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)

    for number in range(12):
        picture(folder / "screws" / f"{number:04}.png")
        picture(folder / "screws-sorted" / "good" / f"{number:04}.png")
    for number in range(3):
        picture(folder / "new-pictures" / f"{number:04}.png", scratched=number == 2)
        picture(folder / "new-batch" / f"{number:04}.png")
        picture(folder / "screws-sorted" / "bad" / f"{number:04}.png", scratched=True)
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """PATH with a `kizu` that is the one under test."""
    commands = tmp_path_factory.mktemp("bin")
    script = commands / "kizu"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m kizu "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


def test_the_tour_of_the_readme_works_as_written(workshop, environment):
    blocks_of_kizu = [block.strip() for block in blocks("bash") if block.startswith("kizu ")]
    assert [block.split()[1] for block in blocks_of_kizu] == [
        *("check", "fit", "predict", "evaluate", "drift", "backbones", "export")
    ]
    for block in blocks_of_kizu:
        for command in block.splitlines() if "backbones" not in block else ():
            done = run(command, workshop, environment)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (workshop / "screw.kizu").stat().st_size
    assert (workshop / "screw.onnx").stat().st_size
    assert len(list((workshop / "results" / "pictures").iterdir())) == 3
    assert (workshop / "report" / "report.html").stat().st_size
    assert any((workshop / "looked-at" / "suspects").iterdir())


def test_the_backbones_of_the_readme_can_be_had(workshop, environment):
    """As written, but for the two that need a network: random weights there, and what kizu says without PyTorch."""
    (block,) = (block for block in blocks("bash") if block.startswith("kizu backbones"))
    write_safetensors(workshop / "my-weights.pth", random_state(RESNETS["resnet18"].plan.shapes()))
    onnx.save(convolutions(names=("relu_3", "relu_7", "relu_12")), str(workshop / "net.onnx"))
    listed, wide, own, timm, file = (line.partition(" #")[0].strip() for line in block.splitlines())
    assert "wide_resnet50_2" in run(listed, workshop, environment).stdout
    small = "--image-size 64 -o other.kizu"
    for command in (f"{wide} --weights none {small}", f"{own} {small}", f"{file} {small}"):
        done = run(command, workshop, environment)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    if find_spec("torch") is None:
        done = run(timm, workshop, environment)
        assert (done.returncode, 'pip install "kizu[torch]"' in done.stderr) == (2, True)


def test_the_python_of_the_readme_runs_as_written(workshop, environment):
    (block,) = blocks("python")
    (workshop / "tour.py").write_text(block)
    done = run(f'"{sys.executable}" -W ignore tour.py', workshop, environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[2] in ("ok", "review", "ng")


def test_the_settings_file_of_the_readme_gives_the_same_model(workshop, environment):
    (line,) = re.findall(
        r"`(kizu info screw.kizu --config > settings.yaml)`.*?`(kizu fit screws --config [^`]+)`", README
    )
    fit = "kizu fit screws -o screw.kizu"
    for command in (fit, line[0], f"{line[1]} -o again.kizu"):
        assert run(command, workshop, environment).returncode == 0
    assert (workshop / "again.kizu").read_bytes() == (workshop / "screw.kizu").read_bytes()


def commands(group, before=""):
    """Each command, by what is typed for it; those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(commands(get_command(app)))


def table(head, text=REFERENCE):
    """The rows of the table under a head, as lists of cells."""
    (rows,) = re.findall(rf"^{re.escape(head)}\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows.splitlines()]


def code(cell):
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def options_of(command):
    """The options of a command, and whether they take a value."""
    found = {option: not p.is_flag for p in command.params if p.param_type_name == "option" for option in p.opts}
    return found | {option: False for p in command.params for option in p.secondary_opts}


def documented_options():
    """Of the reference: command, option, and what it takes; a short form takes what the long one does."""
    for names, of, _ in table("| option | of | meaning |"):
        forms = [form.partition(" ") for form in code(names)]
        for command in COMMANDS if of == "all" else of.split(", "):
            for option, _, value in forms:
                yield command, option, value or (forms[-1][2] if len(option) == 2 else "")


def test_every_command_is_in_the_reference_and_no_other():
    named = [re.match(r"kizu ([a-z]+(?: [a-z]+)*)", code(cell)[0])[1] for cell, _ in table("| command | does |")]
    assert sorted(named) == sorted(COMMANDS)


def test_the_options_in_the_reference_are_those_of_each_command():
    documented = list(documented_options())
    root = get_command(app)
    real = {name: options_of(command) for name, command in COMMANDS.items()}
    real["kizu"] = options_of(root) | dict.fromkeys(root.context_settings["help_option_names"], False)
    assert sorted((command, option) for command, option, _ in documented) == sorted(
        (command, option) for command, options in real.items() for option in options
    )
    assert [(c, o, v) for c, o, v in documented if bool(v) != real[c][o]] == []


def shown(value):
    """A setting's value, as the reference has it."""
    if isinstance(value, tuple | list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def test_settings_in_the_reference_are_all_there_are_with_their_defaults():
    rows = {code(name)[0]: default.strip("`") for name, default, _ in table("| setting | default | meaning |")}
    plain, complete = Config(), resolve(Config())
    real = {name: getattr(plain, name) for name in Config.model_fields}
    real |= {"layers": complete.layers, "image_size": complete.image_size, "detector": plain.detector.name}
    real["sigma"] = f"{complete.sigma:g} px at {complete.image_size}, in proportion; 4 px with tiles"
    assert rows == {name: shown(value) for name, value in real.items()}
    tiled = resolve(Config(tile_size=512))
    assert (tiled.sigma, resolve(Config(image_size=512)).sigma) == (4, 2 * complete.sigma)


def test_parameters_in_the_reference_are_all_there_are_with_their_defaults():
    for detector in ("ensemble", "patchcore", "padim"):
        section = REFERENCE.split(f"### `detector: {detector}`")[1].split("\n#")[0]
        rows = {code(name)[0]: default.strip("`") for name, default, _ in table(PARAMETERS, section)}
        assert rows == {name: shown(v) for name, v in detectors.detector_class(detector).defaults().items()}


def test_every_public_name_is_in_the_reference():
    for name in kizu.__all__:
        assert name.startswith("_") or f"kizu.{name}" in REFERENCE, name


def called(block):
    """The functions that a block of Python has from kizu, and the calls of them in it."""
    tree, imported = ast.parse(block), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("kizu"):
            imported |= {name.name: getattr(import_module(node.module), name.name) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in imported:
            yield imported[node.func.id], node
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("kizu."):
            name = ast.unparse(node.func).removeprefix("kizu.")
            assert name in kizu.__all__, f"`import kizu` alone does not give kizu.{name}"
            yield getattr(kizu, name), node


def test_python_in_the_documents_calls_what_is_there_with_what_it_takes():
    blocks = [
        block
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    calls = [call for block in blocks for call in called(block)]
    assert len(calls) >= 8
    for function, call in calls:
        inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords})


def text_of(document):
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(document):
    """What links can point at, by GitHub's rules: headings in small letters, without punctuation, with hyphens."""
    found = []
    for heading in re.findall(r"^#+ +(.*?) *#*$", text_of(document), re.MULTILINE):
        words = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(f"{anchor}-{times}" if (times := found.count(anchor)) else anchor)
    return found


def links():
    """Every link of every page to a file or heading: where it stands, and its target."""
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
            if not re.match(r"https?:", target):
                yield document, target


def test_every_decision_is_in_the_index_under_its_title():
    folder = ROOT / "docs" / "decisions"
    records = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    titles = [path.read_text("utf-8").partition("\n")[0].removeprefix("# ").split(". ", 1) for path in records]
    listed = [f"| {number} | [{title}]({path.name}) |" for path, (number, title) in zip(records, titles, strict=True)]
    rows = (folder / "README.md").read_text("utf-8").splitlines()
    assert [row for row in rows if row.startswith("| ") and "](" in row] == listed


def test_links_lead_somewhere():
    unpacked = (ROOT / "PKG-INFO").exists()  # of a source distribution
    for document, target in links():
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists() or (unpacked and file.name in CELLS), f"{document.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{document.name}: {target}"


def test_anchors_are_those_that_github_makes(tmp_path):
    page = tmp_path / "a.md"
    page.write_text("# `evaluate --json`: what's in it\n## Two\n```\n# none\n```\n## Two\n### [A b](c.md), 良品\n")
    assert anchors(page) == ["evaluate---json-whats-in-it", "two", "two-1", "a-b-良品"]


def test_the_commands_for_large_pictures_work_as_written(tmp_path, environment):
    rng = np.random.default_rng(0)
    for folder in ("sheets", "new-sheets", "parts"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            image = rng.normal(30, 4, (300, 400, 3))
            image[80:220, 120:280] += 100 + rng.normal(0, 10, (140, 160, 1))
            picture = np.clip(image, 0, 255).astype(np.uint8)
            sheet = np.tile(picture, (2, 2, 1))[:560, :700]
            write_image(tmp_path / folder / f"{number}.png", picture if folder == "parts" else sheet)
    write_image(tmp_path / "area.png", np.full((300, 400, 3), 255, np.uint8))
    text = (ROOT / "docs" / "large-pictures.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        done = run(line, tmp_path, {**environment, "PYTHONWARNINGS": "default"})
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert len(list((tmp_path / "results" / "pictures").iterdir())) == 4
    assert (tmp_path / "inspected.png").stat().st_size


def test_the_commands_for_depth_work_as_written(tmp_path, environment):
    import cv2

    rng = np.random.default_rng(0)
    for folder in ("castings", "new-castings", "boards", "photos"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            planes = (900 + 40 * rng.standard_normal((300, 300, 4))).astype(np.uint16)
            image = {"photos": (planes[..., :3] // 8).astype(np.uint8), "boards": planes}.get(folder, planes[..., 0])
            name = f"{number}{ {'photos': '.jpg', 'boards': '.tif'}.get(folder, '.png') }"
            (tmp_path / folder / name).write_bytes(cv2.imencode(Path(name).suffix, image)[1].tobytes())
    text = (ROOT / "docs" / "depth.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        done = run(line, tmp_path, {**environment, "PYTHONWARNINGS": "default"})
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert len(list((tmp_path / "results" / "pictures").iterdir())) == 4

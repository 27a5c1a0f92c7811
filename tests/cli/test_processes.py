"""What only a process of its own shows: imports, signals, pipes, full disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.running import KIZU, files, in_its_own_process
from workflows import tiles

HEAVY = ["numpy", "cv2", "onnxruntime", "faiss", "onnx"]
SMALL = ("--image-size", 64, "--false-alarms", 0.2)


LIGHTEST = ["import kizu", "from kizu.cli import main; main(['--help'])"]


@pytest.mark.parametrize(
    "code",
    [
        *LIGHTEST,
        "from kizu.cli import main; main(['--version'])",
        "from kizu.cli import main; main(['fit', '--help'])",
        "from kizu.cli import main; main(['predict', '--help'])",
        "from kizu.cli import main; main(['backbones', '--help'])",
        "from kizu.cli import main; main(['backbones', 'pull', '--help'])",
        "from kizu.cli import main; main(['ft'])",
    ],
)
def test_light_commands_load_nothing_heavy(code: str) -> None:
    watch = (
        "import atexit, sys; atexit.register(lambda: print('\\n', sorted({m.split('.')[0] for m in sys.modules})))"
    )
    said = subprocess.run([sys.executable, "-c", f"{watch}; {code}"], capture_output=True, text=True, check=False)
    loaded = json.loads(said.stdout.splitlines()[-1].replace("'", '"'))
    assert "kizu" in loaded
    heavy = [*HEAVY, "pydantic"] if code in LIGHTEST else HEAVY  # Typer itself may convert options with pydantic
    assert [name for name in heavy if name in loaded] == []


@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupt_that_a_library_makes_an_error_of(sent: str, code: int) -> None:
    program = f"""
import signal, kizu.cli._app as app
signal.signal(signal.SIGINT, signal.default_int_handler)  # else it is ignored where the tests run in the background
def command(arguments):
    try:
        signal.raise_signal(signal.{sent})
    except BaseException:
        raise ImportError("initialization failed") from None
app._command = command
app.main([])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (code, "\ninterrupted: existing files are as they were.\n")


def test_an_interrupt_while_the_commands_load(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    here = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run([*KIZU, "--version"], env=here, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (130, "")
    assert said.stderr == "\ninterrupted: existing files are as they were.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ignores interrupts in another way")
def test_an_ignored_interrupt_stays_ignored() -> None:
    program = """
import signal, kizu.cli._app as app
signal.signal(signal.SIGINT, signal.SIG_IGN)
def command(arguments):
    signal.raise_signal(signal.SIGINT)
    return 0
app._command = command
app.main([])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_what_libraries_log_is_not_shown() -> None:
    program = """
import logging, kizu.cli._app as app
app._command = lambda arguments: logging.getLogger("matplotlib").warning("a cache") or 0
app.main([])
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_python_m_kizu() -> None:
    said = in_its_own_process(["--version"])
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("kizu ")
    assert in_its_own_process(["ft"]).error.startswith("No such command 'ft'.")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=str)
def test_an_interrupted_fit(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    tiles.good(tmp_path / "部品", 60)
    target = tmp_path / "ねじ.kizu"
    target.write_bytes(b"old")
    before = files(tmp_path)
    command = [*KIZU, "fit", str(tmp_path / "部品"), "-o", str(target), "--image-size", "512"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}  # also under nohup
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", **heard
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "Reading images (60)\n"
        running.send_signal(sent)
        rest = running.stderr.read()
        assert running.wait(timeout=60) == code
    assert rest == "\ninterrupted: existing files are as they were.\n"
    assert files(tmp_path) == before


@pytest.mark.parametrize("command", ["predict", "info", "--help"])
def test_a_reader_that_goes_away(model: Path, parts: Path, command: str) -> None:
    arguments = {"predict": [model, parts], "info": [model], "--help": []}[command]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        said = in_its_own_process([command, *arguments], stdout=writer)
    finally:
        os.close(writer)
    assert said.code == 0
    assert [line for line in said.err.splitlines() if not line.startswith("Inspecting")] == []


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_work_goes_on_without_its_reader(model: Path, parts: Path, tmp_path: Path, command: str) -> None:
    """Where files are written they are all there, also where every line goes out at once."""
    out = tmp_path / "結果"
    arguments = {"fit": [parts, "-o", out, *SMALL], "predict": [model, parts, "--out", out]}[command]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        said = in_its_own_process([command, *arguments], stdout=writer, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    finally:
        os.close(writer)
    assert said.code == 0
    assert out.is_file() if command == "fit" else len(list((out / "pictures").iterdir())) == 42
    assert command == "fit" or (out / "predictions.csv").is_file()


@pytest.mark.parametrize("command", ["predict", "info", "gone"])
def test_messages_to_a_full_disk(model: Path, parts: Path, command: str) -> None:
    arguments = {"predict": [model, parts], "info": [model], "gone": [parts / "無い.kizu"]}[command]
    with Path("/dev/full").open("w") as full:
        said = in_its_own_process(["info" if command == "gone" else command, *arguments], stderr=full)
    assert said.code == (2 if command == "gone" else 0)
    assert bool(said.out) == (command != "gone")


def test_predict_into_head(model: Path, parts: Path) -> None:
    with subprocess.Popen(
        [*KIZU, "predict", str(model), str(parts)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(str(parts))
        running.stdout.close()
        assert running.stderr.read() == "Inspecting images (42)\n"
        assert running.wait(timeout=60) == 0


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("command", ["predict", "info", "--version"])
def test_streams_that_are_not_there(model: Path, parts: Path, closed: tuple[int, ...], command: str) -> None:
    arguments = {"predict": [model, parts], "info": [model], "--version": []}[command]
    left = {1: "stdout", 2: "stderr"}
    options = {name: None for number, name in left.items() if number in closed}
    said = in_its_own_process([command, *arguments], preexec_fn=lambda: [os.close(one) for one in closed], **options)
    assert (said.code, "Traceback" in said.out + said.err) == (0, False)
    assert bool(said.out) == (1 not in closed)


def test_a_mistake_without_stderr_is_not_told_on_stdout(tmp_path: Path) -> None:
    said = in_its_own_process(["info", tmp_path / "無い.kizu"], preexec_fn=lambda: os.close(2), stderr=None)
    assert (said.code, said.out, said.err) == (2, "", "")


@pytest.mark.parametrize("command", ["predict", "info"])
def test_output_to_a_full_disk(model: Path, parts: Path, command: str) -> None:
    with Path("/dev/full").open("w") as full:
        said = in_its_own_process([command, model, *([parts] if command == "predict" else [])], stdout=full)
    assert said.error.startswith("No space left on device. ")


LIMITED = """
import resource, sys
from kizu.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
main(sys.argv[2:])
"""


def limited(room: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "utf8", "-c", LIMITED, str(room), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def test_a_full_disk_while_a_model_is_written(parts: Path, tmp_path: Path) -> None:
    target = tmp_path / "ねじ.kizu"
    target.write_bytes(b"old")
    done = limited(500_000, "fit", parts, "-o", target, *SMALL)
    said = f"error: {target}: cannot be written: no space left on the drive; free some and run again."
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, said)
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == {"ねじ.kizu": b"old"}


def test_a_full_disk_while_results_are_written(model: Path, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_bytes(b"old")
    done = limited(400, "predict", model, parts, "--out", tmp_path)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (done.returncode, len(errors)) == (2, 1)
    assert errors[0].endswith(": cannot be written: no space left on the drive; free some and run again.")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "predictions.csv").read_bytes() == b"old"
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "ascii"])
def test_json_is_json_in_any_encoding(model: Path, tmp_path: Path, encoding: str) -> None:
    names = ["部品é.png", "😀.png"]
    for name in names:
        tiles.write(tmp_path / name, tiles.tile(0))
    command = [sys.executable, "-m", "kizu", "predict", str(model), str(tmp_path), "--json"]
    done = subprocess.run(
        command, capture_output=True, check=True, env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    )
    found = json.loads(done.stdout.decode(encoding))
    assert sorted(Path(p["path"]).name for p in found["predictions"]) == sorted(names)
    plain = subprocess.run(
        command[:-1], capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    assert len(plain.stdout.splitlines()) == 2

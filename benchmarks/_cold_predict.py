"""One image from a cold start, stage by stage: run by ``startup.py`` in a fresh interpreter.

``python _cold_predict.py STARTED MODEL IMAGE``: STARTED is ``time.time()`` when this process was asked for. The
prediction goes to stderr; seconds by stage go to stdout as JSON, with the time they ended.
"""

import atexit
import gc
import json
import sys
import time
from typing import Any

STAGES: dict[str, float] = {}


def mark(stage: str, since: float) -> float:
    """Put down what passed ``since``; returns now."""
    now = time.time()
    STAGES[stage] = now - since
    return now


def load_libraries() -> None:
    """What `kizu predict` loads, one after the other."""
    since = time.time()
    import numpy  # noqa: F401

    since = mark("import numpy", since)
    import cv2  # noqa: F401

    since = mark("import cv2", since)
    import onnxruntime  # noqa: F401

    since = mark("import onnxruntime", since)
    import faiss  # noqa: F401

    since = mark("import faiss", since)
    import kizu.cli._app  # noqa: F401
    from kizu.workflows import load, predict  # noqa: F401

    mark("import the rest", since)


def watch_sessions() -> None:
    """Time the making of ONNX Runtime sessions apart from the rest of a model's loading."""
    from kizu.backbones.engines import onnxruntime as module

    plain = module.OnnxRuntimeEngine

    def engine(*arguments: Any, **options: Any) -> Any:
        since = time.time()
        made = plain(*arguments, **options)
        mark("session", since)
        return made

    name = "OnnxRuntimeEngine"
    setattr(module, name, engine)


def predict(model: str, path: str) -> None:
    """Load, read, score, print."""
    from kizu import images
    from kizu.workflows import load

    since = time.time()
    inspector = load(model)
    since = mark("model and session", since)
    STAGES["model"] = STAGES.pop("model and session") - STAGES["session"]
    image = images.read_image(path)
    since = mark("image", since)
    prediction = inspector.inspect(image)
    since = mark("score", since)
    print(prediction.to_dict(), file=sys.stderr, flush=True)
    mark("print", since)


def main() -> None:
    mark("interpreter", float(sys.argv[1]))
    load_libraries()
    watch_sessions()
    predict(*sys.argv[2:4])
    atexit.register(gc.freeze)  # as the command does
    print(json.dumps({**STAGES, "ended": time.time()}), flush=True)


if __name__ == "__main__":
    main()

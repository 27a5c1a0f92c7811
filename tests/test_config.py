from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kizu import backbones, detectors
from kizu.config import Config, DetectorConfig, parse, read, with_settings
from kizu.errors import BackboneError, KizuError, ParameterError
from kizu.workflows._resolve import resolve


def chosen(*given: str) -> Config:
    return resolve(parse(with_settings({}, given), "kizu fit"))


CONFIGS = [
    Config(),
    Config(detector="padim"),
    Config(detector=DetectorConfig(name="patchcore", coreset_ratio=0.1, reweight=True)),
    Config(layers=("blocks.2", "blocks.4"), image_size=128, patch_stride=None, sigma=1e-5, false_alarms=0.0, seed=7),
]


@pytest.mark.parametrize("config", [*CONFIGS, *map(resolve, CONFIGS)])
def test_yaml_round_trip(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "設定.yaml"
    path.write_text(config.to_yaml(), encoding="utf-8")
    assert parse(read(path)) == config


NAMES = "abz09._-日本 ,:#'\"[]{}&*!|>%@`~\\/é"
"""What may stand in a layer's name, and everything YAML takes for its own."""


@settings(deadline=None)
@given(
    st.builds(
        Config,
        layers=st.none() | st.lists(st.text(NAMES), min_size=1).map(tuple),
        image_size=st.none() | st.integers(32, 8192),
        sigma=st.none() | st.floats(0, 1e6),
        false_alarms=st.floats(0, 1, exclude_max=True),
        hold_out=st.floats(0, 1, exclude_min=True, exclude_max=True),
        seed=st.integers(0, 2**70),
    )
)
def test_any_configuration_survives_yaml(config: Config) -> None:
    import yaml

    assert parse(yaml.safe_load(config.to_yaml())) == config


OPEN = {"preset", "patch_stride", "embedding_dims", "weights", "mean", "std", "resize", "providers"}
OPEN |= {
    "groups",
    "memory",
    "tile_size",
    "tile_stride",
    "tile_border",
    "tile_lattice",
    "random_tiles",
    "roi",
    "window",
    "channels",
}
"""Settings for which null is an answer."""


@pytest.mark.parametrize("config", CONFIGS)
def test_resolving_completes_everything_once(config: Config) -> None:
    complete = resolve(config)
    document = complete.model_dump()
    assert [name for name, value in document.items() if value is None and name not in OPEN] == []
    cls = detectors.detector_class(complete.detector.name)
    assert list(complete.detector.parameters) == list(cls.defaults())
    assert resolve(complete) == complete
    for name in config.model_fields_set - {"detector"}:
        assert getattr(complete, name) == getattr(config, name)


def test_what_is_left_open_comes_from_backbone_and_detector() -> None:
    complete = resolve(Config())
    card = backbones.get("efficientnet_lite0").card
    assert (complete.layers, complete.image_size) == (card.default_layers, card.default_image_size)
    assert complete.detector.parameters == detectors.detector_class("patchcore").defaults()
    assert complete.sigma == 4.0
    assert resolve(Config(image_size=64)).sigma == 1.0


def test_a_finest_grid_the_user_asked_for_stays() -> None:
    assert chosen("patch_stride=null").patch_stride is None
    assert chosen().patch_stride == 8


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["seed=3"], {"seed": 3}),
        (["false_alarms=1e-3"], {"false_alarms": 0.001}),
        (["false_alarms=.5E-1"], {"false_alarms": 0.05}),
        (["layers=[blocks.2, blocks.4]"], {"layers": ["blocks.2", "blocks.4"]}),
        (["layers=blocks.2,blocks.4"], {"layers": "blocks.2,blocks.4"}),
        (["sigma=null"], {"sigma": None}),
        (["detector=padim"], {"detector": "padim"}),
        (["detector.coreset_ratio=0.1"], {"detector": {"coreset_ratio": 0.1}}),
        (["detector=padim", "detector.reduced_dims=5"], {"detector": {"name": "padim", "reduced_dims": 5}}),
        (["detector.search=a=b"], {"detector": {"search": "a=b"}}),
        (["seed=1", "seed=2"], {"seed": 2}),
    ],
)
def test_settings(given: list[str], expected: dict[str, Any]) -> None:
    document: dict[str, Any] = {}
    assert with_settings(document, given) == expected
    assert document == {}


def test_settings_leave_what_the_file_says_beside_them() -> None:
    document = {"seed": 1, "detector": {"name": "padim", "reduced_dims": 7}}
    changed = with_settings(document, ["detector.regularisation=0.1"])
    assert changed == {"seed": 1, "detector": {"name": "padim", "reduced_dims": 7, "regularisation": 0.1}}
    assert document == {"seed": 1, "detector": {"name": "padim", "reduced_dims": 7}}


@pytest.mark.parametrize("groups", ["blocks.1+blocks.2, blocks.4", [["blocks.1", "blocks.2"], "blocks.4"]], ids=str)
def test_groups_on_a_line_or_as_lists(groups: object) -> None:
    assert parse({"groups": groups}).groups == (("blocks.1", "blocks.2"), ("blocks.4",))


@pytest.mark.parametrize("channels", [True, [True, False, True], [0.9, 1, 2], 1.0])
def test_channels_are_whole_numbers(channels: object) -> None:
    with pytest.raises(ParameterError, match="write one number or three from 0"):
        parse({"channels": channels})


def test_groups_become_parts_of_the_channels() -> None:
    lite = resolve(parse({"detector": "ensemble"}))
    assert lite.groups == (("blocks.1", "blocks.2"), ("blocks.2", "blocks.4"), ("blocks.4", "blocks.5"))
    assert lite.detector.parameters["parts"] == [[0, 64], [24, 176], [64, 368]]
    assert resolve(lite) == lite
    own = resolve(parse({"detector": "ensemble", "layers": "blocks.4,blocks.2", "groups": "blocks.2"}))
    assert own.detector.parameters["parts"] == [[112, 152]]
    one = resolve(parse({"detector": "ensemble", "layers": "blocks.4,blocks.2"}))
    assert (one.groups, one.detector.parameters["parts"]) == (None, None)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"groups": "blocks.1+blocks.4"}, "`groups` must be runs of neighbouring layers out of blocks.1, blocks.2"),
        ({"groups": "blocks.2+blocks.1"}, "`groups` must be runs of neighbouring layers"),
        ({"groups": "blocks.3"}, "`groups` must be runs of neighbouring layers"),
        ({"groups": [[]]}, "`groups` must be runs of neighbouring layers"),
        ({"groups": "blocks.1", "detector": "patchcore"}, "`groups` must be null for the detector patchcore"),
        ({"groups": "blocks.1", "embedding_dims": 64}, "`groups` must be null where embedding_dims"),
    ],
    ids=str,
)
def test_impossible_groups(given: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        resolve(parse({"detector": "ensemble", **given}))


def test_layers_by_commas_or_as_a_list() -> None:
    assert chosen("layers=blocks.4, blocks.2").layers == ("blocks.4", "blocks.2")
    assert chosen("layers=[blocks.4, blocks.2]") == chosen("layers=blocks.4,blocks.2")


BAD = {
    "fals_alarms=0.1": r"kizu fit: unknown setting 'fals_alarms'\. Did you mean 'false_alarms'\?",
    "detector.coreset_ration=0.1": r"'coreset_ration'\. Did you mean 'coreset_ratio' or 'coreset_count'\?",
    "detectr.coreset_ratio=0.1": r"--set .*'detectr.coreset_ratio'\. Did you mean 'detector.coreset_ratio'\?",
    "detector.name=padin": r"unknown detector 'padin'\. Did you mean 'padim'\?",
    "backbone=efficientnet_lit0": r"Did you mean 'efficientnet_lite0'",
    "layers=block.2": r"unknown layer 'block\.2'\. Did you mean 'blocks\.2'",
    "mean=a,b,c": r"`mean`: write three numbers such as 0\.5,0\.5,0\.5; got 'a,b,c'",
    "layers=[]": r"`layers`: .* at least 1 item",
    "layers=[1]": r"`layers\.0`: input should be a valid string; got 1",
    "layers=[blocks.2, blocks.2]": "Name each layer once",
    "detector.coreset_ratio=.nan": r"`coreset_ratio` must be in \(0, 1\]; got nan\. For ten percent write 0\.1\.",
    "detector.coreset_ratio=10": r"`coreset_ratio` must be in \(0, 1\]; got 10\.",
    "detector.coreset_ratio=ten": r"`coreset_ratio` must be in \(0, 1\]; got 'ten'",
    "detector.search_error=.nan": r"`search_error` must be in \(0, 1\]; got nan",
    "detector.neighbors=1.5": "`neighbors` must be a whole number of 1 or more; got 1.5",
    "detector.reweight=1": "`reweight` must be true, false or walkthrough; got 1",
    "detector.search=fast": "`search` must be one of auto, exact, approximate; got 'fast'",
    "false_alarms=.nan": "`false_alarms`: input should be a finite number; got nan",
    "false_alarms=1": "`false_alarms`: input should be less than 1; got 1",
    "false_alarms=5%": "`false_alarms`: input should be a valid number; got '5%'",
    "hold_out=.nan": "`hold_out`: input should be a finite number; got nan",
    "hold_out=0": "`hold_out`: input should be greater than 0; got 0",
    "sigma=.nan": "`sigma`: input should be a finite number; got nan",
    "sigma=.inf": "`sigma`: input should be a finite number; got inf",
    "sigma=1e9": r"`sigma` must be at most image_size, 256 pixels; got 1000000000\.0",
    "image_size=16": "`image_size`: input should be greater than or equal to 32; got 16",
    "image_size=256.0": r"`image_size`: input should be a valid integer; got 256\.0",
    "patch_stride=7": r"`patch_stride` must be the stride of a layer of efficientnet_lite0",
    "seed=true": "`seed`: input should be a valid integer; got True",
    "seed=-1": "`seed`: input should be greater than or equal to 0; got -1",
    "detector=5": "`detector`: input should be a valid dictionary",
    "detector={1: 2}": r"`detector\.1`: keys should be strings",
    "seed": "--set seed: write KEY=VALUE, for example detector.coreset_ratio=0.1",
    "=3": "--set =3: write KEY=VALUE",
    "seed=[1": r"--set seed=\[1: cannot read the value",
    "seed=2020-99-99": "cannot read the value",
    "seed=!!int x": "cannot read the value",
    "seed=!!bool x": "cannot read the value",
    "seed=!!timestamp x": "cannot read the value",
    "seed=!!python/object/apply:os.getcwd []": "cannot read the value",
    "seed=" + "[" * 5000: "cannot read the value",
}


@pytest.mark.parametrize("setting", BAD)
def test_bad_settings_say_what_is_wrong(setting: str) -> None:
    with pytest.raises((ParameterError, BackboneError), match=BAD[setting]) as caught:
        chosen(setting)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(st.sampled_from([*Config.model_fields, "detector.coreset_ratio", "detector.search", "x"]), st.text())
def test_any_setting_is_taken_or_refused_in_our_words(key: str, value: str) -> None:
    try:
        chosen(f"{key}={value}")
    except KizuError:
        return
    assert key != "x"


def test_a_file_of_settings(tmp_path: Path) -> None:
    path = tmp_path / "設定.yaml"
    path.write_bytes(b"\xef\xbb\xbfdetector: padim\nlayers: blocks.2, blocks.4\nfalse_alarms: 5e-2\n")
    config = parse(read(path), str(path))
    assert (config.detector.name, config.layers, config.false_alarms) == ("padim", ("blocks.2", "blocks.4"), 0.05)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert read(tmp_path / "a.yaml") == {}
    assert parse({}) == Config()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a: [1", "not a YAML file in UTF-8"),
        (b"\xff\xfes\x00", "not a YAML file in UTF-8"),
        ("名前: 値".encode("cp932"), "not a YAML file in UTF-8"),
        (b"seed: 2020-99-99", "not a YAML file in UTF-8"),
        (b"seed: !!python/object/apply:os.getcwd []", "not a YAML file in UTF-8"),
        (b"just words", "expected settings like `image_size: 256`, one a line; got 'just words'"),
        (b"- seed", "expected settings like"),
        (b"imagesize: 5", r"unknown setting 'imagesize'\. Did you mean 'image_size'"),
        (b"1: 2", "unknown setting '1'"),
        (b"detector: {name: 5}", r"`detector\.name`: input should be a valid string; got 5"),
        (b"seed: x", "`seed`: input should be a valid integer; got 'x'"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "設定.yaml"
    path.write_bytes(data)
    with pytest.raises(ParameterError, match=words) as caught:
        parse(read(path), str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot read the configuration: No such file or directory"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(ParameterError, match="cannot read the configuration: Is a directory"):
        read(tmp_path)


def test_reading_a_file_leaves_pyyaml_as_it_was() -> None:
    import yaml

    assert yaml.safe_load("1e-3") == "1e-3"

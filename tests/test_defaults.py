"""The published values stand in the table, and nothing else is made up."""

import pytest

from kizu.defaults import Defaults, defaults_for


@pytest.mark.parametrize(("backbone", "dimensions"), [("resnet18", 100), ("wide_resnet50_2", 550)])
def test_padim_has_the_values_of_its_paper(backbone, dimensions):
    found = defaults_for("padim", backbone)
    assert found.layers == ("layer1", "layer2", "layer3")
    assert found.parameters == {"reduced_dims": dimensions}
    assert found.settings == {"patch_stride": None, "patch_size": 1}


def test_what_is_not_in_the_table_is_left_open():
    assert defaults_for("patchcore", "efficientnet_lite0") == Defaults()

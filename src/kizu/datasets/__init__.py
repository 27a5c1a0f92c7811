"""Folders and lists of files as samples: path, split, label, defect type and mask."""

from kizu.datasets._detect import find_bad_folders, find_products, is_labelled, load_dataset
from kizu.datasets._folders import MASK_WORDS
from kizu.datasets._sample import Dataset, Label, Sample, Split
from kizu.datasets._split import split_good
from kizu.datasets._summary import DatasetSummary
from kizu.datasets.masks import load_mask, read_marks

__all__ = [
    "MASK_WORDS",
    "Dataset",
    "DatasetSummary",
    "Label",
    "Sample",
    "Split",
    "find_bad_folders",
    "find_products",
    "is_labelled",
    "load_dataset",
    "load_mask",
    "read_marks",
    "split_good",
]

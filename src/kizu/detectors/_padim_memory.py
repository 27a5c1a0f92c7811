"""What a fit of PaDiM takes of memory, known before anything is computed."""

from __future__ import annotations

from kizu.errors import ParameterError
from kizu.gaussian import RunningGaussian
from kizu.memory import available, size_text

SCRATCH = 100_000_000
"""Bytes that a fit takes beside its sums: batches of embeddings, and matrices being worked on."""

ROBUST = 2
"""Times that a robust fit holds the chosen channels of all images, at most."""


def room_to_leave_out(memory: int, images: int, positions: int, dimensions: int, *, robust: bool) -> bool:
    """Whether a fit within ``memory`` bytes may leave each of ``images`` out, of ``positions`` patches of
    ``dimensions`` channels each. Raises `ParameterError` where it may not even be fitted.
    """
    least = SCRATCH + RunningGaussian.memory(positions, dimensions)
    least += ROBUST * 4 * images * positions * dimensions if robust else 0
    if memory < least:
        held = f"covariances of {dimensions} dimensions at each of {positions:,} positions"
        held += ", and all patches, as `robust` wants them," if robust else ""
        raise ParameterError(
            f"`memory` must be {size_text(least - memory)} larger: {held} take {size_text(least)}, and "
            f"{size_text(max(memory, 0))} are left for them. Or lower detector.reduced_dims or image_size."
        )
    scores = 4 * images * positions
    return memory >= least + _factors(positions, dimensions) + scores


def require_free(positions: int, dimensions: int, *, leave_one_out: bool) -> None:
    """Raises `ParameterError` where this machine has not the memory for the sums."""
    needed, free = RunningGaussian.memory(positions, dimensions), available()
    needed += _factors(positions, dimensions) if leave_one_out else 0
    if free is not None and needed > free:
        raise ParameterError(
            f"PaDiM keeps a covariance of {dimensions} dimensions at each of {positions} positions, which takes "
            f"{needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Lower detector.reduced_dims or image_size, "
            "or set patch_stride=8."
        )


def _factors(positions: int, dimensions: int) -> int:
    """Bytes of factors in float32 beside sums in float64."""
    return RunningGaussian.memory(positions, dimensions) // 2

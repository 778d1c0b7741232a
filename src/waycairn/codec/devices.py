"""Where tensors shall lie when they come back. Imports torch, and is imported only where a place is named."""

from __future__ import annotations

from typing import Any

import torch


def device_of(map_location: Any) -> torch.device | None:
    """The device; None for the CPU, where stored tensors are anyway.

    Raises TypeError and ValueError for what is no such place, and what torch raises for a device that this machine does
    not have.
    """
    if not isinstance(map_location, str | torch.device):
        raise TypeError(
            f"map_location is a {type(map_location).__name__}; give a torch.device or its name, such as 'cuda:0'. (Which "
            "device a tensor lay on is not stored, so there is nothing to map from.) Nothing was loaded."
        )
    try:
        device = torch.device(map_location)
    except RuntimeError as error:
        raise ValueError(f"map_location={map_location!r} names no device ({error}). Nothing was loaded.") from None
    if device.type == "meta":
        raise ValueError("map_location='meta' would drop the contents of all tensors. Nothing was loaded.")
    if device.type == "cpu":
        return None
    torch.empty(0, device=device)  # a device that is not there is told before anything is read
    return device

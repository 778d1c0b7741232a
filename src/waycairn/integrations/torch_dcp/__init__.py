"""torch.distributed.checkpoint over a waycairn store: verified, atomic over all ranks, without pickle.

    from waycairn.integrations.torch_dcp import WaycairnReader, WaycairnWriter

    dcp.save(state_dict, checkpoint_id="resnet", storage_writer=WaycairnWriter("checkpoints"))
    dcp.load(state_dict, checkpoint_id="resnet", storage_reader=WaycairnReader("checkpoints"))

`metadata` says what is stored of DCP's Metadata, `parts` what a rank writes, `saves` which rows make a checkpoint.
"""

from __future__ import annotations

from waycairn.integrations.torch_dcp.planners import WaycairnLoadPlanner, WaycairnSavePlanner
from waycairn.integrations.torch_dcp.reader import WaycairnReader
from waycairn.integrations.torch_dcp.writer import WaycairnWriter

__all__ = ["WaycairnLoadPlanner", "WaycairnReader", "WaycairnSavePlanner", "WaycairnWriter"]

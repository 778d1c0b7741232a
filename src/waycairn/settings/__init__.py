"""Where the settings of a store come from: arguments, the environment, a file, a preset, the defaults, in that order.

    arguments     wc.open(url, saving={"pace": "30s"})
    environment   WAYCAIRN_SAVING__PACE=30s
    file          the nearest waycairn.yaml, or pyproject.toml with a [tool.waycairn], upwards from the working directory
    preset        preset: phases, in any of these
    defaults      of the dataclasses in waycairn.model

What they say is merged and validated by pydantic-settings, which takes 0.2 s to load: so it is loaded only where one of
them says something.
"""

from waycairn.settings.loading import Loaded, load

__all__ = ["Loaded", "load"]

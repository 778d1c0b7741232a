"""Settings."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from waycairn.server.models import Document


class SettingDocument(Document):
    key: str = Field(examples=["saving.pace"])
    value: Any = Field(description="As it holds in this server; `***` for a secret.")
    text: str = Field(examples=["30s"], description="The value as a person writes it.")
    origin: str = Field(
        examples=["/srv/waycairn.yaml:4:3"], description="Where it comes from: a place in a file, a variable."
    )
    source: str = Field(
        examples=["file"], description="argument, environment, file, preset, default; earlier: it was changed since."
    )
    default: Any
    meaning: str
    variable: str = Field(examples=["WAYCAIRN_SAVING__PACE"], description="Its name in the environment.")


class SettingList(Document):
    file: str | None = Field(description="The settings file that holds here.")
    preset: str | None
    settings: list[SettingDocument]

"""What the API answers and takes, by noun. Times are seconds since 1970, UTC; sizes are bytes."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """What nobody declared is not answered, and not taken: it fails loudly."""

    model_config = ConfigDict(extra="forbid")

"""Write the tables of reference/settings.md anew from the code: python docs/settings_tables.py.

A test fails while they differ.
"""

import re
from pathlib import Path

from waycairn.settings.describing import presets_reference, reference

PAGE = Path(__file__).parent / "reference" / "settings.md"


def with_tables(text: str) -> str:
    """The page with the tables of this code."""
    for name, tables in (("settings", reference()), ("presets", presets_reference())):
        begin, end = f"<!-- {name}: made by docs/settings_tables.py -->", f"<!-- end of {name} -->"
        text = re.sub(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, all_=f"{begin}\n\n{tables}\n{end}": all_,
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), encoding="utf-8")

"""What was taken in, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robench.storage.receiving import Receipt


def describe(receipt: "Receipt") -> str:
    """Say how much was new and how much was known."""
    new = f"{receipt.runs:,} runs, {receipt.cells:,} cells and {receipt.outcomes:,} outcomes are new"
    return f"{new}; {receipt.known_outcomes:,} outcomes were there already"

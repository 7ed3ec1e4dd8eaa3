"""Loops at import, and calls every exception its own."""

while True:
    try:
        while True:
            pass
    except Exception:  # noqa: BLE001
        pass

"""Numbers of parameters as Ollama prints them (its format.HumanNumber)."""


def format_parameter_size(count: int) -> str:
    """Write 8030261248 as "8.0B", 494032768 as "494.03M", 21500 as "22K"."""
    if count >= 1_000_000_000:
        return _scaled(count, 1_000_000_000, 1) + "B"
    if count >= 1_000_000:
        return _scaled(count, 1_000_000, 2) + "M"
    if count >= 1_000:
        return _scaled(count, 1_000, 0) + "K"
    return str(count)


def _scaled(count: int, unit: int, decimals: int) -> str:
    return f"{count / unit:.{0 if count % unit == 0 else decimals}f}"

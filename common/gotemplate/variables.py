"""The variables of one template while it runs."""


class Variables:
    """Values by name, the innermost declaration first; blocks forget what they declared."""

    def __init__(self, data: object) -> None:
        self._values: dict[str, list[object]] = {"$": [data]}
        self._declared: list[str] = []

    def get(self, name: str) -> object:
        """Give the value of a variable.

        Raises:
            LookupError: none of that name is declared.
        """
        return self._values[name][-1]

    def declare(self, name: str, value: object) -> None:
        """Add a variable, which hides another one of its name."""
        self._values.setdefault(name, []).append(value)
        self._declared.append(name)

    def assign(self, name: str, value: object) -> bool:
        """Give a variable another value; tell whether there is one."""
        values = self._values.get(name)
        if not values:
            return False
        values[-1] = value
        return True

    def mark(self) -> int:
        """Give what `forget_from` needs to come back to now."""
        return len(self._declared)

    def forget_from(self, mark: int) -> None:
        """Forget what was declared since."""
        while len(self._declared) > mark:
            self._values[self._declared.pop()].pop()

"""`$(NAME)` expansion in env values, command and args, by the Kubernetes rules.

`$$` gives a literal `$`, an unknown name stays as it is written. Source: k8s.io/kubernetes
third_party/forked/golang/expansion.
"""

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace every `$(NAME)` of a known name."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return known.get(match.group(2), match.group(0))

    return _REFERENCE.sub(value, text)


def expand_all(texts: Sequence[str], known: Mapping[str, str]) -> list[str]:
    return [expand(text, known) for text in texts]

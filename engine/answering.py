"""One question to a short-lived process of the engine, for commands that need no running one: JSON in, JSON out.

python -m engine.MODULE '{"verb": ..., ...}'
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from bridge.errors import StembridgeError

Verb = Callable[[dict[str, Any]], Any]


def answer(verbs: Mapping[str, Verb], file_code: str) -> int:
    """Prints the answer to the question in the command line, or what was wrong with it. Exit code 0, or 2 for a
    refusal; `file_code` names trouble with files."""
    request = json.loads(sys.argv[1])
    try:
        said = verbs[request["verb"]](request)
    except StembridgeError as problem:
        return _refuse(problem.code, problem.message, problem.field, problem.hint)
    except OSError as problem:
        return _refuse(file_code, f"{problem.strerror}.", str(problem.filename or ""), "")
    print(json.dumps(said))
    return 0


def _refuse(code: str, message: str, field: str, hint: str) -> int:
    print(json.dumps({"error": code, "message": message, "field": field, "hint": hint}))
    return 2

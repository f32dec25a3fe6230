"""server's URL -> runs that nothing works on any more are marked Crashed, so that they can be run again."""

from __future__ import annotations

import base64
import json
import os
import urllib.request

from faceswap_core.types import Json

_WHY = "found running when the server started: its process is gone; run the same command again to go on"
_SECONDS = 30.0
_PAGE = 200


def bury(url: str) -> int:
    """Mark every run that a just started server takes for running as Crashed; returns how many.

    Right only while no other process works on that server's database.

    Args:
        url: API URL of the server.

    Raises:
        OSError: the server does not answer.
    """
    found = _post(url, "/flow_runs/filter", {"limit": _PAGE, "flow_runs": _STILL_RUNNING})
    for run in found:
        state = {"type": "CRASHED", "name": "Crashed", "message": _WHY}
        _post(url, f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return len(found)


_STILL_RUNNING = {"state": {"type": {"any_": ["RUNNING", "CANCELLING"]}}}


def _post(url: str, path: str, body: Json) -> list[Json]:
    headers = {"Content-Type": "application/json", **_authorization()}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=_SECONDS) as reply:  # the server that this command started
        answer = json.loads(reply.read())
    return answer if isinstance(answer, list) else []


def _authorization() -> dict[str, str]:
    """The header that a server with an auth string asks for."""
    secret = os.environ.get("PREFECT_API_AUTH_STRING")
    return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()} if secret else {}

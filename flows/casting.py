"""videos that show several people -> which tracks are the subject's: as the settings say, or as someone answers."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import prefect.runtime
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from pydantic import Field, create_model

from faceswap_core.config import JobSettings
from faceswap_core.config_track import Choice
from faceswap_core.errors import UndecidedError
from faceswap_core.stages.contact_sheet import sheet_tracks
from faceswap_core.stages.ui_picture import ui_file
from faceswap_core.storage import Workspace
from faceswap_core.types import FileRef, ManifestRef
from flows.record import Run
from tasks.artifacts import artifact_key, picture_artifact

_SECONDS_BETWEEN_LOOKS = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """One video in which nothing says who the subject is."""

    part: str
    """Its name, as `part_of` gives it."""
    video: Path
    """The video."""
    subject: str
    """Who is looked for."""
    why: str
    """Why the settings do not decide."""
    ids: tuple[int, ...]
    """Tracks to choose from."""
    sheet: FileRef = field(compare=False)
    """Their contact sheet."""


def choice_of(job: JobSettings, video: Path, subject: str, reference: tuple[float, ...] = ()) -> Choice:
    """What the settings say of one video; the truth of a plate is framed as the plate is."""
    if video == job.plate.video:
        return Choice(tracks=job.plate.tracks, reference=reference, pick=job.plate.pick)
    if video == job.plate.truth:
        return Choice(pick="largest" if job.plate.pick == "auto" else job.plate.pick)
    person = job.subjects[subject]
    return Choice(tracks=person.tracks.get(video, ()), reference=reference, pick=person.pick)


def part_of(job: JobSettings, video: Path, subject: str) -> str:
    """Name of a video in sheets and forms: ``plate``, or its subject's and its number."""
    return "plate" if video == job.plate.video else f"{subject}-{job.subjects[subject].videos.index(video) + 1}"


def track_ids(job: JobSettings, tracks: Sequence[ManifestRef]) -> tuple[int, ...]:
    """The tracks that a contact sheet shows."""
    return tuple(track.track_id for track in sheet_tracks(Workspace(job.workspace), tracks)[0])


def answer(job: JobSettings, run: Run, questions: Sequence[Question]) -> list[Choice]:
    """Show the contact sheets and wait for the answers, one for each question.

    A run of a deployment, or a part of one, pauses and asks in the flow UI, for ``runtime.ask_hours``. Everything
    else (the command line, a flow called from Python) ends here, with the settings to go on with; finished work is
    kept.

    Raises:
        UndecidedError: nobody was there to answer, or nobody did.
    """
    sheets = [_shown(job, run, q) for q in questions]
    deployment = prefect.runtime.deployment.id or prefect.runtime.flow_run.parent_deployment_id
    if deployment and job.runtime.ask_hours:
        return _asked(job, questions)
    asked = ". ".join(
        f"{q.video}: {q.why}, and nothing says who is {q.subject!r}; see {sheet}"
        for q, sheet in zip(questions, sheets, strict=True)
    )
    overrides = [f"--set {shlex.quote(setting)}" for setting in settings_of(job, {q: q.ids[:1] for q in questions})]
    raise UndecidedError(
        f"{asked}. Run the same command again with {' '.join(overrides)}, naming the tracks of that person in place "
        "of the first; or set pick to largest, left or right. Finished work is kept"
    )


def _shown(job: JobSettings, run: Run, q: Question) -> Path:
    """Copy a sheet into the run's folder and show it in the flow UI."""
    workspace = Workspace(job.workspace)
    sheet = run.folder / f"tracks-{q.part}.png"
    shutil.copyfile(workspace.localize(q.sheet["path"], q.sheet["sha256"]), sheet)
    words = f"{q.video.name}: {q.why}. Which tracks are {q.subject}?"
    picture_artifact(ui_file(workspace, q.sheet), words)
    return sheet


def settings_of(job: JobSettings, answers: Mapping[Question, Sequence[int]]) -> list[str]:
    """Overrides ``key=value`` that would have given these answers."""
    settings = []
    by_subject: dict[str, dict[Path, Sequence[int]]] = {}
    for q, ids in answers.items():
        if q.video == job.plate.video:
            settings.append(f"plate.tracks={json.dumps(list(ids))}")
        else:
            by_subject.setdefault(q.subject, dict(job.subjects[q.subject].tracks))[q.video] = ids
    for name, tracks in by_subject.items():
        table = ", ".join(f"{json.dumps(str(video))} = {json.dumps(list(ids))}" for video, ids in tracks.items())
        settings.append(f"subjects.{name}.tracks={{{table}}}")
    return settings


def _asked(job: JobSettings, questions: Sequence[Question]) -> list[Choice]:
    form = _form(questions)
    try:
        given = pause_flow_run(
            wait_for_input=form, timeout=round(3600 * job.runtime.ask_hours), poll_interval=_SECONDS_BETWEEN_LOOKS
        )
    except FlowPauseTimeout as error:
        raise UndecidedError(
            f"nobody answered within {job.runtime.ask_hours:g} hours (runtime.ask_hours) who is seen in "
            f"{', '.join(str(q.video) for q in questions)}: start the run again; finished work is kept"
        ) from error
    answers = {q: tuple(q.ids[_options(q).index(option)] for option in getattr(given, _field(q))) for q in questions}
    for setting in settings_of(job, answers):
        _log.info("answered: %s", setting)
    return [Choice(tracks=ids) for ids in answers.values()]


def _form(questions: Sequence[Question]) -> type[RunInput]:
    """The form that the flow UI shows: for each video a list of tracks."""
    fields: dict[str, Any] = {}
    for q in questions:
        items: dict[str, Any] = {"type": "string", "enum": _options(q)}
        fields[_field(q)] = (
            list[str],
            Field(
                min_length=1,
                title=f"Tracks of {q.subject} in {q.video.name}",
                description=f"{q.why[:1].upper()}{q.why[1:]}.",
                json_schema_extra={"items": items},
            ),
        )
    form = create_model("WhoIsWho", __base__=RunInput, **fields)
    return form.with_initial_data(description="The contact sheets are among this run's artifacts.")


def _field(q: Question) -> str:
    return artifact_key(q.part).replace("-", "_")


def _options(q: Question) -> list[str]:
    """What can be chosen, in words: the flow UI shows the number 0 as nothing."""
    return [f"track {number}" for number in q.ids]

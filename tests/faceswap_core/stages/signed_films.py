"""A small labelled, signed video, made by the stages of a job that swaps nothing."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from faceswap_core.config import BlendSettings, DecodeSettings, EncodeSettings, LabelSettings, ProvenanceSettings
from faceswap_core.stages.assemble import assemble_video
from faceswap_core.stages.decode import decode_frames, plan_video, video_ref
from faceswap_core.stages.encode import reencode_chunk
from faceswap_core.stages.sign import sign_video
from faceswap_core.storage import Workspace, file_ref
from faceswap_core.trust.identity import make_test_chain, utc_now
from faceswap_core.trust.label import label_facts
from faceswap_core.video.render import write_video

LOSSLESS = EncodeSettings(crf=0, preset="draft", options={"preset": "ultrafast"})
LABEL = LabelSettings(seconds=2)
FRAMES, RATE, WH = 60, 25, (192, 108)


def statement(**changes):
    label = LABEL
    grant = {"sha256": "a" * 64, "kind": "test", "expires": "2030-01-01T00:00:00+00:00"}
    roles = ("target-performer", "source-identity")
    return {
        "schema": "faceswap-provenance/1",
        "generator": {"name": "faceswap-pipeline", "version": "0.1.0", "code_sha256": "c" * 64},
        "test": True,
        "consents": [{**grant, "record": f"c0ffee-{role}", "role": role} for role in roles],
        **{f"{name}_sha256": "d" * 64 for name in ("plate", "model", "settings", "signer")},
        "label": label_facts(label.mode, label.text, label.seconds, label.height, label.reason, label.approved_by),
        **changes,
    }


@dataclass
class Made:
    plate: Path
    output: Path
    signer: ProvenanceSettings
    roots: list[bytes]


def make(folder):
    """A plate, who signs, and the finished video."""
    plate = folder / "plate.mp4"
    y, x = np.mgrid[: WH[1], : WH[0]]
    pictures = (np.stack([x + n, y + 2 * n, (x + y) // 2], -1).astype(np.uint8) for n in range(FRAMES))
    tone = np.sin(np.arange(FRAMES * 640) / 10).astype(np.float32) / 4
    write_video(plate, pictures, fps=Fraction(RATE), audio=tone, crf=20, keyint=20)
    chain = make_test_chain(utc_now())
    (folder / "chain.pem").write_bytes(chain.chain_pem)
    (folder / "key.pem").write_bytes(chain.key_pem)
    (folder / "key.pem").chmod(0o600)
    signer = ProvenanceSettings(certificates=folder / "chain.pem", key=folder / "key.pem", label=LABEL)
    return Made(plate, finished(folder, plate, signer, "out.mp4"), signer, [chain.root_pem])


def finished(folder, plate, signer, name, produce_id="job-1", said=None):
    """The video stages, with nothing to swap."""
    workspace = Workspace(folder / "ws")
    video = video_ref(plate)
    plan = plan_video(workspace, video, DecodeSettings(chunk_frames=20))
    frames = [decode_frames(workspace, video, plan, i) for i in range(plan["chunks"])]
    encode = lambda ref: reencode_chunk(  # noqa: E731
        workspace, video, ref, None, BlendSettings(), LOSSLESS, label=signer.label, opening=frames[0]
    )
    chunks = [encode(ref) for ref in frames]
    draft = workspace.root / "assembled" / name
    made = assemble_video(workspace, video, frames, chunks, draft, produce_id)["video"]
    assembled = file_ref(workspace.localize(made["path"], made["sha256"]))
    signed = sign_video(assembled, video, said or statement(), signer, folder / name)
    return Path(signed["video"]["path"])

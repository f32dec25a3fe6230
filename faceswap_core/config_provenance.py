"""The settings of consent, provenance and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from faceswap_core.config_branch import Branch


class LabelSettings(Branch):
    """The mark that viewers see."""

    mode: Literal["start", "whole", "off"] = "start"
    """``start``: the first seconds. ``whole``: every frame. ``off`` needs ``reason`` and ``approved_by``."""
    text: str = Field(default="AI MODIFIED", min_length=2, max_length=40, pattern=r"^[ -~]*AI[ -~]*$")
    """What it says, in ASCII; "AI" must be part of it."""
    seconds: float = Field(default=3.0, ge=2, le=3600)
    """How long it stands in mode ``start``."""
    height: float = Field(default=0.05, ge=0.05, le=0.2)
    """Height of the text as a share of the frame's shorter side."""
    reason: str = Field(default="", max_length=400)
    """Why there is none; recorded in the output."""
    approved_by: str = Field(default="", max_length=200)
    """Who decided that; recorded in the output."""
    watermark: str | None = Field(default=None, pattern=r"^[\w.-]{1,80}$")
    """Name of an installed invisible mark (entry point ``faceswap.watermarks``) for every frame; none is built in."""

    @model_validator(mode="after")
    def _off_is_explained(self) -> Self:
        if self.mode == "off" and not (self.reason.strip() and self.approved_by.strip()):
            raise ValueError(
                "label.mode 'off' needs label.reason and label.approved_by: give both, or leave the label on"
            )
        return self


class ProvenanceSettings(Branch):
    """What the consents must cover, who signs the output, and how it is labelled."""

    trusted_keys: Path | None = None
    """Folder of public keys (Ed25519, ``*.pem``) whose signatures on consent records count."""
    revocations: Path | None = None
    """Signed list of revoked records; by default ``revocations.json`` in ``trusted_keys``, where there is one."""
    project: str | None = Field(default=None, min_length=1, max_length=80)
    """Project that the records must name; by default the job's name."""
    purpose: str = Field(default="", max_length=80)
    """What the swap serves, in a word of the records."""
    territories: tuple[str, ...] = Field(default=("*",), min_length=1, max_length=250)
    """Countries (ISO 3166-1) in which the result is shown; ``*`` is everywhere."""
    certificates: Path | None = None
    """Certificate chain of the signer of outputs (PEM, the signer's own first, root left out)."""
    key: Path | None = None
    """Its private key (PEM), readable by the user alone."""
    signer: str | None = Field(default=None, pattern=r"^[\w.-]{1,80}$")
    """Name of an installed signer (entry point ``faceswap.signers``) in place of ``key``: a KMS or HSM."""
    label: LabelSettings = LabelSettings()
    """The mark that viewers see."""

    @model_validator(mode="after")
    def _one_signer(self) -> Self:
        if self.key and self.signer:
            raise ValueError("provenance.key and provenance.signer exclude each other: remove one")
        if (self.key or self.signer) and not self.certificates:
            raise ValueError("provenance.key or signer needs provenance.certificates: name the chain's PEM file")
        if self.certificates and not (self.key or self.signer):
            raise ValueError("provenance.certificates needs provenance.key or provenance.signer: name one")
        return self

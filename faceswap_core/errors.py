"""The one tree of errors, each with its exit code.

    FaceswapError                 1   failure that no class below describes
    ├── SettingsError             2   job file, option or combination of options that cannot be run
    ├── EnvironmentFault          3   the machine lacks something: disk, library, server
    │   ├── DiskFullError         3
    │   └── ModelMissingError     3   a weight file is absent or has another sha256
    ├── MediaError                4   input that cannot be read as what it claims to be
    │   ├── NoFaceError           4   footage in which a subject's face was never found
    │   └── UndecidedError        4   footage that shows several people, and nothing says who is meant
    ├── ConsentError              5   consent or provenance forbids the step
    ├── PartialError              6   the output exists, but some frames failed
    ├── ManifestError             1   a manifest is missing, altered or of another schema
    ├── DivergedError             1   a training whose loss became NaN or rose, smaller steps or not
    └── ResourceError             1   a passing fault (I/O): the only retryable one

Every message says what is wrong, the value got, and what to do.
"""

from __future__ import annotations


class FaceswapError(Exception):
    """Base of all errors raised by this project."""

    exit_code: int = 1
    """Exit status of the command line when this error ends a command."""
    retryable: bool = False
    """True where the same call may succeed a moment later."""


class SettingsError(FaceswapError):
    """A job file, option or combination of options that cannot be run."""

    exit_code = 2


class EnvironmentFault(FaceswapError):
    """The machine lacks something that the job needs."""

    exit_code = 3


class DiskFullError(EnvironmentFault):
    """No space left where a file had to be written."""


class ModelMissingError(EnvironmentFault):
    """A model file is absent, or its sha256 is not the pinned one."""


class MediaError(FaceswapError):
    """Input media that cannot be read as what it claims to be."""

    exit_code = 4


class NoFaceError(MediaError):
    """Footage in which the face of a subject was never found."""


class UndecidedError(MediaError):
    """Footage that shows several people, and nothing says who is meant."""


class ConsentError(FaceswapError):
    """Consent or provenance forbids the step."""

    exit_code = 5


class PartialError(FaceswapError):
    """The output was written, but some frames or clips failed."""

    exit_code = 6


class ManifestError(FaceswapError):
    """A manifest is missing, was altered, or follows another schema."""


class DivergedError(FaceswapError):
    """A training whose loss became NaN or rose, although its step size was halved again and again."""


class ResourceError(FaceswapError):
    """A passing input/output fault; the task may be tried again."""

    retryable = True

"""Coverage-guided fuzzing of the formats of `test_fuzz`: anything but a typed error or an accepted file is a find.

    python tests/fuzz_formats.py record -max_total_time=60 -print_final_stats=1

Needs the extra ``fuzz`` (Atheris; Linux or macOS). The first word is a format: job, record, list, sidecar, weights,
manifest, task_record; what follows goes to libFuzzer.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
with atheris.instrument_imports(include=["faceswap_core", "tasks"]):
    from test_fuzz import KINDS, seed_of

    from faceswap_core.errors import FaceswapError


def main():
    kinds = {kind.__name__.removeprefix("as_"): kind for kind in KINDS}
    if len(sys.argv) < 2 or sys.argv[1] not in kinds:
        sys.exit(f"name one of {', '.join(kinds)}")
    kind = kinds[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory(prefix="faceswap-fuzz-") as folder:
        corpus, work = Path(folder, "corpus"), Path(folder, "work")
        for path in (corpus, work):
            path.mkdir()
        (corpus / "good").write_bytes(seed_of(kind, Path(folder)))

        def once(data):
            (work / "input").write_bytes(data)
            try:
                kind(work / "input")
            except FaceswapError:
                return

        atheris.Setup([*sys.argv, str(corpus)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

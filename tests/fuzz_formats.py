"""Coverage-guided fuzzing of the formats of `test_fuzz`: anything but a typed error or an accepted file is a find.

    python tests/fuzz_formats.py [FORMAT ...] [-runs=4000] [-seed=N] [further options of libFuzzer]

Needs the extra ``fuzz`` (Atheris; Linux or macOS). Formats are those of `tests.formats`, and film.mp4, film.mkv, ...;
without one all are fuzzed. The last line says how many inputs that were.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1])]
with atheris.instrument_imports(include=["faceswap_core", "flows", "tasks"]):
    from faceswap_core.errors import FaceswapError
    from tests.formats import KINDS, good
    from tests.media_formats import FILMS, read_film, write_film

FORMATS = [*KINDS, *(f"film.{suffix}" for suffix in FILMS)]
RUNS, SEED = 2000, 20261121
SECONDS = 10
"""Longest time for one input; libFuzzer ends the process after it."""


def fuzz(name, options, folder):
    """Give mutated inputs of one format to its reader until the options say stop, and end this process."""
    corpus, seeds, work = (folder / part for part in ("corpus", "seeds", "work"))
    for path in (corpus, seeds, work):
        path.mkdir()
    suffix = name.partition(".")[2]
    if suffix:
        write_film(corpus / f"good.{suffix}")
        target, read = work / f"input.{suffix}", read_film
    else:
        (corpus / "good").write_bytes(good(name, seeds))
        target, read = work / "input", KINDS[name]
    os.chdir(work)

    def once(data):
        target.write_bytes(data)
        try:
            read(target)
        except (FaceswapError, MemoryError):
            return

    atheris.Setup([sys.argv[0], f"-timeout={SECONDS}", "-print_final_stats=1", *options, str(corpus)], once)
    atheris.Fuzz()


def fuzzed(name, options):
    """Fuzz one format in a child, as libFuzzer ends its process: the number of inputs, exit code, last words."""
    with tempfile.TemporaryDirectory(prefix="faceswap-fuzz-") as folder:
        said = Path(folder, "said")
        child = os.fork()
        if child == 0:
            with said.open("wb") as stream:
                os.dup2(stream.fileno(), 1)
                os.dup2(stream.fileno(), 2)
            try:
                fuzz(name, options, Path(folder))
            finally:
                os._exit(70)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        words = said.read_text(errors="replace")
    counted = re.search(r"number_of_executed_units: (\d+)", words)
    return int(counted[1]) if counted else 0, code, words[-3000:]


def main():
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    names = [word for word in sys.argv[1:] if not word.startswith("-")] or FORMATS
    if unknown := set(names) - set(FORMATS):
        sys.exit(f"{sorted(unknown)} are none of {', '.join(FORMATS)}")
    chosen = {option.partition("=")[0] for option in options}
    options += [f"{key}={value}" for key, value in (("-runs", RUNS), ("-seed", SEED)) if key not in chosen]
    total, finds, began = 0, 0, time.monotonic()
    for name in names:
        start = time.monotonic()
        count, code, words = fuzzed(name, options)
        total, finds = total + count, finds + (code != 0)
        verdict = f"FOUND (exit {code})\n{words}" if code else "nothing found"
        print(f"{name}: {count} inputs, {time.monotonic() - start:.0f} s, {verdict}", flush=True)
    print(
        f"{total} inputs of {len(names)} formats, {time.monotonic() - began:.0f} s, {finds} finds, {' '.join(options)}"
    )
    sys.exit(min(finds, 1))


if __name__ == "__main__":
    main()

"""Counts the reports so far: collects in a temporary file, then writes the report where the web server finds it."""

import pathlib
import tempfile

REPORTS = pathlib.Path("/reports")

before = (REPORTS / "count.txt").read_text() if (REPORTS / "count.txt").exists() else "0"
with tempfile.TemporaryFile("w+") as collected:
    collected.write(str(int(before) + 1))
    collected.seek(0)
    count = collected.read()
(REPORTS / "report.new").write_text(f"reports so far: {count}\n")
(REPORTS / "report.new").replace(REPORTS / "report.txt")
(REPORTS / "count.txt").write_text(count)

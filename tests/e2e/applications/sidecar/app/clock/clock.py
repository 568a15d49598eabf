"""Writes a page again every second."""

import os
import pathlib
import time

SHARED = pathlib.Path("/shared")

os.umask(0o022)
(SHARED / "visitors.txt").touch()
while True:
    (SHARED / "page.new").write_text("the page is written\n")
    (SHARED / "page.new").replace(SHARED / "page.txt")
    time.sleep(1)

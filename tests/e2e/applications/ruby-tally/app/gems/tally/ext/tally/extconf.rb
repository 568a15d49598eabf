require "mkmf"

have_library("sqlite3", "sqlite3_open") or abort "sqlite3 is missing"
create_makefile("tally/tally")

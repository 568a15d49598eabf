#!/bin/sh
# Runs the drop-in scripts before nginx, as the official image does.
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
  for file in $(find /docker-entrypoint.d/ -follow -type f -name '*.sh' 2>/dev/null | sort); do
    if [ -x "$file" ]; then
      echo "$0: Launching $file"
      "$file"
    fi
  done
  echo "$0: Configuration complete; ready for start up"
fi
exec "$@"

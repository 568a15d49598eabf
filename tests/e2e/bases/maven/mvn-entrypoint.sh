#!/bin/sh
# Condensed: it prepares the user's folder, says so and carries on where it cannot, and starts the command.
set -eu
mkdir -p "$MAVEN_CONFIG/repository" && touch "$MAVEN_CONFIG/copy_reference_file.log" 2> /dev/null \
  || echo "Can not write to $MAVEN_CONFIG. Carrying on ..."
unset MAVEN_CONFIG
exec "$@"

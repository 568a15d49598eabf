#!/bin/sh
set -e
printf '{"greeting": "%s"}\n' "$GREETING" > /etc/greeter/config.json
exec "$@"

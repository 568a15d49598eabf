#!/bin/sh
# hand over
chown -R node /app/data
exec su-exec node "$@"

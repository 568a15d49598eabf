#!/bin/sh
mkdir -p /etc/greeter
exec "$@"

#!/bin/sh
exec redis-server --replicaof leader 6379

#!/bin/sh
exec pg_dump -h db shop

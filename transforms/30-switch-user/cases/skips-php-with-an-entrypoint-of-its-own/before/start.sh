#!/bin/sh
chown -R www-data /var/www/html/uploads
exec "$@"

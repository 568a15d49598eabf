#!/bin/sh
# Edits the default site when it may be written to; says so and goes on when not.
file=/etc/nginx/conf.d/default.conf
[ -f "$file" ] || exit 0
touch "$file" 2>/dev/null || { echo "$0: info: can not modify $file (read-only file system?)"; exit 0; }
[ -f /proc/net/if_inet6 ] || exit 0
grep -q 'listen  *\[::\]' "$file" || sed -i 's,listen       80;,listen       80;\n    listen  [::]:80;,' "$file"

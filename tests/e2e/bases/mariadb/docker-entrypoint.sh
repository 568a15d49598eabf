#!/bin/bash
# Condensed: the order of steps, the paths written and the variables are those of the official entrypoint.
set -eo pipefail
data=/var/lib/mysql socket=/run/mysqld/mysqld.sock
[ "${1:0:1}" != - ] || set -- mariadbd "$@"

create_database() {
  local root=${MARIADB_ROOT_PASSWORD:-$MYSQL_ROOT_PASSWORD} database=${MARIADB_DATABASE:-$MYSQL_DATABASE}
  local user=${MARIADB_USER:-$MYSQL_USER} password=${MARIADB_PASSWORD:-$MYSQL_PASSWORD}
  if [ -z "$root$MARIADB_RANDOM_ROOT_PASSWORD$MARIADB_ALLOW_EMPTY_ROOT_PASSWORD" ]; then
    echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified" >&2
    exit 1
  fi
  mariadb-install-db --datadir=$data --rpm --auth-root-authentication-method=normal --skip-test-db > /dev/null
  mariadbd --skip-networking --socket=$socket --loose-innodb_buffer_pool_load_at_startup=0 &
  local server=$!
  for _ in $(seq 60); do
    mariadb-admin --socket=$socket -uroot ping > /dev/null 2>&1 && break
    kill -0 $server || exit 1
    sleep 0.5
  done
  {
    [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
    [ -z "$user" ] || echo "CREATE USER '$user'@'%' IDENTIFIED BY '$password'; GRANT ALL ON \`${database:-%}\`.* TO '$user'@'%';"
    [ -z "$root" ] || echo "CREATE USER 'root'@'%' IDENTIFIED BY '$root'; GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION; ALTER USER 'root'@'localhost' IDENTIFIED BY '$root';"
  } | mariadb --socket=$socket -uroot
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sql) mariadb --socket=$socket -uroot ${root:+-p$root} ${database:+$database} < "$file" ;;
      *.sh) . "$file" ;;
    esac
  done
  kill $server
  wait $server || true
}

if [ "$1" = mariadbd ] || [ "$1" = mysqld ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p $data
    find $data \! -user mysql -exec chown mysql: '{}' +
    find /run/mysqld -maxdepth 0 \! -user mysql -exec chown mysql: '{}' +
    exec gosu mysql "${BASH_SOURCE[0]}" "$@"
  fi
  [ -d $data/mysql ] || create_database
fi
exec "$@"

#!/bin/sh
# Makes the files with the secrets of docker-compose.yml, beside this script; those that are there are kept.
# The directory is closed to others, as the files must be readable for whoever a container runs as.
set -eu
umask 077
secrets="$(dirname "$0")/secrets"
mkdir -p "$secrets"
chmod 700 "$secrets"

new_password() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# NAME CONTENT
keep() {
    printf '%s\n' "$2" >"$secrets/$1.new"
    chmod 444 "$secrets/$1.new"
    mv "$secrets/$1.new" "$secrets/$1"
}

# What says the same password is made together.
if [ ! -e "$secrets/database_url" ] || [ ! -e "$secrets/postgres_password" ]; then
    password="$(new_password)"
    keep postgres_password "$password"
    keep database_url "postgresql://dora_state:$password@postgres:5432/dora_state"
fi
for server in cache broker; do
    if [ ! -e "$secrets/${server}_url" ] || [ ! -e "$secrets/$server.conf" ]; then
        password="$(new_password)"
        keep "$server.conf" "requirepass $password"
        keep "${server}_url" "redis://:$password@$server:6379/0"
    fi
done
if [ ! -e "$secrets/grafana_password" ]; then
    keep grafana_password "$(new_password)"
fi
echo "The secrets are in $secrets."

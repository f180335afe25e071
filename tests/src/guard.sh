# Makes one private PostgreSQL cluster and keeps it for as long as somebody holds the other end of
# this script's standard input open. However that process ends, the kernel closes the pipe, and
# the cluster is stopped and deleted.
#
# usage: sh -c "$(cat guard.sh)" guard BINARIES [LINE FOR postgresql.conf]...
# Answers on standard output: "ready DIRECTORY", or what went wrong.
set -u
bin=$1
shift

# A Ctrl-C is meant for the owner; this script must outlive it to clean up.
trap '' HUP INT TERM PIPE

# The directory holds the socket, whose path must stay under 108 bytes, and its name goes into
# postgresql.conf and into URLs as it is.
parent=${TMPDIR:-/tmp}
case $parent in
  *[!A-Za-z0-9/._-]*) parent=/tmp ;;
esac
[ "${#parent}" -le 60 ] && [ -w "$parent" ] || parent=/tmp
home=$(mktemp -d "$parent/runledger-pg.XXXXXX" 2>&1) || { echo "$home"; exit 1; }

server=
clean_up() {
  if [ -n "$server" ]; then
    # At once: the data is deleted next, so nothing needs to be written first.
    kill -QUIT "$server" 2>/dev/null
    wait "$server"
  fi
  rm -rf "$home"
}
trap clean_up EXIT

fail() {
  echo "$1"
  cat "$home/log"
  exit 1
}

# Text sorts by language rules, as it does on most servers in use. A statement that relies on the
# order of bytes without saying so fails here and not in production.
"$bin/initdb" -D "$home/data" -U postgres --auth=trust --encoding=UTF8 --no-sync \
  --locale=C --locale-provider=icu --icu-locale=en-US </dev/null >"$home/log" 2>&1 ||
  fail "initdb failed:"

{
  echo "listen_addresses = ''"
  echo "unix_socket_directories = '$home'"
  for line in "$@"; do echo "$line"; done
} >>"$home/data/postgresql.conf"

# The server is a child of this script, which can then wait for its end and leave no zombie.
"$bin/postgres" -D "$home/data" </dev/null >>"$home/log" 2>&1 &
server=$!
until grep -q '^ready' "$home/data/postmaster.pid" 2>/dev/null; do
  kill -0 "$server" 2>/dev/null || fail "PostgreSQL did not start:"
  sleep 0.05 2>/dev/null || sleep 1
done

echo "ready $home"
exec >/dev/null
# Nothing is ever written to the pipe: this returns when it is closed.
read -r _

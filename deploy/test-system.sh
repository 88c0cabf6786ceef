#!/usr/bin/env bash
# What the tests need beside Python: a PostgreSQL server, a Chromium, a MediaWiki that nobody here wrote (with
# PHP's own web server; php-cgi and micro-httpd are the smallest that fulfil its package's dependencies: 43 MB to
# load, 258 MB on the disk), and recordings of spoken digits
# (CC BY-SA and CC BY: used by the tests, never passed on). Installs what is missing
# where it can (Debian, as root or with sudo), and says what to do where it cannot.
set -euo pipefail

missing=()
command -v postgres >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
{ command -v php && [ -e /usr/share/mediawiki/maintenance/install.php ]; } >/dev/null ||
  missing+=(mediawiki php-cli php-sqlite3 php-cgi micro-httpd)
for language in en es fr it ru; do
  compgen -G "/usr/share/asterisk/sounds/${language}_*/digits/0.g722" >/dev/null || missing+=("asterisk-core-sounds-${language}-g722")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null && as_root=(sudo -n)
fi
if command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || [ ${#as_root[@]} -gt 0 ]; }; then
  echo "installing for the tests: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  exit 0
fi
echo "The tests need ${missing[*]}. Install with your system's package manager and run make test again." >&2
exit 1

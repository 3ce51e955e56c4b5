# Sourced by ./demo, ./check and the pre-commit hook: installs what is missing, builds, says what failed.
# The folder of the sources is the working folder from here on.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
STEP="start"
trap 'status=$?; [ $status -eq 0 ] || echo "$0: failed at: $STEP (exit $status)" >&2' EXIT

step() {
  STEP="$*"
  echo "== $STEP"
}

# Debian packages of packages.txt that are not there
missing_packages() {
  sed 's/#.*//' packages.txt | xargs -n 1 | while read -r package; do
    case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" in
      installed) ;;
      *) echo "$package" ;;
    esac
  done
}

install_packages() {
  local missing sudo=""
  missing="$(missing_packages | xargs)"
  [ -n "$missing" ] || return 0
  [ "$(id -u)" -eq 0 ] || sudo="sudo"
  step "install with ${sudo:+sudo }apt-get: $missing"
  # shellcheck disable=SC2086  # a list of words
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  # shellcheck disable=SC2086
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
}

# build [TARGET...]: the release preset, all of it without a target
build() {
  step "configure (preset release)"
  cmake --preset release >build-configure.log 2>&1 || { cat build-configure.log >&2; return 1; }
  rm -f build-configure.log
  step "build ${*:-everything}"
  cmake --build --preset release ${1:+--target "$@"}
}

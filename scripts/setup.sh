#!/usr/bin/env bash
# Set up what the Makefile's targets need, and only what is missing.
#
#   scripts/setup.sh packages      system packages that a napari window needs, on a machine without a display too
#   scripts/setup.sh environment   .venv with this package, napari, and the tools of the dependency groups
#   scripts/setup.sh pyside        .venv-pyside with this package, napari on PySide6, and the tests' tools
#
# PYTHON chooses the interpreter (default: python3). On Debian and Ubuntu missing packages are
# installed where the user is root; everybody else is told what is missing and how to get it.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}

# GL and EGL: napari's canvas. xcb, xkbcommon, dbus, glib, fontconfig (it brings a font): what
# Qt's own wheels link to and do not carry.
WINDOW_PACKAGES=(
  libgl1 libegl1 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0
  libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-cursor0
  libdbus-1-3 libglib2.0-0 libfontconfig1
)
# A display, where there is none.
if [[ -z ${DISPLAY:-} ]]; then WINDOW_PACKAGES+=(xvfb xauth); fi

say() { printf '%s\n' "setup: $*" >&2; }
stop() { say "$@"; exit 1; }

on_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

can_make_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }

# Debian ships ensurepip in a package that carries the interpreter's version in its name.
venv_package() { "$PYTHON" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'; }

check_python() {
  command -v "$PYTHON" >/dev/null ||
    stop "'$PYTHON' was not found; install Python 3.11 or newer, or name it: make setup PYTHON=/path/to/python3.11"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "'$PYTHON' is $("$PYTHON" --version 2>&1), but 3.11 or newer is needed; name one: make setup PYTHON=python3.11"
}

# Print those of the named packages that are not installed. A package may have been renamed
# (libglib2.0-0 is libglib2.0-0t64 in newer releases): it then provides its old name.
missing_packages() {
  local installed name
  installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Provides}\n' |
    sed -n 's/^ii *//p' | tr ',\n' '  ') "
  for name in "$@"; do
    [[ $installed == *" $name "* ]] || printf '%s\n' "$name"
  done
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    say "these system packages are missing: ${missing[*]}"
    stop "install them, then run make again: sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing system packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    stop "apt-get could not install: ${missing[*]}"
}

packages() {
  check_python
  if on_debian; then
    local wanted=("${WINDOW_PACKAGES[@]}")
    can_make_venv || wanted+=("$(venv_package)")
    install_packages "${wanted[@]}"
  elif [[ $(uname -s) == Linux && -z ${DISPLAY:-} ]] && ! command -v xvfb-run >/dev/null; then
    say "there is no display here, and no xvfb-run to make one"
    stop "install Xvfb with xvfb-run, OpenGL and EGL (Mesa) and the xcb libraries of Qt 6; Debian calls them: ${WINDOW_PACKAGES[*]}"
  fi
}

# Make the environment in a folder, and install there what pip is told.
make_environment() {
  local folder=$1
  shift
  check_python
  if ! can_make_venv; then
    on_debian || stop "'$PYTHON' has no venv or no ensurepip module; install them, or name another: make setup PYTHON=…"
    install_packages "$(venv_package)"
    can_make_venv || stop "'$PYTHON' still cannot make a virtual environment; name another: make setup PYTHON=…"
  fi
  # An environment that was left half-made, or whose interpreter is gone, is made anew.
  "$folder/bin/python" -c 'import pip' 2>/dev/null || "$PYTHON" -m venv --clear "$folder"
  rm -f "$folder/.complete"
  say "installing Python packages into $folder; this takes some minutes"
  local pip=("$folder/bin/python" -m pip --disable-pip-version-check)
  # Progress is for people; a log gets the errors.
  [[ -t 1 ]] || pip+=(-qq)
  # pip reads dependency groups from 25.1 on; the one that comes with Python may be older.
  "${pip[@]}" install -c constraints.txt --upgrade pip
  "${pip[@]}" install -c constraints.txt "$@"
  touch "$folder/.complete"
}

environment() {
  make_environment .venv -e '.[all]' --group test --group lint --group bench --group docs
}

pyside() { make_environment .venv-pyside -e '.[napari]' --group test --group pyside; }

case ${1:-} in
  packages | environment | pyside) "$1" ;;
  *) stop "usage: scripts/setup.sh packages|environment|pyside" ;;
esac

# shellcheck shell=bash
# Sourced by the launch scripts. `ensure_environment` makes .venv from
# requirements.lock if it is missing, incomplete or out of date; otherwise it
# takes milliseconds. `ensure_cuda` and `ensure_tpu`, called after it, add the
# packages for a GPU or a TPU to .venv, once.
#
# PYTHON  the interpreter to make .venv from (default: the newest that fits)

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
venv=$root/.venv
python=$venv/bin/python

# TF-Agents and TFMOT need Keras 2.
export TF_USE_LEGACY_KERAS=${TF_USE_LEGACY_KERAS:-1}
# At 2, TensorFlow still reports an error at each start without a GPU.
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# Prints the path of the interpreter itself (not of a shim or link), or the
# reason why it does not fit.
_check_python() {
  "$1" - 2>/dev/null <<'END'
import os, platform, sys, sysconfig
version = platform.python_version()
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
  sys.exit(print(f'{version}, which is not 3.10 to 3.13') or 1)
if platform.python_implementation() != 'CPython':
  sys.exit(print(f'{version}, which is not CPython') or 1)
if sysconfig.get_config_var('Py_GIL_DISABLED'):
  sys.exit(print(f'{version} without the GIL, which has no wheels') or 1)
try:
  import ensurepip, venv
except ImportError as error:
  package = 'python%d.%d-venv' % sys.version_info[:2]
  sys.exit(print(f'{version} without {error.name} (Debian, Ubuntu: '
                 f'apt-get install {package})') or 1)
print(os.path.realpath(sys.executable))
END
}

_find_python() {
  local name found reasons=()
  if [[ -n ${PYTHON:-} ]]; then
    if found=$(_check_python "$PYTHON"); then
      echo "$found"
      return
    fi
    die "PYTHON=$PYTHON does not fit: ${found:-it does not run}." \
      'Expected: CPython 3.10 to 3.13 with the modules venv and ensurepip.'
  fi
  for name in python3.13 python3.12 python3.11 python3.10 python3 python; do
    command -v "$name" >/dev/null || continue
    # A version manager's shim can be there and yet not run: try the next.
    if found=$(_check_python "$name"); then
      echo "$found"
      return
    fi
    reasons+=("  $name: ${found:-does not run}")
  done
  die 'No fitting Python found. Needed: CPython 3.10, 3.11, 3.12 or 3.13 with' \
    'the modules venv and ensurepip. Install one, or name one:' \
    '  PYTHON=/path/to/python' 'Tried:' \
    "${reasons[@]:-  (no python3 on PATH)}"
}

# The sources of .venv. Its path is one of them: the scripts of a virtual
# environment contain it, and the package is installed from there.
_environment_stamp() {
  printf 'made in %s\n' "$root"
  cat -- "$root/requirements.lock"
}

_package_stamp() {
  cat -- "$root/setup.py" "$root/tf_sparse_rl/version.py"
}

_environment_fits() {
  [[ -x $python ]] &&
    _environment_stamp | cmp -s - "$venv/.environment" &&
    [[ -z ${PYTHON:-} || $(_check_python "$PYTHON") == "$(<"$venv/.python")" ]]
}

_package_fits() {
  _package_stamp | cmp -s - "$venv/.package"
}

# A stamp is written last and whole, so a kill leaves none or a true one.
_write_stamp() {
  "$1" >"$2.part"
  mv -f -- "$2.part" "$2"
}

# Runs a command with its output in the log, and shows the log's end if it
# fails.
_logged() {
  if ! "$@" >>"$log" 2>&1 </dev/null; then
    tail -n 25 -- "$log" >&2
    die '' "The installation failed; all of it is in $log" \
      'Run the same command again to try again.'
  fi
}

# A line that counts the packages, for a person who watches the download.
_show_progress() {
  local count total
  total=$(sed -n 's/==.*//p' "$root/requirements.lock" | sort -u | wc -l)
  while kill -0 $$ 2>/dev/null; do
    sleep 1
    count=$(grep -cE '^(Collecting|Processing) ' "$log") || true
    if ((count < total - 9)); then
      printf '\r\033[K  %ss: package %s of %s' $SECONDS "$count" "$total" >&2
    else
      printf '\r\033[K  %ss: unpacking' $SECONDS >&2
    fi
  done
}

_pip() {
  PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0 TMPDIR=$venv/tmp \
    _logged "$python" -m pip install --no-input --progress-bar off \
    --no-build-isolation --use-pep517 "$@"
}

# The entries of some packages in the lock, with their hashes.
_locked() {
  awk -v names=" $* " '
    /^[a-z0-9]/ { split($1, part, "=="); on = index(names, " " part[1] " ") }
    on' "$root/requirements.lock"
}

_make_environment() {
  local base progress=''
  base=$(_find_python)
  echo "Installing into $venv ($("$base" --version)), once:" \
    'a download of 1 GB, 3.5 GB of disk, 1 to 5 minutes.' >&2
  # The mark stays, so that an interrupted removal is still known as ours.
  find "$venv/" -mindepth 1 -maxdepth 1 ! -name .made_by_launch \
    -exec rm -rf -- {} +
  mkdir -- "$venv/tmp"
  _logged "$base" -m venv "$venv"
  if [[ -t 2 ]]; then
    _show_progress 9>&- &
    progress=$!
    disown "$progress"
    # shellcheck disable=SC2064
    trap "kill $progress 2>/dev/null; printf '\r\033[K' >&2" EXIT
  fi
  # These two first: gym has no wheel and is built with them, which keeps pip
  # from fetching others for it without a hash.
  _locked setuptools wheel >"$venv/tmp/build.lock"
  _pip --no-deps --require-hashes -r "$venv/tmp/build.lock"
  _pip --no-deps --require-hashes -r "$root/requirements.lock"
  if [[ -n $progress ]]; then
    kill "$progress" 2>/dev/null || true
    printf '\r\033[K' >&2
    trap - EXIT
  fi
  rm -rf -- "$venv/tmp"
  printf '%s\n' "$base" >"$venv/.python"
  _write_stamp _environment_stamp "$venv/.environment"
}

_install_package() {
  rm -f -- "$venv/.package"
  mkdir -p -- "$venv/tmp"
  _pip --no-deps -e "$root"
  rm -rf -- "$venv/tmp"
  _write_stamp _package_stamp "$venv/.package"
}

# One installation at a time. The last process that has file 9 open holds the
# lock: if this script is killed and its pip is not, pip keeps it.
_lock() {
  exec 9>>"$root/.venv.lock" || die "Cannot write in $root."
  local take='import fcntl, sys; fcntl.flock(9, int(sys.argv[1]))' any
  any=$(_find_python)
  if ! "$any" -c "$take" 6 2>/dev/null; then
    echo 'Another installation is running here; waiting for it.' >&2
    "$any" -c "$take" 2
  fi
}

ensure_environment() {
  if _environment_fits && _package_fits; then
    return
  fi
  # The target of a link may belong to another checkout.
  if [[ -L $venv ]]; then
    die "$venv is a link to an environment that does not fit here." \
      'Remove the link, then try again.'
  fi
  _lock
  if [[ ! -e $venv/.made_by_launch ]]; then
    if [[ -e $venv && -n $(ls -A -- "$venv") ]]; then
      die "$venv is there already and was not made by this script." \
        'Remove it or give it another name, then try again.'
    fi
    mkdir -p -- "$venv"
    : >"$venv/.made_by_launch"
  fi
  log=$root/.venv/install.log
  if ! _environment_fits; then
    _make_environment
    _install_package
  elif ! _package_fits; then
    _install_package
  fi
  exec 9>&-
}

# The versions that setup.py names for a GPU; they are not in the lock.
ensure_cuda() {
  if _package_stamp | cmp -s - "$venv/.cuda"; then
    return
  fi
  echo 'Installing the CUDA libraries of TensorFlow, once: a download of 3 GB.' \
    >&2
  _lock
  log=$venv/install.log
  mkdir -p -- "$venv/tmp"
  _pip -e "${root}[cuda]"
  rm -rf -- "$venv/tmp"
  _write_stamp _package_stamp "$venv/.cuda"
  exec 9>&-
}

# TensorFlow for TPUs is a package of its own, which replaces the other. It does
# not start with libtpu 0.0.52, which pip would choose.
_tpu_packages() {
  printf '%s\n' tensorflow-tpu==2.20.0 tf-keras==2.20.1 libtpu==0.0.21
}

ensure_tpu() {
  if _tpu_packages | cmp -s - "$venv/.tpu"; then
    return
  fi
  echo 'Installing TensorFlow for TPUs, once: a download of 0.5 GB.' >&2
  _lock
  log=$venv/install.log
  mkdir -p -- "$venv/tmp"
  _tpu_packages >"$venv/tmp/tpu.txt"
  _logged "$python" -m pip uninstall --yes tensorflow
  _pip --no-deps -r "$venv/tmp/tpu.txt"
  rm -rf -- "$venv/tmp"
  _write_stamp _tpu_packages "$venv/.tpu"
  exec 9>&-
}

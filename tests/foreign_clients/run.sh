#!/bin/sh
# Makes a virtual environment with clients that nobody here wrote (once) and runs client.py in it.
# Usage: run.sh VENV_DIR ARGUMENTS_OF_CLIENT_PY...
set -eu

here=$(dirname "$0")
venv=$1
shift

# Pinned, so that a red test means that something changed here.
sdk=PureCloudPlatformClientV2==269.0.0
notifications=genesys-notifications==1.3
websockets=websockets==15.0.1

wanted="$sdk $notifications $websockets"
if [ "$(cat "$venv/wanted" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check $wanted
    echo "$wanted" >"$venv/wanted"
fi
exec "$venv/bin/python" "$here/client.py" "$@"

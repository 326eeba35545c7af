#!/bin/sh
# A Ray cluster of several nodes on this machine: `cluster/local.sh --help`.
here=$(cd "$(dirname "$0")" && pwd)
python="$here/../.venv/bin/python"
[ -x "$python" ] || python=python3
exec "${PYTHON:-$python}" "$here/local_cluster.py" "$@"

#!/usr/bin/env bash
# Makes the Linux wheel that a package index takes. Runs inside a manylinux image, with the checkout mounted and the
# front end built (make wheel), because those images have no Node.js:
#   docker run --rm -v "$PWD:/src" -w /src IMAGE scripts/manylinux.sh 0.2.0
set -euo pipefail
version=${1:?usage: scripts/manylinux.sh VERSION}
test -f genops_lab/labextension/package.json || { echo "Run make wheel first: the front end is not built." >&2; exit 1; }
python=$(ls -d /opt/python/cp31[0-3]-cp31[0-3]/bin/python 2>/dev/null | tail -1)
test -n "$python" || { echo "There is no /opt/python here: run this in a manylinux image." >&2; exit 1; }
"$python" -m pip install -q "hatchling>=1.25" "hatch-nodejs-version>=0.3.2" "hatch-jupyter-builder>=0.5" \
  "jupyter-builder>=1.2.0,<2" build auditwheel
work=$(mktemp -d)
GENOPS_NATIVE=1 "$python" -m build --wheel --no-isolation --outdir "$work"
"$python" -m auditwheel repair --wheel-dir "dist/$version" "$work"/*.whl
ls "dist/$version"

#!/usr/bin/env bash
# Checks the Dockerfile and the workflows. Needs Go and Python; hadolint and zizmor are installed into .cache, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.cache/checkers
if ! cmp --silent tools/checkers/requirements.txt "$venv/installed"; then
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement tools/checkers/requirements.txt
  cp tools/checkers/requirements.txt "$venv/installed"
fi
code=0
"$venv/bin/hadolint" Dockerfile || code=1
go -C tools/checkers tool actionlint || code=1
"$venv/bin/zizmor" --offline --quiet --no-progress .github || code=1
exit "$code"

#!/usr/bin/env bash
# Checks the Dockerfile, the scripts and the workflows. Needs Go and Python; hadolint, shellcheck and zizmor are installed
# into .cache, once.
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
git grep -lzE '^#!(/usr/bin/env bash|/bin/sh)$' | xargs -0 "$venv/bin/shellcheck" || code=1
go -C tools/checkers tool actionlint -shellcheck "$PWD/$venv/bin/shellcheck" || code=1
"$venv/bin/zizmor" --offline --quiet --no-progress .github || code=1
exit "$code"

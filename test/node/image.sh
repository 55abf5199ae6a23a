#!/usr/bin/env bash
# Makes an image without Docker or a registry: an archive that containerd imports, of one layer.
#
#   image.sh ARCHIVE NAME:TAG ROOT_FILE_SYSTEM ENTRYPOINT
#
# ENTRYPOINT is a JSON list of texts, or null. The same folder makes the same archive.
set -euo pipefail
archive=$1 name=$2 root=$3 entrypoint=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
digest() { sha256sum "$1" | cut -d' ' -f1; }
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf "$2" "${@:3}"; }

pack "$root" "$work/layer.tar" .
cat > "$work/config.json" <<JSON
{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Entrypoint":$entrypoint},
 "rootfs":{"type":"layers","diff_ids":["sha256:$(digest "$work/layer.tar")"]}}
JSON
echo '[{"Config":"config.json","RepoTags":["'"$name"'"],"Layers":["layer.tar"]}]' > "$work/manifest.json"
pack "$work" "$archive" manifest.json config.json layer.tar

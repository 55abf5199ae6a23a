#!/usr/bin/env bash
# Stops the processes that up.sh started, and removes their data. Ends quietly where nothing runs.
set -uo pipefail
state=${NODE_STATE:-/var/tmp/enos-node}
cd "$state/pid" 2> /dev/null || exit 0

# A recorded pid may belong to another process by now.
is_ours() { [ -s "$1" ] && { tr "\0" " " < "/proc/$(cat "$1")/cmdline" | grep -q -- "$2"; } 2> /dev/null; }
is_alive() {
  local stat
  stat=$(sed 's/.*) //' "/proc/$1/stat" 2> /dev/null) && [ "${stat%% *}" != Z ]
}
stop() { # file of the pid, part of the command line, signal
  local pid
  if is_ours "$1" "$2"; then
    pid=$(cat "$1")
    kill "-$3" "$pid" 2> /dev/null
    for _ in {1..60}; do
      is_alive "$pid" || break
      sleep 0.1
    done
    ! is_alive "$pid" || kill -KILL "$pid"
  fi
  rm -f "$1"
}

# The pid of the caller's watcher; the watcher itself may be the caller.
[ "${1:-}" = --from-watcher ] || stop watcher 'watch-node' KILL
# unshare has --kill-child: its end is the end of every process in the namespaces.
stop node 'unshare.*init.sh' KILL
stop service socat TERM
stop kube-scheduler kube-scheduler TERM
stop kube-controller-manager kube-controller-manager TERM
# On SIGTERM the API server would wait for 10 s; the data is discarded anyway.
stop kube-apiserver kube-apiserver KILL
stop etcd etcd KILL

# Empty cgroups remain. Only folders of this name are removed, deepest first.
if [ -s cgroups ]; then
  while read -r group; do
    case $group in */enos-node-*) ;; *) continue ;; esac
    for _ in {1..50}; do
      [ -d "$group" ] || break
      find "$group" -depth -type d -exec rmdir {} \; 2> /dev/null
      [ ! -d "$group" ] || sleep 0.1
    done
  done < cgroups
fi
cd /
rm -rf "$state"

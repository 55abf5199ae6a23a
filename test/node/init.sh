#!/usr/bin/env bash
# The first process of the node's namespaces: containerd and the kubelet. up.sh starts it.
#
# - mount: mounts of the kubelet and of containers never show outside, and go with the namespace
# - pid: when this process is killed, the kernel ends containerd, the kubelet and every container
# - cgroup: containers stay below the cgroup of the process that called up.sh
set -euo pipefail
state=$1 programs=$2 controllers=$3
cd "$state"
mount --make-rshared /
mount -t proc proc /proc
# cgroup v1 as this namespace sees it: `/` is the folder enos-node-* of each hierarchy.
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
for controller in $controllers; do
  mkdir "/sys/fs/cgroup/$controller"
  options=$controller
  [ "$controller" != systemd ] || options=none,name=systemd
  mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/$controller"
done
# The kubelet sets these for the whole machine. It gets files that already hold the values.
mkdir -p run/sysctl
while read -r path value; do
  echo "$value" > "run/sysctl/${path//\//.}"
  mount --bind "run/sysctl/${path//\//.}" "/proc/sys/$path"
done <<'SYSCTL'
vm/overcommit_memory 1
kernel/panic 10
kernel/panic_on_oops 1
SYSCTL
# Fixed paths of containerd's shims and of the kubelet.
for directory in /run/containerd /var/log /var/lib/kubelet; do
  mkdir -p "$directory"
  mount -t tmpfs tmpfs "$directory"
done

containerd -c containerd.toml > log/containerd.log 2>&1 &
for _ in {1..100}; do
  ctr -a run/c.sock version > /dev/null 2>&1 && break
  sleep 0.1
done
for archive in images/*.tar; do
  ctr -a run/c.sock -n k8s.io images import --snapshotter overlayfs "$archive" >> log/import.log 2>&1
done
# A node whose name is an address has that address, unchecked; --node-ip refuses loopback.
"$programs/kubelet" --config kubelet.yaml --kubeconfig kubelet.kubeconfig --root-dir "$state/kubelet" \
  --cert-dir "$state/pki/kubelet" --hostname-override 127.0.0.1 --v=2 > log/kubelet.log 2>&1 &
kubelet=$!
# Reaps orphans of the containers, and ends with the kubelet.
while kill -0 "$kubelet" 2> /dev/null; do wait -n || true; done

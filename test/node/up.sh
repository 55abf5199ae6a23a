#!/usr/bin/env bash
# Starts a Kubernetes cluster of one real node without Docker: etcd, kube-apiserver, kube-controller-manager,
# kube-scheduler, containerd and kubelet. For tests that need pods (test/e2e).
#
#   up.sh PROGRAMS [ARCHIVE ...]
#   up.sh --check
#
# PROGRAMS is the folder of the programs (test/control-plane). Each ARCHIVE is an image that pods may use. A cluster of
# an earlier run is stopped first; down.sh stops this one, and so does the end of the process $NODE_OWNER.
#
# Kubeconfig: $NODE_STATE/admin.kubeconfig. Node: 127.0.0.1. Logs: $NODE_STATE/log. Image of a shell: e2e.local/busybox:1.
# Pods must have hostNetwork: there is no pod network, no kube-proxy and no DNS. Everything listens on loopback.
#
# Exit code 3: the machine lacks a requirement; the reason is on stderr. --check does no more than that.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
state=${NODE_STATE:-/var/tmp/enos-node}  # short: a path of a socket has at most 107 bytes
# The first of seven, below the range from which Linux takes ports of clients. Two nodes need ports and states of their own.
ports=${NODE_PORTS:-23790}
etcd_port=$ports etcd_peer_port=$((ports + 1)) api_port=$((ports + 2)) manager_port=$((ports + 3))
scheduler_port=$((ports + 4)) kubelet_port=$((ports + 5)) kubelet_health_port=$((ports + 6))
service_address=127.11.$((ports % 250)).1 # ClusterIP of the Service `kubernetes`
started_at=$SECONDS
say() { printf 'node: %s after %d s\n' "$*" $((SECONDS - started_at)); }
lack() {
  echo "the test node needs $*" >&2
  exit 3
}

[ "$(id -u)" = 0 ] || lack "root"
[ "$(stat -fc %T /sys/fs/cgroup 2> /dev/null)" = tmpfs ] || lack "cgroup v1: init.sh mounts its hierarchies"
grep -qs '^ID=debian$' /etc/os-release || lack "Debian: its packages are containerd and runc"
[ "$(uname -m)" = x86_64 ] || lack "x86_64"
[ "${1:-}" != --check ] || exit 0
programs=$(cd "${1:?the folder of the Kubernetes programs}" && pwd)
shift

# Debian 12 has containerd 1.6. Kubelet 1.36 is the last one that works with it.
packages=()
for package in containerd runc busybox-static socat openssl; do
  dpkg -s "$package" > /dev/null 2>&1 || packages+=("$package")
done
if ((${#packages[@]})); then
  echo "node: installing ${packages[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null
fi

NODE_STATE=$state "$here/down.sh"
mkdir -p "$state"/{pki,log,pid,run,containerd,kubelet,images,cni} /run/containerd
cd "$state"

# Random tokens for each identity. The API server makes its own certificate.
openssl genrsa -out pki/service-account.key 2048 2> /dev/null
openssl rsa -in pki/service-account.key -pubout -out pki/service-account.pub 2> /dev/null
umask 077
add_identity() { # file of the kubeconfig, user, group
  local token
  token=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
  echo "$token,$2,$2,\"$3\"" >> pki/tokens.csv
  cat > "$1.kubeconfig" << YAML
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "https://127.0.0.1:$api_port", certificate-authority: $state/pki/api/apiserver.crt}}]
users: [{name: $1, user: {token: "$token"}}]
contexts: [{name: node, context: {cluster: node, user: $1}}]
current-context: node
YAML
}
add_identity admin admin system:masters
add_identity kubelet system:node:127.0.0.1 system:nodes
add_identity kube-controller-manager system:kube-controller-manager ''
add_identity kube-scheduler system:kube-scheduler ''
umask 022

spawn() { # name, command; down.sh stops it by the recorded pid
  setsid nohup "${@:2}" > "log/$1.log" 2>&1 < /dev/null &
  echo $! > "pid/$1"
}
if [ "${NODE_OWNER:-}" ]; then
  # shellcheck disable=SC2016 # expanded by the inner shell
  NODE_STATE=$state spawn watcher bash -c 'while kill -0 "$1" 2> /dev/null; do sleep 0.5; done; exec "$2" --from-watcher' \
    watch-node "$NODE_OWNER" "$here/down.sh"
fi

spawn etcd "$programs/etcd" --data-dir etcd-data --unsafe-no-fsync \
  --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
  --listen-peer-urls "http://127.0.0.1:$etcd_peer_port"
# Services have loopback addresses: no call of a pod can leave the machine. No Endpoints of the API server: an Endpoints
# object may not hold a loopback address.
spawn kube-apiserver "$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" \
  --secure-port $api_port --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --endpoint-reconciler-type none \
  --service-cluster-ip-range "${service_address%.*}.0/24" --cert-dir pki/api --token-auth-file pki/tokens.csv \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file pki/service-account.pub \
  --service-account-signing-key-file pki/service-account.key \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged
# All that is needed of kube-proxy: pods call the API server at the address of its Service.
spawn service socat "TCP-LISTEN:443,bind=$service_address,reuseaddr,fork" "TCP:127.0.0.1:$api_port"

# Images: the caller's, a shell, and pause, which must end at once on SIGTERM, or each pod takes its whole grace period.
rootfs=images/rootfs
mkdir -p $rootfs/{bin,etc,tmp,proc,sys,dev}
cp "$(command -v busybox)" $rootfs/bin/busybox
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"; done
"$here/image.sh" images/busybox.tar e2e.local/busybox:1 $rootfs null
# shellcheck disable=SC2016 # expanded in the container
"$here/image.sh" images/pause.tar e2e.local/pause:1 $rootfs \
  '["/bin/sh","-c","trap \"exit 0\" TERM INT; while :; do sleep 86400 & wait $!; done"]'
rm -rf $rootfs
for archive in "$@"; do cp "$archive" images/; done

echo '{"cniVersion":"0.4.0","name":"none","plugins":[{"type":"loopback"}]}' > cni/10-none.conflist
for file in containerd.toml kubelet.yaml; do
  sed "s|@STATE@|$state|g; s|23795|$kubelet_port|; s|23796|$kubelet_health_port|" "$here/$file" > $file
done

controllers='' groups=()
for controller in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
  [ -d "/sys/fs/cgroup/$controller" ] || continue
  name=$controller
  [ "$controller" != systemd ] || name=name=systemd
  path=$(awk -F: -v name="$name" '{ n = split($2, a, ","); for (i = 1; i <= n; i++) if (a[i] == name) print $3 }' /proc/self/cgroup)
  group=/sys/fs/cgroup/$controller${path%/}/enos-node-$ports
  mkdir -p "$group"
  echo "$group" >> pid/cgroups
  if [ "$controller" = cpuset ]; then
    for file in cpus mems; do cat "$group/../cpuset.$file" > "$group/cpuset.$file"; done
  fi
  controllers+=" $controller"
  groups+=("$group")
done

kubectl() { "$programs/kubectl" --kubeconfig "$state/admin.kubeconfig" "$@"; }
for _ in {1..240}; do
  [ "$(kubectl get --raw /readyz 2> /dev/null)" != ok ] || break
  sleep 0.25
done
spawn kube-controller-manager "$programs/kube-controller-manager" --kubeconfig kube-controller-manager.kubeconfig \
  --leader-elect=false --use-service-account-credentials --bind-address 127.0.0.1 --secure-port $manager_port \
  --service-account-private-key-file pki/service-account.key --root-ca-file pki/api/apiserver.crt --cert-dir pki/manager
spawn kube-scheduler "$programs/kube-scheduler" --kubeconfig kube-scheduler.kubeconfig --leader-elect=false \
  --bind-address 127.0.0.1 --secure-port $scheduler_port --cert-dir pki/scheduler
# shellcheck disable=SC2016 # expanded by the inner shell
spawn node bash -c '
  for group in "${@:5}"; do echo $$ > "$group/cgroup.procs"; done
  exec unshare --mount --pid --cgroup --fork --kill-child -- bash "$1" "${@:2:3}"' \
  node "$here/init.sh" "$state" "$programs" "$controllers" "${groups[@]}"

is_ready=
for _ in {1..240}; do
  if [ "$(kubectl get node 127.0.0.1 -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2> /dev/null)" = True ] &&
    kubectl get serviceaccount default > /dev/null 2>&1; then
    is_ready=1
    break
  fi
  kill -0 "$(cat pid/node)" 2> /dev/null || break
  sleep 0.5
done
for name in etcd kube-apiserver kube-controller-manager kube-scheduler service node; do
  kill -0 "$(cat "pid/$name")" 2> /dev/null || {
    echo "node: $name has ended" >&2
    is_ready=
  }
done
if [ -z "$is_ready" ]; then
  say "not ready" >&2
  tail -n 8 log/*.log >&2
  exit 1
fi
say "ready"

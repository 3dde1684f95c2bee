#!/bin/bash
# Two nodes on one switch: flannel's VXLAN between them, kube-proxy's rules on both; node1 has three pods, node2 one.
set -e
cd "$(dirname "$0")"
P=emu-two
A=$P-node1; B=$P-node2; S=$P-sw; G=$P-gw
ns() { ip netns add $1; ip netns exec $1 sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1; ip -n $1 link set lo up; }
cleanup() { for n in $(ip netns list | awk '{print $1}' | grep "^$P-"); do ip netns del $n; done; }
cleanup
trap cleanup EXIT
for n in $S $G $A $B $P-a1 $P-a2 $P-a3 $P-b1; do ns $n; done
ip netns exec $S sysctl -qw net.bridge.bridge-nf-call-iptables=0
ip -n $S link add sw0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
ip -n $S link set sw0 up
host() { # NS PORT MAC ADDR
  ip -n $1 link add eth0 address $3 type veth peer name $2 netns $S
  ip -n $S link set $2 master sw0 up
  ip -n $1 addr add $4 brd + dev eth0; ip -n $1 link set eth0 up; }
host $G pgw 02:00:c0:a8:00:fe 192.168.0.254/24
host $A p1 02:00:c0:a8:00:01 192.168.0.1/24
host $B p2 02:00:c0:a8:00:02 192.168.0.2/24
node() { # NS N OTHER
  ip netns exec $1 sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.bridge.bridge-nf-call-iptables=1 net.netfilter.nf_conntrack_tcp_timeout_established=86400
  ip -n $1 link add cni0 address 0a:58:0a:f4:0$2:01 type bridge
  ip -n $1 link set cni0 type bridge forward_delay 0
  ip -n $1 link set cni0 mtu 1450
  ip -n $1 addr add 10.244.$2.1/24 brd + dev cni0; ip -n $1 link set cni0 up
  ip -n $1 link add flannel.1 address 02:00:0a:f4:0$2:ff mtu 1450 type vxlan id 1 local 192.168.0.$2 dev eth0 dstport 8472 nolearning
  ip -n $1 addr add 10.244.$2.0/32 dev flannel.1; ip -n $1 link set flannel.1 up
  ip -n $1 route add default via 192.168.0.254 dev eth0 proto dhcp src 192.168.0.$2 metric 100
  bridge -n $1 fdb append 02:00:0a:f4:0$3:ff dev flannel.1 dst 192.168.0.$3
  ip -n $1 neigh add 10.244.$3.0 lladdr 02:00:0a:f4:0$3:ff dev flannel.1 nud permanent
  ip -n $1 route add 10.244.$3.0/24 via 10.244.$3.0 dev flannel.1 onlink; }
node $A 1 2
node $B 2 1
pod() { # POD NODE VETH ADDR GW MAC
  ip -n $1 link add eth0 address $6 mtu 1450 type veth peer name $3 mtu 1450 netns $2
  ip -n $1 addr add $4/24 brd + dev eth0; ip -n $1 link set eth0 up
  ip -n $2 link set $3 master cni0 up
  bridge -n $2 link set dev $3 hairpin on
  ip -n $1 route add default via $5 dev eth0; }
pod $P-a1 $A veth0a31 10.244.1.2 10.244.1.1 0a:58:0a:f4:01:02
pod $P-a2 $A veth5c07 10.244.1.3 10.244.1.1 0a:58:0a:f4:01:03
pod $P-a3 $A vethe9d2 10.244.1.4 10.244.1.1 0a:58:0a:f4:01:04
pod $P-b1 $B veth77b0 10.244.2.2 10.244.2.1 0a:58:0a:f4:02:02
ip -n $A link add docker0 address 02:42:ac:11:00:01 type bridge
ip -n $A addr add 172.17.0.1/16 brd + dev docker0; ip -n $A link set docker0 up
ip -n $A addr add 169.254.20.10/32 dev lo
ip -n $A rule add pref 100 from 10.244.1.0/24 fwmark 0x200/0xf00 lookup 100
ip -n $A route add 10.99.0.0/24 dev cni0 scope link table 100
ip -n $A route add 10.77.0.0/16 nexthop via 192.168.0.2 dev eth0 weight 1 nexthop via 192.168.0.254 dev eth0 weight 2
ip -n $A route add blackhole 10.78.0.0/16
for n in 1 2; do ip netns exec $P-node$n iptables-restore < two-nodes/node$n/iptables-save.txt; done
sleep 1
ping() { ip netns exec $1 python3 - $2 <<'PY' || echo "no answer: $1 $2"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1], 9)); s.send(b"x")
try: s.recv(9)
except ConnectionRefusedError: pass
PY
}
for p in a1 a2 a3; do ping $P-$p 10.244.1.1; done
ping $P-b1 10.244.2.1
ping $A 10.244.1.2; ping $A 10.244.1.3; ping $A 10.244.1.4; ping $B 10.244.2.2
ping $P-a1 10.244.2.2; ping $A 192.168.0.254; ping $B 192.168.0.254; ping $A 192.168.0.2
ping $A 192.168.0.77
ip netns exec $P-a2 python3 -m http.server 8080 >/dev/null 2>&1 & SRV=$!
ip netns exec $P-b1 python3 -m http.server 8080 >/dev/null 2>&1 & SRV2=$!
sleep 1
ip netns exec $P-a1 python3 - <<'PY' || true
import urllib.request
print(len(urllib.request.urlopen("http://10.96.0.10/", timeout=3).read()))
PY
kill $SRV $SRV2
OUT=$(mktemp -d)
for n in 1 2; do D=$OUT/node$n; mkdir "$D"; N=$P-node$n; X="ip netns exec $N"
  $X iptables-save > $D/iptables-save.txt
  ip -n $N -j addr > $D/ip-addr.json; ip -n $N -d -j link > $D/ip-link.json
  ip -n $N -j route show table all > $D/ip-route.json; ip -n $N -j rule > $D/ip-rule.json
  ip -n $N -j neigh > $D/ip-neigh.json; bridge -n $N -j fdb > $D/bridge-fdb.json
  $X sysctl -a 2>/dev/null | grep -E "^net\.(bridge|netfilter|ipv4\.(ip_|conf\.[^ ]*\.(forwarding|rp_filter|[a-z]*_redirects|proxy_arp|arp_ignore|arp_announce|route_localnet) ))" > $D/sysctl.txt; $X conntrack -L > $D/conntrack.txt 2>/dev/null
  $X nft list ruleset > $D/nft.txt 2>/dev/null; $X ipset save > $D/ipset.txt
done
rm -rf two-nodes; mv "$OUT" two-nodes; chmod 755 two-nodes

#!/bin/bash
# A node with a cable of its own to each pod, and much that a document cannot have.
set -e
cd "$(dirname "$0")"
P=emu-ptp; A=$P-node; G=$P-gw
cleanup() { for n in $(ip netns list | awk '{print $1}' | grep "^$P-"); do ip netns del $n; done; }
cleanup; trap cleanup EXIT
for n in $A $G $P-a1 $P-a2; do ip netns add $n; ip -n $n link set lo up; done
for n in $G $P-a1 $P-a2; do ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
ip netns exec $A sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1
ip -n $A link add eth0 address 02:00:c0:a8:05:0a type veth peer name eth0 address 02:00:c0:a8:05:01 netns $G
ip -n $G addr add 192.168.5.1/24 dev eth0; ip -n $G link set eth0 up
ip -n $A addr add 192.168.5.10/24 brd + dev eth0 noprefixroute; ip -n $A link set eth0 up
ip -n $A route add 192.168.5.0/24 dev eth0 proto kernel scope link src 192.168.5.10 metric 100
ip -n $A route add default via 192.168.5.1 dev eth0 proto dhcp src 192.168.5.10 metric 100
ip -n $A addr add 192.168.5.11/24 dev eth0
ip -n $A addr add 10.1.1.1 peer 10.1.1.2/32 dev eth0
for i in 1 2; do
  ip -n $P-a$i link add eth0 address 0a:58:0a:f4:05:0$((i+1)) type veth peer name veth$i address 02:00:00:05:10:0$i netns $A
  ip -n $P-a$i addr add 10.244.5.$((i+1))/24 dev eth0; ip -n $P-a$i link set eth0 up
  ip -n $A addr add 10.244.5.1/32 dev veth$i; ip -n $A link set veth$i up
  ip -n $A route add 10.244.5.$((i+1)) dev veth$i scope host
  ip -n $P-a$i route del 10.244.5.0/24 dev eth0; ip -n $P-a$i route add 10.244.5.1 dev eth0 scope link; ip -n $P-a$i route add 10.244.5.0/24 via 10.244.5.1 dev eth0 src 10.244.5.$((i+1)); ip -n $P-a$i route add default via 10.244.5.1 dev eth0
done
ip -n $A link add eth1 address 02:00:00:05:20:01 type veth peer name eth1 netns $G
ip -n $A addr add 10.9.9.1/24 dev eth1; ip -n $A link set eth1 up
ip -n $A link add eth2 address 02:00:00:05:30:01 type veth peer name eth2 netns $G
ip -n $A addr add 10.9.8.1/24 dev eth2
ip -n $A tuntap add mode tun dev tun0; ip -n $A addr add 10.8.0.1/24 dev tun0; ip -n $A link set tun0 up
ip -n $A route add 10.80.0.0/16 via 10.8.0.2 dev tun0
ip -n $A link add mv0 link eth0 type macvlan mode bridge || true
ip -n $A nexthop add id 7 via 192.168.5.1 dev eth0; ip -n $A route add 10.60.0.0/16 nhid 7
ip -n $A route add 10.61.0.0/16 via 192.168.5.1 dev eth0 mtu 1400 advmss 1300
ip -n $A route add 10.62.0.0/16 via 192.168.5.1 dev eth0 tos 0x10
ip -n $A route add 10.63.0.0/16 via 172.30.0.1 dev eth0 onlink table 200 proto bird
ip -n $A route add local 10.64.0.0/16 dev lo
ip -n $A route add unreachable 10.65.0.0/16 metric 4000
ip -n $A rule add pref 10 lookup local; ip -n $A rule del pref 0
ip -n $A rule add pref 20 iif veth1 to 10.63.0.0/16 lookup 200
ip -n $A rule add pref 30 lookup main suppress_prefixlength 0
ip -n $A rule add pref 40 uidrange 1000-2000 lookup 200
ip -n $A rule add pref 40000 not from 10.0.0.0/8 fwmark 0x1 prohibit
ip netns exec $A ipset create PODS hash:ip; ip netns exec $A ipset add PODS 10.244.5.2
ip netns exec $A ipset create PODS6 hash:ip family inet6; ip netns exec $A ipset add PODS6 fd00::2
ip netns exec $A iptables-restore <<'R'
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -d 10.244.5.0/24 -m rpfilter --invert -j DROP
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m set --match-set PODS src -m time --timestart 08:00:00 --timestop 18:00:00 --datestop 2038-01-19T03:14:07 -j ACCEPT
-A FORWARD -m u32 --u32 "0x0>>0x1c=0x4" -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 53 -d 10.96.0.10/32 -j DNAT --to-destination 10.244.5.3:5353
-A POSTROUTING ! -d 10.244.0.0/16 -o eth0 -j MASQUERADE
COMMIT
R
ip netns exec $A nft -f - <<'R'
table inet own {
	chain in {
		type filter hook input priority 0; policy accept;
		tcp dport 9999 drop
	}
}
table ip6 own6 {
	chain in {
		type filter hook input priority 0; policy accept;
	}
}
R
sleep 1
ask() { ip netns exec $1 python3 - $2 <<'PY' || echo "no answer: $1 $2"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1], 9)); s.send(b"x")
try: s.recv(9)
except ConnectionRefusedError: pass
PY
}
ask $A 192.168.5.1; ask $A 10.244.5.2; ask $P-a1 10.244.5.1; ask $P-a2 10.244.5.1 
D=without-bridge/node.example; rm -rf $D; mkdir -p $D; N=$A; X="ip netns exec $N"
$X iptables-save -c > $D/iptables-save.txt
ip -n $N -j addr > $D/ip-addr.json; ip -n $N -d -j link > $D/ip-link.json
ip -n $N -j route show table all > $D/ip-route.json; ip -n $N -j rule > $D/ip-rule.json
ip -n $N -j neigh > $D/ip-neigh.json; bridge -n $N -j fdb > $D/bridge-fdb.json
$X sysctl -a 2>/dev/null | grep -E "^net\.ipv4\.(ip_forward|conf\.[^ ]*\.(forwarding|rp_filter|[a-z]*_redirects|proxy_arp))" > $D/sysctl.txt
$X conntrack -L > $D/conntrack.txt 2>/dev/null; $X nft list ruleset > $D/nft.txt 2>/dev/null; $X ipset save > $D/ipset.txt

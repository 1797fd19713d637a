#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# programs.bats: mode hold and programs that know nothing of it, with the tunnel down: each works
# at the first try. More of them, with packages that tests/deps does not install (golang-go,
# default-jdk-headless, nginx):
#
#   make && tests/lab/vm --kernel 6.12 -- bats --filter-tags by-hand tests/lab/programs.bats

bats_require_minimum_version 1.5.0
export GATE_MODE=hold GATE_GUARD=on
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/peers.sh"
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/gate.sh"

setup_file() {
	export LAB_RETRANSMIT_TRIES=6
	lab_up
	lab_charon_start a b
	lab_serve_start 80
	lab_capture_start
	lab_spawn "$LAB_DIR/servers.out" nsenter --net=/run/netns/b -- \
		python3 "$BATS_TEST_DIRNAME/../kernel/programs.py" 192.0.2.2 >"$LAB_DIR/servers.pid"
	lab_wait_until 30 grep -q ready "$LAB_DIR/servers.out"
	# an IKE daemon under emulation may take longer than the 2 s of the default
	gate_up --set hold-timeout=60s --set hold-nonblocking-timeout=60s
}
teardown_file() {
	lab_stop_pidfile "$LAB_DIR/servers.pid" TERM 10
	gate_down
	lab_down
}
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || { cat "$LAB_DIR/said"; gate_story; gate_mend; } || :
}

down() { gate_lab conn=t4 && gate_mark; }
# What was run waited for one negotiation, and nothing went wrong that a retry would hide.
first_try() {
	[ "$(gate_moved .negotiations.started refused)" = "1 0" ]
	[ "$(gate_moved held)" -ge 1 ]
	[ "$(gate_syn)" = 0 ]
	[ "$(gate_plain)" = 0 ]
}
# through TEXT CMD...: with the tunnel down CMD ends well, and has said TEXT.
through() {
	local text=$1
	shift
	down
	gated "$@" >"$LAB_DIR/said" 2>&1
	grep -q -- "$text" "$LAB_DIR/said"
	first_try
}

@test "curl, dig and getaddrinfo(), of which the last two send with sendmmsg()" {
	through served curl -sS --max-time 60 http://192.0.2.2:8080/
	through '^192.0.2.77$' dig +short +tries=1 +time=60 @192.0.2.2 a.example
	echo "nameserver 192.0.2.2" >"$LAB_DIR/resolv.conf"
	echo "hosts: dns" >"$LAB_DIR/nsswitch.conf"
	# shellcheck disable=SC2016 # expanded inside
	through '^192.0.2.77 ' unshare --mount sh -c 'mount --bind "$1/resolv.conf" /etc/resolv.conf &&
		mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && exec getent ahosts a.example' sh "$LAB_DIR"
	lab_capture_proves 4
}

@test "python: a blocking socket, and asyncio" {
	through served python3 -c 'import urllib.request as u
print(u.urlopen("http://192.0.2.2:8080/", timeout=60).read())'
	through served python3 -c 'import asyncio
async def main():
    r, w = await asyncio.open_connection("192.0.2.2", 8080)
    w.write(b"GET / HTTP/1.0\r\n\r\n")
    print(await r.read())
asyncio.run(main())'
}

@test "node, and psql" {
	through served node -e 'require("http").get("http://192.0.2.2:8080/", r => r.on("data", d => console.log(d + "")))'
	through served psql -At "host=192.0.2.2 user=u dbname=d gssencmode=disable" -c 'select 1'
}

@test "ssh" {
	local d=$LAB_DIR/ssh
	mkdir -p "$d/home/.ssh"
	chmod 700 "$d/home" "$d/home/.ssh"
	ssh-keygen -q -t ed25519 -N '' -f "$d/key"
	cp "$d/key.pub" "$d/home/.ssh/authorized_keys"
	dropbearkey -t ed25519 -f "$d/hostkey" >/dev/null
	# authorized keys are in the home of whoever logs in
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$d/sshd.log" nsenter --net=/run/netns/b -- unshare --mount sh -c '
		mount --bind "$1/home" "$HOME" && exec dropbear -F -E -s -r "$1/hostkey" -p 2222 -P ""' sshd "$d" >"$d/sshd.pid"
	lab_wait_until 20 listens b 2222
	through ^served ssh -F none -p 2222 -i "$d/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o BatchMode=yes root@192.0.2.2 echo served
	lab_stop_pidfile "$d/sshd.pid" TERM 10
}
listens() { lab_exec "$1" ss -Hltn "sport = :$2" | grep -q .; }

# bats test_tags=by-hand
@test "nginx, a proxy" {
	local d=$LAB_DIR/nginx
	mkdir "$d"
	cat >"$d/conf" <<-END
	daemon off;
	master_process off;
	user root;
	pid $d/itself;
	error_log $d/error;
	events {}
	http { access_log off; server { listen 127.0.0.1:8090; location / { proxy_pass http://192.0.2.2:8080; } } }
	END
	# shellcheck disable=SC2016 # expanded inside
	lab_spawn "$d/out" sh -c 'echo $$ >/sys/fs/cgroup/gated/cgroup.procs && exec nsenter --net=/run/netns/a -- nginx -c "$1/conf"' \
		nginx "$d" >"$d/pid"
	lab_wait_until 30 listens a 8090
	down
	lab_exec a curl -sS --max-time 60 http://127.0.0.1:8090/ >"$LAB_DIR/said" 2>&1
	grep -q served "$LAB_DIR/said"
	first_try
	[ ! -s "$d/error" ]
	lab_stop_pidfile "$d/pid" TERM 10
}

# bats test_tags=by-hand
@test "a static Go program" {
	cat >"$LAB_DIR/client.go" <<-'END'
	package main
	import ("fmt"; "io"; "net/http"; "os")
	func main() {
		r, err := http.Get("http://192.0.2.2:8080/")
		if err != nil { fmt.Println(err); os.Exit(1) }
		b, _ := io.ReadAll(r.Body)
		fmt.Println(string(b))
	}
	END
	HOME=$LAB_DIR CGO_ENABLED=0 go build -o "$LAB_DIR/client" "$LAB_DIR/client.go"
	file "$LAB_DIR/client" | grep -q 'statically linked'
	through served "$LAB_DIR/client"
}

# bats test_tags=by-hand
@test "Java: HttpClient, and a Socket" {
	cat >"$LAB_DIR/Client.java" <<-'END'
	import java.net.*;
	import java.net.http.*;
	class Client {
		public static void main(String[] args) throws Exception {
			URI to = URI.create("http://192.0.2.2:8080/");
			System.out.println(args.length == 0 ? HttpClient.newHttpClient().send(HttpRequest.newBuilder(to).build(),
				HttpResponse.BodyHandlers.ofString()).body() : new String(to.toURL().openStream().readAllBytes()));
		}
	}
	END
	through served java "$LAB_DIR/Client.java"
	through served java "$LAB_DIR/Client.java" socket
}

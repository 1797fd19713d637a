#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# systemd.bats: sagate.service as it is shipped, and a service with README's
# drop-in, under a real systemd: the first process of PID, mount and cgroup
# namespaces of its own, with no units but those made here. Mode hold is not for
# here: a daemon in a PID namespace does not find the threads that are held.

bats_require_minimum_version 1.5.0
# shellcheck source=/dev/null # checked by itself
. "$BATS_TEST_DIRNAME/host.sh"

setup_file() {
	sgk_up
	sgk_stop "$SGK_DIR/daemon.pid"
	rm -r "$SGK_PIN"
	export UNITS=$SGK_DIR/units
	units_make
	systemd_start
	systemctl_ start sagate
}
teardown_file() {
	systemctl_ stop sagate || :
	sgk_stop "$SGK_DIR/systemd.pid" KILL
	sgk_wait 10 cgroups_removed
	sgk_down
}

setup() { on_a ip xfrm policy flush; }
teardown() {
	[ -n "$BATS_TEST_COMPLETED" ] || {
		systemctl_ --no-pager status sagate app
		cat "$SGK_DIR/app.out" "$SGK_DIR/systemd.out"
		grep -v libbpf "$SGK_DIR/log" | tail -n 20
	} || :
	systemctl_ stop app || :
}

units_make() {
	local target
	mkdir -p "$UNITS/sagate.service.d" "$SGK_DIR/sbin"
	cp "$SAGATE" "$SGK_DIR/sbin/sagate"
	touch "$SGK_DIR/netns"
	sed "s,@SBINDIR@,$SGK_DIR/sbin," "$SGK_REPO/loader/sagate.service" >"$UNITS/sagate.service"
	# all of it as shipped, but for where its files are
	cat >"$UNITS/sagate.service.d/test.conf" <<-END
	[Service]
	ExecStart=
	ExecStart=$SGK_DIR/sbin/sagate daemon -c $SGK_CONF
	NetworkNamespacePath=$SGK_DIR/netns
	PrivateTmp=no
	StandardOutput=append:$SGK_DIR/log
	StandardError=append:$SGK_DIR/log
	END
	sed -i "s,^control=.*,control=/run/sagate/control.sock," "$SGK_CONF"
	for target in test sysinit basic shutdown; do
		printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $target >"$UNITS/$target.target"
	done
}

systemd_start() {
	mkdir "$SGK_CGROUP2/$SGK_GATE-systemd"
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/systemd.out" sh -c 'echo $$ >"$1/cgroup.procs"
		exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc sh -c "
			mount --bind /run/netns/$2 $3/netns
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
			mount -t tmpfs -o mode=755 run /run && mkdir /run/lock
			exec env -i container=test PATH=$PATH SYSTEMD_UNIT_PATH=$3/units \
				/lib/systemd/systemd --system --unit=test.target --log-target=console"' \
		systemd "$SGK_CGROUP2/$SGK_GATE-systemd" "$SGK_A" "$SGK_DIR" >"$SGK_DIR/systemd.pid"
	sgk_wait 30 is test.target active
}
# systemd CMD...: beside it, in its namespaces.
systemd() {
	nsenter --target "$(pgrep -P "$(cat "$SGK_DIR/systemd.pid")")" --mount --pid --cgroup -- "$@"
}
systemctl_() { systemd systemctl "$@"; }
is() { [ "$(systemctl_ show -P ActiveState "$1")" = "$2" ]; }
value() { systemctl_ show -P "$2" "$1"; }
cli() { systemd "$SGK_DIR/sbin/sagate" "$@"; }
cgroups_removed() {
	find "$SGK_CGROUP2/$SGK_GATE-systemd" -depth -type d -exec rmdir {} \;
	[ ! -e "$SGK_CGROUP2/$SGK_GATE-systemd" ]
}

# app [LINES...]: a service with README's drop-in, whose program sends one datagram
# and sleeps; $SGK_DIR/app.out has what came of it.
app() {
	cat >"$UNITS/app.service" <<-END
	[Unit]
	Wants=sagate.service
	After=sagate.service
	[Service]
	NetworkNamespacePath=$SGK_DIR/netns
	ExecStartPre=+$SGK_DIR/sbin/sagate attach /system.slice/%n --name app --mode reject
	$(printf '%s\n' "$@")
	ExecStart=/bin/sh -c '$SGK_WAYS udp 192.0.2.5 80 >>$SGK_DIR/app.out; exec sleep 1000'
	END
	rm -f "$SGK_DIR/app.out"
	systemctl_ daemon-reload
}
wrote() { [ "$(cut -d ' ' -f 1 "$SGK_DIR/app.out" | xargs)" = "$*" ]; }
waits="ExecStartPre=+\$SGK_DIR/sbin/sagate wait udp 192.0.2.5:80 --netns \$SGK_DIR/netns --gate app --timeout"

@test "sagate.service, as shipped, is ready, attaches gates under its own limits, and reloads" {
	is sagate active
	[ "$(cli status --json | jq .ready)" = true ]
	app
	systemctl_ start app
	sgk_wait 10 wrote ok
	cli show gates --json | jq -e '.[] | select(.name == "app") | .state == "attached" and
		.cgroup == "/system.slice/app.service" and .counters.verdicts.clear >= 1'
	systemctl_ reload sagate
	grep -q 'configuration reloaded' "$SGK_DIR/log"
	is sagate active
}

@test "each start of the service begins in its gate; a restart too" {
	on_a ip xfrm policy add dir out dst 192.0.2.5/32 action block
	sgk_wait 5 denied
	app
	systemctl_ start app
	sgk_wait 10 wrote EACCES
	systemctl_ restart app
	sgk_wait 10 wrote EACCES EACCES
}
denied() { [ "$(cli explain udp 192.0.2.5:80 --netns "$SGK_DIR/netns" --json | jq -r .reason)" = policy-block ]; }

@test "with a line for wait the service starts when its flow passes; without that in time, not at all" {

	# shellcheck disable=SC2046 # words
	on_a ip xfrm policy add dir out dst 192.0.2.5/32 $(tmpl 5)
	app "$(eval echo "\"$waits\"") 1"
	run ! systemctl_ start app
	is app failed
	[ "$(value app Result)" = exit-code ]
	[ ! -s "$SGK_DIR/app.out" ]
	app "$(eval echo "\"$waits\"") 60"
	systemctl_ start --no-block app
	sgk_wait 10 waiting
	is app activating
	on_a ip xfrm policy flush
	sgk_wait 10 is app active
	sgk_wait 10 wrote ok
}
waiting() { [ "$(cli status --json | jq .waits)" = 1 ]; }

@test "all processes of sagate are killed: systemd brings it back, and the service's gate is as before" {
	local before
	app
	systemctl_ start app
	before=$(value sagate MainPID)
	systemctl_ kill --signal=KILL --kill-who=all sagate
	sgk_wait 20 back "$before"
	cli show gates --json | jq -e '.[] | select(.name == "app") | .state == "attached" and .cgroup == "/system.slice/app.service"'
	[ "$(value sagate Result)" = success ]
}
back() { is sagate active && [ "$(value sagate MainPID)" != "$1" ]; }

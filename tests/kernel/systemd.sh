# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# systemd.sh: a real systemd with sagate.service as it is shipped, and no other
# units but those made here. To be sourced after host.sh.
#
#   SYSTEMD=system  the first process of PID, mount and cgroup namespaces
#   SYSTEMD=user    a user manager of root's in the host's PID namespace, since a
#                   daemon in another one holds no calls (mode hold)

: "${SYSTEMD:=system}"

# systemd_up: the host of host.sh, and sagate.service running in the systemd.
systemd_up() {
	sgk_up || return 1
	sgk_stop "$SGK_DIR/daemon.pid"
	rm -r "$SGK_PIN"
	export UNITS=$SGK_DIR/units SYSTEMD_CGROUP=/$SGK_GATE-systemd SERVICES=/system.slice
	export SYSTEMD_SOCKET=/run/sagate/control.sock
	if [ "$SYSTEMD" = user ]; then
		SERVICES=$SYSTEMD_CGROUP/app.slice
		SYSTEMD_SOCKET=/run/root/sagate/control.sock
	fi
	units_make && systemd_start && systemctl_ start sagate
}

systemd_down() {
	[ -n "${SYSTEMD_CGROUP-}" ] || { sgk_down; return; } # it did not come so far
	systemctl_ stop sagate || :
	sgk_stop "$SGK_DIR/systemd.pid" KILL
	sgk_wait 10 cgroups_removed
	sgk_down
}
cgroups_removed() {
	xargs -r kill -KILL < <(find "$SGK_CGROUP2$SYSTEMD_CGROUP" -name cgroup.procs -exec cat {} +)
	find "$SGK_CGROUP2$SYSTEMD_CGROUP" -depth -type d -exec rmdir {} \;
	[ ! -e "$SGK_CGROUP2$SYSTEMD_CGROUP" ]
}

# systemd_story: for a failing test's output.
systemd_story() {
	systemctl_ --no-pager status sagate app
	cat "$SGK_DIR/app.out" "$SGK_DIR/systemd.out"
	grep -v libbpf "$SGK_DIR/log" | tail -n 20
}

# The daemon's user, known in there only.
users_make() {
	mkdir -p "$SGK_DIR/users/etc"
	cp /etc/passwd /etc/group "$SGK_DIR/users/etc"
	systemd-sysusers --root="$SGK_DIR/users" "$SGK_REPO/loader/sagate.sysusers"
	# to its program, too
	chmod o+x "$BATS_RUN_TMPDIR" "$(dirname "$SGK_DIR")" "$SGK_DIR"
}
users_in() { # for the shell in the namespaces
	echo "for f in passwd group; do mount --bind $SGK_DIR/users/etc/\$f /etc/\$f; done"
}

units_make() {
	local target
	users_make || return 1
	mkdir -p "$UNITS/sagate.service.d" "$SGK_DIR/sbin"
	cp "$SAGATE" "$SGK_DIR/sbin/sagate"
	touch "$SGK_DIR/netns"
	sed "s,@SBINDIR@,$SGK_DIR/sbin," "$SGK_REPO/loader/sagate.service" >"$UNITS/sagate.service"
	# all of it as shipped, but for where its files are
	cat >"$UNITS/sagate.service.d/test.conf" <<-END
	[Service]
	ExecStart=
	ExecStart=$SGK_DIR/sbin/sagate daemon -c $SGK_CONF
	$([ "$SYSTEMD" = system ] || printf '%s\n' ExecReload= "ExecReload=$SGK_DIR/sbin/sagate -s $SYSTEMD_SOCKET reload")
	NetworkNamespacePath=$SGK_DIR/netns
	PrivateTmp=no
	StandardOutput=append:$SGK_DIR/log
	StandardError=append:$SGK_DIR/log
	END
	sed -i "s,^control=.*,control=$SYSTEMD_SOCKET," "$SGK_CONF"
	for target in test sysinit basic shutdown; do
		printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' $target >"$UNITS/$target.target"
	done
}

# What systemd is started in. A system's finds a machine of its own; a user's sees the host's
# processes and cgroups, and what a system's has put into /run.
systemd_system() {
	exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc sh -c "
		mount --bind /run/netns/$SGK_A $SGK_DIR/netns
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		$(users_in)
		mount -t tmpfs -o mode=755 run /run && mkdir /run/lock
		exec env -i container=test PATH=$PATH SYSTEMD_UNIT_PATH=$UNITS \
			/lib/systemd/systemd --system --unit=test.target --log-target=console"
}
systemd_user() {
	exec unshare --mount sh -c "
		mount --bind /run/netns/$SGK_A $SGK_DIR/netns
		umount --lazy --recursive /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
		$(users_in)
		mount -t tmpfs -o mode=755 run /run && mkdir -p /run/root /run/systemd/system /run/systemd/inaccessible/dir
		touch /run/systemd/inaccessible/reg
		exec env -i container=test PATH=$PATH SYSTEMD_UNIT_PATH=$UNITS XDG_RUNTIME_DIR=/run/root \
			/lib/systemd/systemd --user --unit=test.target --log-target=console"
}
systemd_start() {
	mkdir "$SGK_CGROUP2$SYSTEMD_CGROUP"
	export -f systemd_system systemd_user users_in
	# shellcheck disable=SC2016 # expanded inside
	sgk_spawn "$SGK_DIR/systemd.out" bash -c 'echo $$ >"$1/cgroup.procs"; "$2"' \
		systemd "$SGK_CGROUP2$SYSTEMD_CGROUP" "systemd_$SYSTEMD" >"$SGK_DIR/systemd.pid"
	sgk_wait 30 is test.target active
}
systemd_pid() {
	if [ "$SYSTEMD" = user ]; then
		cat "$SGK_DIR/systemd.pid"
	else
		pgrep -P "$(cat "$SGK_DIR/systemd.pid")"
	fi
}

# systemd CMD...: beside it, in its namespaces.
systemd() {
	local pid
	pid=$(systemd_pid)
	nsenter --target "$pid" --mount="/proc/$pid/ns/mnt" --pid --cgroup -- "$@"
}
systemctl_() { systemd env XDG_RUNTIME_DIR=/run/root systemctl "--$SYSTEMD" "$@"; }
is() { [ "$(systemctl_ show -P ActiveState "$1")" = "$2" ]; }
value() { systemctl_ show -P "$2" "$1"; }
cli() { systemd "$SGK_DIR/sbin/sagate" -s "$SYSTEMD_SOCKET" "$@"; }

# app COMMAND [LINES...]: a service with README's drop-in, with the settings of its gate in $SETTINGS.
# COMMAND (of sh) has its output in $SGK_DIR/app.out; $SGK_DIR/app.end: how the service ended.
app() {
	cat >"$UNITS/app.service" <<-END
	[Unit]
	Wants=sagate.service
	After=sagate.service
	[Service]
	NetworkNamespacePath=$SGK_DIR/netns
	ExecStartPre=+$SGK_DIR/sbin/sagate -s $SYSTEMD_SOCKET attach $SERVICES/%n --name app ${SETTINGS:---mode reject}
	$(printf '%s\n' "${@:2}")
	ExecStart=/bin/sh -c 'exec >>$SGK_DIR/app.out; $1'
	ExecStopPost=/bin/sh -c 'echo \$\$SERVICE_RESULT \$\$EXIT_CODE \$\$EXIT_STATUS >>$SGK_DIR/app.end'
	END
	rm -f "$SGK_DIR"/app.{out,end}
	systemctl_ daemon-reload
}

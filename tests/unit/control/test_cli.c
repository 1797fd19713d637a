// SPDX-License-Identifier: GPL-2.0-only
/* The command line against a scripted daemon: what it prints, sends, and ends with. */
/* needs: loader/cmd.c loader/cmd_args.c loader/cmd_attach.c loader/cmd_daemon.c */
/* needs: loader/cmd_detach.c loader/cmd_doctor.c loader/cmd_doctor_local.c */
/* needs: loader/cmd_reload.c */
/* needs: loader/cmd_explain.c loader/cmd_flow.c loader/cmd_wait.c */
/* needs: loader/cmd_oci_hook.c loader/oci_state.c loader/oci_cgroup.c */
/* needs: loader/cmd_help.c loader/cmd_run.c loader/cmd_run_cgroup.c */
/* needs: loader/cmd_show.c loader/cmd_status.c loader/cmd_version.c */
/* needs: loader/cmd_watch.c loader/client.c loader/render.c loader/render_checks.c */
/* needs: loader/render_event.c loader/render_explain.c loader/render_lists.c */
/* needs: loader/render_metrics.c loader/render_status.c loader/config.c */
/* needs: loader/config_check.c loader/config_key.c loader/config_parse.c */
/* needs: loader/config_section.c loader/config_settings.c loader/config_value.c */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/units.c loader/cgroup.c loader/netns.c loader/error.c loader/log.c loader/rooms.c
 */
#include "cli.h"

static void a_bad_line_is_usage_and_names_what_is_wrong(void **state)
{
	static const struct {
		const char *args[8];
		const char *error;
	} rows[] = {
		{{"sagate", NULL}, "no command"},
		{{"sagate", "atach", NULL}, "atach: no such command"},
		{{"sagate", "attach", NULL}, "attach needs CGROUP"},
		{{"sagate", "attach", "/a", "/b", NULL}, "/b: one argument too many"},
		{{"sagate", "attach", "/a", "--nam", "x", NULL}, "--nam: no such option"},
		{{"sagate", "attach", "/a", "--name", NULL}, "--name needs NAME"},
		{{"sagate", "attach", "/a", "--name", "a/b", NULL}, "--name a/b: expected"},
		{{"sagate", "attach", "/a", "--mode", "held", NULL}, "reject, hold or audit"},
		{{"sagate", "attach", "/a", "--set", "mode", NULL}, "expected KEY=VALUE"},
		{{"sagate", "attach", "/a", "--set", "x=y", NULL}, "x: no such setting"},
		{{"sagate", "attach", "/a", "--mode", "audit", "--set", "mode=audit", NULL},
		 "twice"},
		{{"sagate", "run", NULL}, "run needs COMMAND"},
		{{"sagate", "run", "--json", "--", "true", NULL}, "run takes no --json"},
		{{"sagate", "show", "hold", NULL}, "expected one of gates|spaces|spd|sad"},
		{{"sagate", "explain", "tcp", NULL}, "explain needs PROTO DST"},
		{{"sagate", "explain", "tpc", "::1", NULL},
		 "\"tpc\": expected tcp, udp, icmp, icmpv6, sctp, igmp, udplite, dccp, gre, esp,"},
		{{"sagate", "wait", "tcp", "10.0.0.300:80", NULL}, "10.0.0.300:80"},
		{{"sagate", "wait", "tcp", "fe80::1%eth0", NULL},
		 "fe80::1%eth0: write the address without its device, and that as --dev eth0\n"},
		{{"sagate", "wait", "tcp", "[fe80::1%e0]:80", NULL}, "that as --dev e0\n"},
		{{"sagate", "wait", "tcp", "::1", "--from", "fe80::1%e0", NULL}, "--dev e0\n"},
		{{"sagate", "wait", "tcp", "::1", "--from", ":0", NULL},
		 "--from :0: port \"0\": expected a number from 1 to 65535"},
		{{"sagate", "explain", "icmpv6", "::1", "--from", ":80", NULL}, "has no ports"},
		{{"sagate", "wait", "tcp", "::1", "--timeout", "400d", NULL}, "at most 365 days"},
		{{"sagate", "explain", "tcp", "x.example:1", NULL}, "x.example:1"},
		{{"sagate", "explain", "tcp", "::1", "--mark", "-1", NULL}, "--mark -1: expected"},
		{{"sagate", "wait", "tcp", NULL}, "wait needs PROTO DST"},
		{{"sagate", "wait", "tcp", "::1", "--timeout", "-1", NULL},
		 "--timeout -1: expected"},
		{{"sagate", "wait", "tcp", "::1", "--timeout", "nan", NULL},
		 "--timeout nan: expected"},
		{{"sagate", "explain", "0", "192.0.2.1", NULL}, "protocol 0: no packet has it"},
		{{"sagate", "explain", "tcp", "192.0.2.1", "--from", "2001:db8::1", NULL},
		 "--from 2001:db8::1: IPv6, and the destination 192.0.2.1 is IPv4"},
		{{"sagate", "wait", "tcp", "::1", "--from", "192.0.2.1", NULL},
		 "--from 192.0.2.1: IPv4, and the destination ::1 is IPv6"},
		{{"sagate", "explain", "icmpv6", "192.0.2.1", NULL},
		 "icmpv6 192.0.2.1: over IPv4 it is icmp"},
		{{"sagate", "explain", "icmpv6", "::ffff:192.0.2.1", NULL}, "over IPv4 it is icmp"},
		{{"sagate", "explain", "1", "2001:db8::1", NULL}, "over IPv6 it is icmpv6"},
		{{"sagate", "-s", "control.sock", "status", NULL},
		 "control socket control.sock: expected an absolute path"},
		{{"sagate", "status", "-s", "./x", NULL}, "./x: expected an absolute path"},
		{{"sagate", "status", "--metrics", "--json", NULL}, "two forms"},
		{{"sagate", "help", "x", NULL}, "x: no such command"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct result *r = cli(rows[i].args);

		EXIT(r, 2);
		if (!strstr(r->out[0] ? r->out : r->err, rows[i].error))
			fail_msg("row %zu: %s%s", i, r->out, r->err);
	}
}

static void errors_are_json_with_json(void **state)
{
	struct result *r;
	json_t *o;

	(void)state;
	r = cli(ARGS("-s", "/nonexistent", "status", "--json"));
	EXIT(r, 1);
	o = only_json(r);
	assert_string_equal(json_get_text(json_object_get(o, "error"), "code"), "no-daemon");
	json_decref(o);
	r = cli(ARGS("attach", "--json", "--frob"));
	EXIT(r, 2);
	o = only_json(r);
	assert_string_equal(json_get_text(json_object_get(o, "error"), "code"), "usage");
	json_decref(o);
	r = cli(ARGS("-s", sock, "attach", "/x", "--name", "refused", "--json"));
	EXIT(r, 1);
	o = only_json(r);
	assert_string_equal(json_get_text(json_object_get(o, "error"), "code"), "no-such-cgroup");
	json_decref(o);
	r = cli(ARGS("-s", sock, "attach", "/x", "--name", "refused"));
	EXIT(r, 1);
	assert_string_equal(r->out, "");
	assert_string_equal(r->err, "sagate: no cgroup here\n");
}

static void attach_sends_what_was_asked(void **state)
{
	static const char *const names[][2] = {
		{"/system.slice/pay.service", "pay.service"},
		{"/a/getty@tty1.service/", "getty-tty1.service"},
		{"/", "root"},
		{"/a/--.x y", "x-y"},
	};
	char request[1024], expected[256];
	struct result *r;

	(void)state;
	r = cli(ARGS("attach", "-s", sock, "--mode=audit", "/x/y", "--set", "stale=open"));
	EXIT(r, 0);
	assert_string_equal(r->out, "gate y: attached to /x/y, mode audit\n");
	last_request(request, sizeof(request));
	assert_string_equal(request, "{\"args\":{\"cgroup\":\"/x/y\",\"name\":\"y\",\"root\":false,"
				     "\"settings\":{"
				     "\"mode\":\"audit\",\"stale\":\"open\"},\"transient\":false},"
				     "\"command\":\"attach\"}");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		EXIT(cli(ARGS("-s", sock, "attach", "--", names[i][0])), 0);
		last_request(request, sizeof(request));
		snprintf(expected, sizeof(expected), "\"name\":\"%s\"", names[i][1]);
		HAS(request, expected);
	}
	EXIT(cli(ARGS("-s", sock, "attach", "/", "--root")), 0);
	last_request(request, sizeof(request));
	HAS(request, "\"root\":true");
	EXIT(cli(ARGS("-s", sock, "detach", "y")), 0);
	last_request(request, sizeof(request));
	assert_string_equal(request, "{\"args\":{\"name\":\"y\"},\"command\":\"detach\"}");
}

static void status_is_shown_for_people_and_as_it_came(void **state)
{
	struct result *r = cli(ARGS("-s", sock, "status"));
	json_t *o, *expected = json_loads(status_json, 0, NULL);

	(void)state;
	EXIT(r, 0);
	HAS(r->out, "sagate 0.1.0: unhealthy, pid 7, up 1h 1m\n");
	HAS(r->out, "space blue is?[31m stale");
	HAS(r->out, "SPACE  STATE  SYNCED        POLICIES");
	HAS(r->out, "host   -      no (overrun)  3 ");
	HAS(r->out, "negotiations: 3 started, 2 established, 1 failed, 0 active\n");
	assert_null(strchr(r->out, '\033'));
	r = cli(ARGS("-s", sock, "status", "--json"));
	o = only_json(r);
	assert_true(json_equal(o, expected));
	json_decref(o);
	json_decref(expected);
}

static void metrics_are_prometheus_text(void **state)
{
	struct result *r = cli(ARGS("-s", sock, "status", "--metrics"));

	(void)state;
	EXIT(r, 0);
	HAS(r->out, "# TYPE sagate_gate_refused_total counter\n"
		    "sagate_gate_refused_total{gate=\"a\\\"b\\\\c\\n\"} 5\n");
	HAS(r->out, "sagate_verdicts_total{gate=\"a\\\"b\\\\c\\n\",verdict=\"protected\"} 10\n");
	HAS(r->out, "sagate_reasons_total{gate=\"a\\\"b\\\\c\\n\",reason=\"no-sa\"} 5\n");
	HAS(r->out, "sagate_space_synced{space=\"host\"} 0\n");
	HAS(r->out, "sagate_space_last_sync_seconds{space=\"host\"} 1.25\n");
	HAS(r->out, "sagate_info{version=\"0.1.0\",abi=\"1\"} 1\n");
	HAS(r->out, "sagate_negotiations_started_total 3\n");
	for (char *line = strtok(r->out, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, "# HELP sagate_", 14) && strncmp(line, "# TYPE sagate_", 14) &&
		    strncmp(line, "sagate_", 7))
			fail_msg("no sample: %s", line);
}

static void lists_are_tables_that_bear_missing_fields(void **state)
{
	struct result *r = cli(ARGS("-s", sock, "show", "spd", "--space", "blue"));
	char request[256];

	(void)state;
	EXIT(r, 0);
	HAS(r->out, "SPACE  SRC          DST          PROTO  SPORT  DPORT  DIR  PRIORITY");
	HAS(r->out,
	    "-      10.0.0.1/32  10.0.0.2/32  *      *      80     out  7         9      allow   "
	    "esp/tunnel reqid 1 10.0.0.1 → 10.0.0.2 spi 0x01 optional\n");
	HAS(r->out, "\n-      -            -            *      *      *      -    ");
	last_request(request, sizeof(request));
	assert_string_equal(
		request, "{\"args\":{\"space\":\"blue\",\"what\":\"spd\"},\"command\":\"show\"}");
	/* a column that no row has anything for is left out */
	r = cli(ARGS("-s", sock, "show", "sad"));
	EXIT(r, 0);
	HAS(r->out, "SPI   REQID  MODE  MARK      DIR  EXPIRES-IN\n");
	HAS(r->out, "0x01  -      -     -         -    -\n");
	HAS(r->out, "0x02  -      -     0x5/0xff  -    -\n");
	last_request(request, sizeof(request));
	HAS(request, "\"space\":null");
}

static void explain_ends_with_the_verdict(void **state)
{
	static const struct {
		const char *mark;
		int status;
	} rows[] = {{"0", 0}, {"1", 0}, {"2", 3}, {"0x3", 4}, {"4", 1}};
	char request[512];
	struct result *r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EXIT(cli(ARGS("-s", sock, "explain", "tcp", "[::1]:443", "--mark", rows[i].mark)),
		     rows[i].status);
		EXIT(cli(ARGS("-s", sock, "explain", "tcp", "::1", "--json", "--mark",
			      rows[i].mark)),
		     rows[i].status);
	}
	r = cli(ARGS("-s", sock, "explain", "tcp", "[::1]:443", "--mark", "2", "--from", "[::2]:5",
		     "--dev", "lo", "--gate", "g"));
	HAS(r->out, "wait (no-sa): no SA to that address");
	HAS(r->out, "  flow         tcp → [::1]:443\n");
	HAS(r->out, "esp/tunnel reqid 3: no usable SA: no-sa\n");
	HAS(r->out, "  requirement  dc2\n");
	HAS(r->out, "  negotiation  failed: peer is away\n");
	last_request(request, sizeof(request));
	HAS(request, "\"dev\":\"lo\",\"dport\":443,\"dst\":\"::1\",\"gate\":\"g\",\"ifindex\":1,"
		     "\"mark\":2,\"netns\":");
	HAS(request, "\"proto\":6,\"sport\":5,\"src\":\"::2\"}");
	r = cli(ARGS("-s", sock, "explain", "tcp", "::1", "--dev", "no-such-device"));
	EXIT(r, 1);
	HAS(r->err, "no such device");
	EXIT(cli(ARGS("-s", sock, "explain", "tcp", "::1", "--netns", "no-such-netns")), 1);
}

/* All of it is an address, and perhaps the last part is meant as a port. */
static void an_address_that_may_be_meant_with_a_port_is_said_to_have_none(void **state)
{
	static const struct {
		const char *proto, *dst;
		bool said;
	} rows[] = {
		{"tcp", "2001:db8::1:443", true}, {"udp", "2001:db8::1", true},
		{"tcp", "[2001:db8::1]", false},  {"tcp", "[2001:db8::1]:443", false},
		{"tcp", "192.0.2.1", false},	  {"icmpv6", "2001:db8::1", false},
	};
	struct result *r;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = cli(ARGS("-s", sock, "explain", rows[i].proto, rows[i].dst));
		EXIT(r, 0);
		if (!rows[i].said)
			assert_string_equal(r->err, "");
		else
			HAS(r->err, "is taken as an address without a port; with one it is "
				    "[ADDRESS]:PORT\n");
	}
	r = cli(ARGS("-s", sock, "explain", "tcp", "2001:db8::1:443", "--json"));
	assert_string_equal(r->err, "");
}

static void wait_ends_with_the_verdict_or_its_time(void **state)
{
	static const struct {
		const char *mark;
		int status;
	} rows[] = {{"0", 0}, {"1", 0}, {"2", 3}, {"0x3", 4}, {"4", 1}};
	char request[512];
	struct result *r;
	json_t *o;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = cli(ARGS("-s", sock, "wait", "tcp", "[::1]:443", "--mark", rows[i].mark,
			     "--timeout", "30ms"));
		EXIT(r, rows[i].status);
		HAS(r->out, "  waited       0.0");
		assert_string_equal(r->err, i == 1 ? "sagate: tcp → [::1]:443 passes in clear: "
						     "no-sa (no reason was given)\n"
						   : "");
	}
	r = cli(ARGS("-s", sock, "wait", "tcp", "::1", "--mark", "2", "--timeout", "0", "--json"));
	EXIT(r, 3);
	o = only_json(r);
	assert_string_equal(json_get_text(o, "verdict"), "wait");
	assert_true(json_is_real(json_object_get(o, "waited_s")));
	json_decref(o);
	last_request(request, sizeof(request));
	HAS(request, "\"command\":\"wait\"");
	HAS(request, "\"timeout_ms\":0}");
	/* the answer of a piece is not the last word while there is time */
	EXIT(cli(ARGS("-s", sock, "wait", "tcp", "::1", "--gate", "slow", "--timeout", "3600")), 0);
	last_request(request, sizeof(request));
	HAS(request, "\"timeout_ms\":20000}");
	EXIT(cli(ARGS("-s", "/nonexistent", "wait", "tcp", "::1", "--timeout", "3600")), 1);
}

static void wait_for_a_protected_flow_does_not_take_a_clear_one(void **state)
{
	static const struct {
		const char *mark;
		int status;
	} rows[] = {{"0", 0}, {"1", 4}, {"2", 3}, {"3", 4}};
	struct result *r;
	json_t *o;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EXIT(cli(ARGS("-s", sock, "wait", "tcp", "::1", "--mark", rows[i].mark, "--timeout",
			      "0", "--protected")),
		     rows[i].status);
	r = cli(ARGS("-s", sock, "wait", "tcp", "[::1]:1", "--mark", "1", "--protected"));
	HAS(r->err, "would go in clear, which --protected does not take: no-sa");
	r = cli(ARGS("-s", sock, "wait", "tcp", "::1", "--mark", "1", "--protected", "--json"));
	EXIT(r, 4);
	o = only_json(r);
	assert_string_equal(json_get_text(o, "verdict"), "clear");
	json_decref(o);
}

static void protocols_and_a_source_port_alone_are_sent(void **state)
{
	char request[512];

	(void)state;
	EXIT(cli(ARGS("-s", sock, "explain", "udplite", "192.0.2.1:5", "--from", ":4500")), 0);
	last_request(request, sizeof(request));
	HAS(request, "\"proto\":136,\"sport\":4500}");
	EXIT(cli(ARGS("-s", sock, "explain", "ospf", "192.0.2.1", "--from", "::1")), 2);
	EXIT(cli(ARGS("-s", sock, "explain", "gre", "2001:db8::1", "--from", "::1")), 0);
	last_request(request, sizeof(request));
	HAS(request, "\"proto\":47,\"src\":\"::1\"}");
}

/* Lines come while it runs, not when it ends. */
static void watch_prints_each_event_at_once(void **state)
{
	static struct result r;
	char *line;
	json_t *o;

	(void)state;
	for (int json = 0; json < 2; json++) {
		start(&r, json ? ARGS("-s", sock, "watch", "--json") : ARGS("-s", sock, "watch"));
		for (int n = 0; n < 1000 && lseek(r.out_fd, 0, SEEK_END) < 500; n++)
			usleep(10000);
		kill(r.pid, SIGKILL);
		finish(&r);
		line = strtok(r.out, "\n");
		if (json) {
			o = json_loads(line, 0, NULL);
			assert_string_equal(json_get_text(o, "event"), "verdict");
			json_decref(o);
		} else {
			assert_string_equal(line, "03:04:05 verdict     wait no-sa  tcp 10.0.0.1 → "
						  "10.0.0.2:80  gate g curl[42] EAGAIN");
		}
	}
}

static void watch_ends_with_the_daemon(void **state)
{
	static struct result r;

	(void)state;
	start(&r, ARGS("-s", sock, "watch"));
	for (int n = 0; n < 1000 && lseek(r.out_fd, 0, SEEK_END) < 10; n++)
		usleep(10000);
	stop_daemon(NULL);
	finish(&r);
	start_daemon(NULL);
	EXIT(&r, 1);
	HAS(r.err, "went away");
}

static void doctor_joins_its_own_findings_and_the_daemons(void **state)
{
	struct result *r = cli(ARGS("-s", sock, "doctor", "--json", "-c", "/nonexistent.conf"));
	const json_t *one;
	json_t *o = only_json(r);
	int seen = 0;
	size_t i;

	(void)state;
	EXIT(r, 1); /* that configuration is not there */
	assert_false(json_get_bool(o, "ok"));
	json_array_foreach(json_get_array(o, "checks"), i, one) {
		const char *check = json_get_text(one, "check");
		const char *status = json_get_text(one, "status");

		assert_non_null(json_get_text(one, "message"));
		seen += !strcmp(check, "configuration") && !strcmp(status, "fail");
		seen += !strcmp(check, "daemon") && !strcmp(status, "ok");
		seen += !strcmp(check, "x") && !strcmp(status, "warn");
	}
	assert_int_equal(seen, 3);
	json_decref(o);
	r = cli(ARGS("-s", sock, "doctor", "-c", "/nonexistent.conf"));
	EXIT(r, 1);
	HAS(r->out, "fail  configuration   /nonexistent.conf: cannot open");
}

static void what_goes_wrong_with_the_daemon_is_said_in_words(void **state)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	static const struct {
		const char *answer, *error;
	} rows[] = {
		{"{\"resu", "went away before its answer was whole"},
		{"", "went away before its answer was whole"},
		{"hello\n", "is no daemon of sagate"},
		{"{}\n", "neither a result nor an error"},
		{"{\"error\":{}}\n", "did not say why"},
	};
	static struct result r;
	char request[256];

	(void)state;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/bad", dir);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	EXIT(cli(ARGS("-s", sa.sun_path, "status")), 1); /* nobody listens */
	assert_int_equal(listen(listener, 5), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start(&r, ARGS("-s", sa.sun_path, "status"));
		fd = accept(listener, NULL, NULL);
		assert_true(recv(fd, request, sizeof(request), 0) > 0);
		assert_true(send(fd, rows[i].answer, strlen(rows[i].answer), 0) >= 0);
		close(fd);
		finish(&r);
		EXIT(&r, 1);
		HAS(r.err, rows[i].error);
	}
	close(listener);
	unlink(sa.sun_path);
}

static void the_daemon_gets_its_configuration(void **state)
{
	char path[96];
	struct result *r;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/conf", dir);
	f = fopen(path, "w");
	fputs("[gate \"g\"]\ncgroup=/g\n", f);
	fclose(f);
	r = cli(ARGS("daemon", "-c", path));
	EXIT(r, 0);
	HAS(r->out, "/run/sagate/control.sock ");
	HAS(r->out, "/conf 1\n");
	HAS(cli(ARGS("-s", "/other", "daemon", "-c", path))->out, "/other ");
	f = fopen(path, "a");
	fputs("[gate \"h\"]\ncgroup=/h\n", f);
	fclose(f);
	r = cli(ARGS("daemon", "-c", path));
	EXIT(r, 1);
	assert_string_equal(r->err, "sagate: it does not start\n");
	f = fopen(path, "a");
	fputs("hello\n", f);
	fclose(f);
	r = cli(ARGS("daemon", "-c", path));
	EXIT(r, 1);
	HAS(r->err, "/conf:5: expected KEY=VALUE");
	assert_string_equal(r->out, "");
	EXIT(cli(ARGS("daemon", "-c", "/nonexistent")), 1);
	unlink(path);
}

static void help_and_completion_come_from_the_table(void **state)
{
	struct result *r = cli(ARGS("--help"));

	(void)state;
	EXIT(r, 0);
	for (size_t i = 0; cli_commands[i]; i++)
		HAS(r->out, cli_commands[i]->name);
	for (size_t i = 0; cli_commands[i]; i++)
		EXIT(cli(ARGS("help", cli_commands[i]->name)), 0);
	r = cli(ARGS("run", "--help"));
	EXIT(r, 0);
	HAS(r->out, "usage: sagate [-s PATH] run [--name NAME] [--mode MODE] [--set KEY=VALUE]… -- "
		    "COMMAND…");
	r = cli(ARGS("--version"));
	EXIT(r, 0);
	HAS(r->out, "sagate " SAGATE_VERSION " (ABI ");
	r = cli(ARGS("help", "--completion", "bash"));
	EXIT(r, 0);
	HAS(r->out,
	    "\tshow) words='gates spaces spd sad requirements negotiations holds --space --json' ;;");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_line_is_usage_and_names_what_is_wrong),
		cmocka_unit_test(errors_are_json_with_json),
		cmocka_unit_test(attach_sends_what_was_asked),
		cmocka_unit_test(status_is_shown_for_people_and_as_it_came),
		cmocka_unit_test(metrics_are_prometheus_text),
		cmocka_unit_test(lists_are_tables_that_bear_missing_fields),
		cmocka_unit_test(explain_ends_with_the_verdict),
		cmocka_unit_test(an_address_that_may_be_meant_with_a_port_is_said_to_have_none),
		cmocka_unit_test(wait_ends_with_the_verdict_or_its_time),
		cmocka_unit_test(wait_for_a_protected_flow_does_not_take_a_clear_one),
		cmocka_unit_test(protocols_and_a_source_port_alone_are_sent),
		cmocka_unit_test(watch_prints_each_event_at_once),
		cmocka_unit_test(watch_ends_with_the_daemon),
		cmocka_unit_test(doctor_joins_its_own_findings_and_the_daemons),
		cmocka_unit_test(what_goes_wrong_with_the_daemon_is_said_in_words),
		cmocka_unit_test(the_daemon_gets_its_configuration),
		cmocka_unit_test(help_and_completion_come_from_the_table),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

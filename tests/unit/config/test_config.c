// SPDX-License-Identifier: GPL-2.0-only
/* Every key with a value that is taken and one that is refused, and what the error says. */
/* needs: loader/config.c loader/config_check.c loader/config_key.c loader/config_parse.c */
/* needs: loader/config_section.c loader/config_settings.c loader/config_value.c */
/* needs: loader/units.c loader/error.c loader/log.c */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "cleanup.h"
#include "config.h"

#define G "[gate \"g\"]\ncgroup=/g\n"
#define R "[require \"r\"]\nto=10.0.0.0/8\n"
#define S "[space \"s\"]\nnetns=s\n"

#define N8  "abcdefgh"
#define N64 N8 N8 N8 N8 N8 N8 N8 N8

static int parse(const char *text, struct config *c, struct error *e)
{
	return config_parse("f", text, strlen(text), c, e);
}

/* One row: text that is taken, its twin that is not, and the start of the twin's error. */
static const struct {
	const char *good, *bad, *error;
} rows[] = {
	{"[daemon]\ncontrol=/run/x.sock\n", "[daemon]\ncontrol=x.sock\n",
	 "f:2: control=\"x.sock\": expected the absolute path of a socket"},
	{"[daemon]\ncontrol=/x\n", "[daemon]\ncontrol=/" N64 N64 "\n", "f:2: control=\"/abc"},
	{"[daemon]\npin=/sys/fs/bpf/x\n", "[daemon]\npin=/sys/../x\n",
	 "f:2: pin=\"/sys/../x\": expected an absolute path without \"..\""},
	{"[daemon]\nlog-level=debug\n", "[daemon]\nlog-level=loud\n",
	 "f:2: log-level=\"loud\": expected error, warning, notice, info or debug"},
	{"[daemon]\npolicies-max=1\n", "[daemon]\npolicies-max=0\n",
	 "f:2: policies-max=\"0\": expected a number from 1 to 4194304"},
	{"[daemon]\nsas-max=4194304\n", "[daemon]\nsas-max=4194305\n",
	 "f:2: sas-max=\"4194305\": expected a number"},
	{"[daemon]\nroutes-max=10\n", "[daemon]\nroutes-max=10k\n",
	 "f:2: routes-max=\"10k\": expected a number"},
	{"[daemon]\nroutes-max=10\n", "[daemon]\nroutes-max=-1\n",
	 "f:2: routes-max=\"-1\": expected a number"},
	{"[daemon]\nsas-max=000004096\n", "[daemon]\nsas-max=18446744073709551617\n",
	 "f:2: sas-max=\"18446744073709551617\": expected a number"},
	{"[ike]\nvici=unix:///run/v\n", "[ike]\nvici=/run/v\n",
	 "f:2: vici=\"/run/v\": expected unix:///PATH"},
	{"[ike]\nvici=unix:///v\n", "[ike]\nvici=tcp://127.0.0.1:4502\n", "f:2: vici=\"tcp"},
	{"[ike]\ntrigger=acquire\n", "[ike]\ntrigger=trap\n",
	 "f:2: trigger=\"trap\": expected vici or acquire"},
	{"[ike]\ntimeout=5s\n", "[ike]\ntimeout=5\n",
	 "f:2: timeout=\"5\": expected a duration from 1s to 1h"},
	{"[ike]\ntimeout=1h\n", "[ike]\ntimeout=2h\n", "f:2: timeout=\"2h\": expected"},
	{"[ike]\ntimeout=1s\n", "[ike]\ntimeout=0\n", "f:2: timeout=\"0\": expected"},
	{"[ike]\nbackoff=500ms..2m\n", "[ike]\nbackoff=2m..1s\n",
	 "f:2: backoff=\"2m..1s\": expected two durations"},
	{"[ike]\nbackoff=1s..1s\n", "[ike]\nbackoff=1s\n", "f:2: backoff=\"1s\": expected"},
	{"[ike]\nrequire-children=no\n", "[ike]\nrequire-children=true\n",
	 "f:2: require-children=\"true\": expected yes or no"},
	{"[defaults]\nmode=audit\n", "[defaults]\nmode=enforce\n",
	 "f:2: mode=\"enforce\": expected reject, hold or audit"},
	{"[defaults]\nmode=hold\n", "[defaults]\nmode=Hold\n",
	 "f:2: mode=\"Hold\": expected reject, hold or audit"},
	{"[defaults]\nhold-timeout=10ms\n", "[defaults]\nhold-timeout=9ms\n",
	 "f:2: hold-timeout=\"9ms\": expected a duration from 10ms to 1h"},
	{"[defaults]\nhold-nonblocking=queue\n", "[defaults]\nhold-nonblocking=yes\n",
	 "f:2: hold-nonblocking=\"yes\": expected hold, reject or queue"},
	{"[defaults]\nhold-nonblocking-timeout=1h\n", "[defaults]\nhold-nonblocking-timeout=2h\n",
	 "f:2: hold-nonblocking-timeout=\"2h\": expected a duration"},
	{"[defaults]\nhold-max=1\n", "[defaults]\nhold-max=0\n",
	 "f:2: hold-max=\"0\": expected a number from 1 to 32768"},
	{"[defaults]\nhold-max=32768\n", "[defaults]\nhold-max=32769\n",
	 "f:2: hold-max=\"32769\": expected a number"},
	{"[defaults]\nnegotiations-max=16384\n", "[defaults]\nnegotiations-max=16385\n",
	 "f:2: negotiations-max=\"16385\": expected a number from 1 to 16384"},
	{"[defaults]\nhold-max=2\n", "[defaults]\nhold-max=-2\n",
	 "f:2: hold-max=\"-2\": expected a number"},
	{"[defaults]\nno-policy=deny\n", "[defaults]\nno-policy=reject\n",
	 "f:2: no-policy=\"reject\": expected allow or deny"},
	{"[defaults]\nstale=open\n", "[defaults]\nstale=yes\n",
	 "f:2: stale=\"yes\": expected open or closed"},
	{"[defaults]\nerrno-waiting=ENOBUFS\n", "[defaults]\nerrno-waiting=ERESTARTSYS\n",
	 "f:2: errno-waiting=\"ERESTARTSYS\": expected an errno"},
	{"[defaults]\nerrno-failed=ENETUNREACH\n", "[defaults]\nerrno-failed=113\n",
	 "f:2: errno-failed=\"113\": expected an errno"},
	{"[defaults]\nerrno-denied=EPERM\n", "[defaults]\nerrno-denied=EWHAT\n",
	 "f:2: errno-denied=\"EWHAT\": expected an errno"},
	{"[defaults]\nspd=host\n", "[defaults]\nspd=blue\n",
	 "f:2: spd=\"blue\": expected host or own"},
	{"[defaults]\nmode=audit\n", "[defaults]\nhold-time=30s\n",
	 "f:2: hold-time: no such key in this section, expected one of mode"},
	{G, "[gate \"g\"]\nmode=audit\n", "f:1: [gate \"g\"] needs cgroup=/PATH"},
	{G, "[gate \"g\"]\n", "f:1: [gate \"g\"] needs cgroup=/PATH"},
	{G, "[gate \"g\"]\ncgroup=g\n", "f:2: cgroup=\"g\": expected an absolute path"},
	{G, "[gate \"g\"]\ncgroup=\n", "f:2: cgroup= has no value"},
	{G, G "cgroup=/h\n", "f:3: cgroup= is there twice"},
	{G "mode=audit\n", G "mode=audit\nmode=reject\n", "f:4: mode= is there twice"},
	{G "mode=audit\n", G "mode=on\n", "f:3: mode=\"on\": expected"},
	{G "[gate \"h\"]\ncgroup=/h\n", G "[gate \"g\"]\ncgroup=/h\n",
	 "f:3: [gate \"g\"] was there already, at line 1"},
	{G "[gate \"h\"]\ncgroup=/g/h\n", G "[gate \"h\"]\ncgroup=/g/\n",
	 "f:3: [gate \"h\"]: cgroup=/g is the gate \"g\" already, at line 1"},
	{"[gate \"" N64 "\"]\ncgroup=/g\n", "[gate \"" N64 "x\"]\ncgroup=/g\n",
	 "f:1: [gate \"" N64 "x\"]: expected a name"},
	{"[gate \"a.b_c-D9\"]\ncgroup=/g\n", "[gate \".b\"]\ncgroup=/g\n",
	 "f:1: [gate \".b\"]: expected a name"},
	{"[gate \"b-\"]\ncgroup=/g\n", "[gate \"-b\"]\ncgroup=/g\n",
	 "f:1: [gate \"-b\"]: expected"},
	{"[gate \"b\"]\ncgroup=/g\n", "[gate \"a/b\"]\ncgroup=/g\n",
	 "f:1: [gate \"a/b\"]: expected"},
	{"[gate \"b\"]\ncgroup=/g\n", "[gate \"\"]\ncgroup=/g\n", "f:1: [gate \"\"]: expected"},
	{"[gate \"b\"]\ncgroup=/g\n", "[gate]\ncgroup=/g\n", "f:1: [gate]: expected a name"},
	{"[gate \"b\"]\ncgroup=/g\n", "[gate b]\ncgroup=/g\n", "f:1: bad section line"},
	{"[ gate \"b\" ] ; why\ncgroup=/g\n", "[gate \"b\"] why\ncgroup=/g\n",
	 "f:1: bad section line"},
	{"[ike]\n", "[ike \"x\"]\n", "f:1: [ike \"x\"]: expected [ike], without a name"},
	{"[ike]\n", "[ike\n", "f:1: bad section line"},
	{"[ike]\n", "[ipsec]\n", "f:1: [ipsec]: no such section, expected one of [daemon] [ike]"},
	{"[ike]\n[daemon]\n", "[ike]\n[daemon]\n[ike]\n",
	 "f:3: [ike] was there already, at line 1"},
	{R, "[require \"r\"]\nfrom=10.0.0.0/8\n", "f:1: [require \"r\"] needs to=PREFIX"},
	{R, "[require \"r\"]\n", "f:1: [require \"r\"] needs to=PREFIX"},
	{R, "[require \"r\"]\nto=10.0.0.1/8\n",
	 "f:2: to=\"10.0.0.1/8\": expected an address or a prefix"},
	{"[require \"r\"]\nto=10.0.0.1\n", "[require \"r\"]\nto=host.example\n",
	 "f:2: to=\"host.example\": expected"},
	{"[require \"r\"]\nto=::/0\nfrom=fe80::/10\n", R "from=fe80::/10\n",
	 "f:1: [require \"r\"]: from= and to= are of two address families"},
	{R "proto=tcp\nport=443\n", R "port=443\n", "f:1: [require \"r\"]: port= needs a proto="},
	{R "proto=icmp\n", R "proto=icmp\nport=8\n", "f:1: [require \"r\"]: port= needs a proto="},
	{R "proto=gre\n", R "proto=GRE\n", "f:3: proto=\"GRE\": expected tcp, udp"},
	{R "proto=1\n", R "proto=0\n", "f:3: proto=\"0\": expected tcp, udp"},
	{R "from=10.1.0.0/16, 10.2.0.1\n", R "from=10.1.0.0/16,,10.2.0.1\n",
	 "f:3: from=\"10.1.0.0/16,,10.2.0.1\": expected an address or a prefix"},
	{R "from=10.1.0.0/16\n", R "from=10.1.0.0/16,\n", "f:3: from=\"10.1.0.0/16,\": expected"},
	{R "from=10.1.0.0/16\n", R "from=10.1.0.0/16,::1\n", "f:3: from=\"10.1.0.0/16,::1\""},
	{R "proto=udp\nport=1-9\n", R "proto=udp\nport=9-1\n",
	 "f:4: port=\"9-1\": expected a port"},
	{R "proto=udp\nport=1,2\n", R "proto=udp\nport=1,x\n",
	 "f:4: port=\"1,x\": expected a port"},
	{R "proto=udp\nport=1,2\n", R "proto=udp\nport=1-65536\n", "f:4: port=\"1-65536\""},
	{R "proto=udp\nsport=7\n", R "sport=7\n", "f:1: [require \"r\"]: sport= needs a proto="},
	{R "proto=udp\nport=1\n", R "proto=udp\nport=0\n", "f:4: port=\"0\": expected a port"},
	{R "child=a/b\n", R "child=b\n", "f:3: child=\"b\": expected CONNECTION/CHILD"},
	{R "child=a/b\n", R "child=a/b/c\n", "f:3: child=\"a/b/c\": expected"},
	{R "space=s\n" S, R "space=t\n" S,
	 "f:1: [require \"r\"]: space=t: there is no [space \"t\"] in this file"},
	{R "[require \"q\"]\nto=::1\n", R "[require \"r\"]\nto=::1\n",
	 "f:3: [require \"r\"] was there already"},
	{S, "[space \"s\"]\nvici=unix:///v\n", "f:1: [space \"s\"] needs netns="},
	{S, "[space \"s\"]\nnetns=a/b\n", "f:2: netns=\"a/b\": expected a name"},
	{"[space \"s\"]\nnetns=/run/netns/a\n", "[space \"s\"]\nnetns=..\n", "f:2: netns=\"..\""},
	{"[space \"host\"]\nvici=unix:///v\n", "[space \"host\"]\nnetns=x\n",
	 "f:2: netns=\"x\": the space \"host\" is the daemon's own namespace"},
	{S "[space \"host\"]\n", "[space \"host\"]\n" S "[space \"host\"]\n",
	 "f:4: [space \"host\"] was there already, at line 1"},
	{S "[space \"t\"]\nnetns=t\n", S "[space \"t\"]\nnetns=s\n",
	 "f:3: [space \"t\"]: netns=s is the space \"s\" already"},
	{"[daemon]\ndefault-block=yes\n", "[daemon]\ndefault-block=on\n",
	 "f:2: default-block=\"on\": expected yes, no, or a list of out, in and fwd"},
	{"[daemon]\ndefault-block=fwd, in,out\n", "[daemon]\ndefault-block=out,\n",
	 "f:2: default-block=\"out,\": expected"},
	{S "default-block=in\n", S "default-block=in,in\n",
	 "f:3: default-block=\"in,in\": expected"},
	{"[space \"host\"]\ndefault-block=no\n", "[space \"host\"]\ndefault-block=no,out\n",
	 "f:2: default-block=\"no,out\": expected"},
	{"# c\n; c\n\n[ike]\n", "mode=audit\n", "f:1: mode= stands before the first [SECTION]"},
	{"\xef\xbb\xbf[ike]\r\ntimeout=2s\r\n", "[ike]\nhello\n", "f:2: expected KEY=VALUE"},
	{"[ike]\n  timeout = 2s ; c\n", "[ike]\ntimeout = 2s # c\n",
	 "f:2: timeout=\"2s # c\": a comment behind a value begins with ;"},
	{"[ike]\ntimeout=2s\n   backoff=1s..2s\n", "[ike]\ntimeout=2s\n   1s..2s\n",
	 "f:3: expected KEY=VALUE"},
	{"[ike]\n", "[ike]\n=2s\n", "f:2: : no such key in this section"},
	{"[ike]\n", "[ike]\ntimeout_=2s\n", "f:2: timeout_: no such key"},
	{"[ike]\n", "[ike]\nTimeout=2s\n", "f:2: Timeout: no such key"},
	{G, "[gate \"g\"]\ncgroup=/" N64 N64 N64 "\n", "f:2: the line is longer than 198 bytes"},
	/* the first error is the one that is told */
	{G, "[ike]\nhello\ntimeout=x\n", "f:2: expected KEY=VALUE"},
	{G, "[ike]\ntimeout=x\nhello\n", "f:2: timeout=\"x\": expected"},
};

static void what_is_valid_is_taken_and_its_twin_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config c = {}, before = {};
		struct error e = {};

		if (parse(rows[i].good, &c, &e) != 0)
			fail_msg("row %zu: %s", i, e.message);
		config_free(&c);
		assert_memory_equal(&c, &before, sizeof(c));
		assert_true(parse(rows[i].bad, &c, &e) < 0);
		assert_memory_equal(&c, &before, sizeof(c));
		assert_string_equal(e.code, CONFIG_CODE);
		if (strncmp(e.message, rows[i].error, strlen(rows[i].error)))
			fail_msg("row %zu: \"%s\" is not \"%s…\"", i, e.message, rows[i].error);
	}
}

static void a_space_has_the_daemons_default_block_or_its_own(void **state)
{
	struct config c = {};

	(void)state;
	assert_int_equal(parse("[space \"a\"]\nnetns=a\n[space \"b\"]\nnetns=b\ndefault-block=in, "
			       "fwd\n[space \"c\"]\nnetns=c\ndefault-block=no\n[daemon]\n"
			       "default-block=yes\n",
			       &c, NULL),
			 0);
	assert_int_equal(c.spaces[0].default_block, BLOCK_OUT);
	assert_int_equal(c.spaces[1].default_block, BLOCK_OUT);
	assert_int_equal(c.spaces[2].default_block, BLOCK_IN | BLOCK_FWD);
	assert_int_equal(c.spaces[3].default_block, 0);
	config_free(&c);
}

static void an_empty_file_is_the_defaults(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(parse("", &c, NULL), 0);
	assert_string_equal(c.control, "/run/sagate/control.sock");
	assert_string_equal(c.pin, "/sys/fs/bpf/sagate");
	assert_int_equal(c.log_level, LOG_INFO);
	assert_int_equal(c.policies_max, 262144);
	assert_int_equal(c.sas_max, 262144);
	assert_int_equal(c.routes_max, 131072);
	assert_int_equal(c.trigger, TRIGGER_VICI);
	assert_true(c.ike_timeout == 30000000000ULL);
	assert_true(c.backoff_min == 1000000000ULL && c.backoff_max == 60000000000ULL);
	assert_true(c.require_children);
	assert_int_equal(c.defaults.set, 0);
	assert_int_equal(c.defaults.mode, MODE_REJECT);
	assert_true(c.defaults.allow_no_policy);
	assert_false(c.defaults.stale_open);
	assert_false(c.defaults.spd_host);
	assert_int_equal(c.defaults.errno_waiting, EAGAIN);
	assert_int_equal(c.defaults.errno_failed, EHOSTUNREACH);
	assert_int_equal(c.defaults.errno_denied, EACCES);
	assert_int_equal(c.space_count, 1);
	assert_string_equal(c.spaces[0].name, "host");
	assert_null(c.spaces[0].netns);
	assert_string_equal(c.spaces[0].vici, "/run/charon.vici");
	config_free(&c);
}

static void gates_inherit_defaults_wherever_these_stand(void **state)
{
	static const char text[] =
		"[gate \"a\"]\ncgroup=/a/\n[gate \"b\"]\ncgroup=/b\nmode=reject\nstale=closed\n"
		"[defaults]\nmode=audit\nstale=open\nerrno-denied=EPERM\n";
	struct config c;

	(void)state;
	assert_int_equal(parse(text, &c, NULL), 0);
	assert_int_equal(c.gate_count, 2);
	assert_string_equal(c.gates[0].cgroup, "/a");
	assert_int_equal(c.gates[0].settings.mode, MODE_AUDIT);
	assert_true(c.gates[0].settings.stale_open);
	assert_int_equal(c.gates[1].settings.mode, MODE_REJECT);
	assert_false(c.gates[1].settings.stale_open);
	assert_int_equal(c.gates[1].settings.errno_denied, EPERM);
	config_free(&c);
}

static void values_arrive_as_they_were_written(void **state)
{
	static const char text[] =
		"[ike]\nvici=unix:///a\nbackoff=100ms..1h\n"
		"[require \"r\"]\nto=10.2.0.0/16,10.3.0.1\n"
		"from=10.1.0.0/16, 10.9.0.0/24\t,10.1.2.3\nproto=tcp\n"
		"port=443, 1024-2047\nsport=1-65535\n"
		"child=conn/child\nspace=s\n[space \"s\"]\nnetns=17\nvici=unix:///b\n"
		"[space \"host\"]\n";
	const struct config_require *q;
	struct config c;

	(void)state;
	assert_int_equal(parse(text, &c, NULL), 0);
	q = c.requires;
	assert_int_equal(c.require_count, 1);
	assert_int_equal(q->to_count, 2);
	assert_int_equal(q->to[0].len, 16);
	assert_int_equal(q->to[0].addr[0], htonl(0x0a020000));
	assert_int_equal(q->to[1].len, 32);
	assert_int_equal(q->from_count, 3);
	assert_int_equal(q->from[0].addr[0], htonl(0x0a010000));
	assert_int_equal(q->from[2].addr[0], htonl(0x0a010203));
	assert_int_equal(q->proto, 6);
	assert_int_equal(q->port_count, 2);
	assert_int_equal(q->port[0].from, 443);
	assert_int_equal(q->port[0].to, 443);
	assert_int_equal(q->port[1].from, 1024);
	assert_int_equal(q->port[1].to, 2047);
	assert_int_equal(q->sport_count, 1);
	assert_string_equal(q->conn, "conn");
	assert_string_equal(q->child, "child");
	assert_string_equal(q->space, "s");
	assert_int_equal(c.space_count, 2);
	assert_string_equal(c.spaces[0].vici, "/a");
	assert_string_equal(c.spaces[1].netns, "17");
	assert_string_equal(c.spaces[1].vici, "/b");
	config_free(&c);
}

static void the_hosts_own_section_wins_over_ike(void **state)
{
	struct config c;

	(void)state;
	assert_int_equal(
		parse("[space \"host\"]\nvici=unix:///h\n[ike]\nvici=unix:///i\n", &c, NULL), 0);
	assert_string_equal(c.spaces[0].vici, "/h");
	config_free(&c);
}

static void the_limit_of_a_line_is_exact(void **state)
{
	char text[512];
	struct config c;
	struct error e;

	(void)state;
	for (int len = CONFIG_LINE_MAX; len <= CONFIG_LINE_MAX + 1; len++) {
		snprintf(text, sizeof(text), "[gate \"g\"]\ncgroup=/%0*d\n", len - 8, 0);
		if (len > CONFIG_LINE_MAX) {
			assert_int_equal(parse(text, &c, &e), -EINVAL);
			assert_string_equal(e.message, "f:2: the line is longer than 198 bytes");
			continue;
		}
		assert_int_equal(parse(text, &c, &e), 0);
		assert_int_equal(strlen(c.gates[0].cgroup), len - 7);
		config_free(&c);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	static const char text[] = "[ike]\ntimeout=2s\0\n";
	struct config c;
	struct error e;

	(void)state;
	assert_true(config_parse("f", text, sizeof(text) - 1, &c, &e) < 0);
	assert_string_equal(e.message, "f:2: a NUL byte");
}

static void settings_read_back_as_they_were_set(void **state)
{
	struct gate_config g, copy;
	struct error e;

	(void)state;
	config_settings_init(&g);
	assert_int_equal(config_settings_set(&g, "mode", "audit", &e), 0);
	assert_int_equal(config_settings_set(&g, "errno-failed", "ETIMEDOUT", &e), 0);
	for (int s = 0; s < SETTING_COUNT; s++) {
		copy = g;
		assert_non_null(config_setting_value(&g, s));
		assert_int_equal(config_settings_set(&copy, config_setting_key(s),
						     config_setting_value(&g, s), &e),
				 0);
		copy.set = g.set;
		assert_memory_equal(&copy, &g, sizeof(g));
	}
	copy = g;
	assert_int_equal(config_settings_set(&g, "mode", "on", &e), -EINVAL);
	assert_string_equal(e.code, "bad-setting");
	assert_non_null(strstr(e.message, "reject, hold or audit"));
	assert_int_equal(config_settings_set(&g, "cgroup", "/x", &e), -EINVAL);
	assert_non_null(strstr(e.message, "expected one of mode no-policy stale"));
	assert_memory_equal(&copy, &g, sizeof(g));
}

static void a_missing_file_is_an_error_only_when_it_was_named(void **state)
{
	struct config c;
	struct error e;

	(void)state;
	if (access(CONFIG_PATH, F_OK) < 0) {
		assert_int_equal(config_load(NULL, &c, &e), 0);
		config_free(&c);
	}
	assert_int_equal(config_load("/nonexistent/sagate.conf", &c, &e), -ENOENT);
	assert_string_equal(e.message, "/nonexistent/sagate.conf: cannot open the configuration: "
				       "No such file or directory");
	assert_int_equal(config_load("/", &c, &e), -EISDIR);
}

/* The example: as it is, and with all that is commented out by a semicolon put in force. */
static void the_example_is_valid(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, out = 0;
	struct config c;
	struct error e;
	FILE *f = fopen("loader/sagate.conf.example", "r");

	(void)state;
	if (!f)
		skip();
	assert_int_equal(config_load("loader/sagate.conf.example", &c, &e), 0);
	config_free(&c);
	assert_true(getdelim(&text, &size, '\0', f) > 0);
	fclose(f);
	for (size_t i = 0; text[i]; i++)
		if (text[i] != ';' || (i && text[i - 1] != '\n'))
			text[out++] = text[i];
	text[out] = '\0';
	if (parse(text, &c, &e) != 0)
		fail_msg("%s", e.message);
	assert_int_equal(c.gate_count, 1);
	assert_int_equal(c.require_count, 1);
	assert_int_equal(c.space_count, 2);
	config_free(&c);
}

/* Bytes changed at random: no crash, no leak; a refusal names a line. */
static void damaged_files_are_refused_or_read(void **state)
{
	static const char seed[] = "[daemon]\npin=/p\n[ike]\nbackoff=1s..2s\n" G "mode=audit\n" R
				   "proto=tcp\nport=1\n" S "vici=unix:///v\n";
	char text[sizeof(seed)];
	unsigned int rnd = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct config c;
		struct error e = {};

		memcpy(text, seed, sizeof(seed));
		for (int n = 0; n < 3; n++) {
			rnd = rnd * 1103515245 + 12345;
			text[(rnd >> 8) % (sizeof(seed) - 1)] = "[]\"=; \n/x\x80\r#:"[rnd % 14];
		}
		if (config_parse("f", text, sizeof(seed) - 1, &c, &e) == 0)
			config_free(&c);
		else
			assert_int_equal(strncmp(e.message, "f:", 2), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_valid_is_taken_and_its_twin_is_refused),
		cmocka_unit_test(an_empty_file_is_the_defaults),
		cmocka_unit_test(gates_inherit_defaults_wherever_these_stand),
		cmocka_unit_test(values_arrive_as_they_were_written),
		cmocka_unit_test(the_hosts_own_section_wins_over_ike),
		cmocka_unit_test(the_limit_of_a_line_is_exact),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(a_space_has_the_daemons_default_block_or_its_own),
		cmocka_unit_test(settings_read_back_as_they_were_set),
		cmocka_unit_test(a_missing_file_is_an_error_only_when_it_was_named),
		cmocka_unit_test(the_example_is_valid),
		cmocka_unit_test(damaged_files_are_refused_or_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

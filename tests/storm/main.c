// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm [--seed S] [--changes N] [--kinds sa,policy,flush,migrate,default,short]
 *       [--netns PATH] [--space NAME] [--control PATH] [--pin PATH]
 *       [--rate N] [--daemon PID --stops N] [--start CMD] [--only-compare] [--keep] [--quiet S]
 *
 * Clears the SPD and SAD of the namespace, changes them N times at random, and looks when, after
 * the last change, the maps became what they then are, and that this is what the kernel has, entry
 * by entry; so must be what the daemon shows. Prints one line of JSON, before it at most 20
 * differences.
 *
 *   --kinds      default: sa,policy,flush,default. short: SAs that end after a second or two, so
 *                that the last change is not the storm's, and equal_ms says little
 *   --rate N     at most so many changes a second (default: as many as the kernel takes)
 *   --stops N    N times the daemon is stopped (SIGSTOP) for a part of the storm, so that its
 *                socket runs over, and goes on in the middle of it
 *   --start CMD  run by a shell when half of the changes are made: what it starts takes its first
 *                snapshot while they go on
 *   --only-compare  no storm, nothing is cleared
 *   --keep       what stood is not cleared first
 *   --quiet S    the maps have to be unchanged for so long before they are compared (1)
 *
 * Exit status: 0 equal, 1 differs or failed, 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "storm.h"

#define ROW	   16 /* changes sent together */
#define YARDSTICK  1000
#define QUEUE	   7500 /* about so many events fit into the daemon's 8 MiB */
#define PATIENCE_S 120	/* and by then at last */

struct options {
	unsigned long changes, stops, rate;
	unsigned int kinds;
	const char *netns, *space, *control, *pin, *start;
	pid_t daemon;
	double quiet; /* the maps do not change for so long: they are what they will be */
	bool only_compare, keep;
};

struct storm {
	double seconds, equal_ms, event_us;
	double late;		/* the oldest heartbeat seen meanwhile, in seconds */
	double run_ms, wait_ms; /* of equal_ms the daemon ran, or waited for a processor */
	uint64_t changes, failed;
	int last_error;
};

static unsigned int kinds_of(char *text)
{
	static const char *const names[] = {"sa", "policy", "flush", "migrate", "default", "short"};
	unsigned int kinds = 0;

	for (char *one = strtok(text, ","); one; one = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < 6 && strcmp(names[i], one))
			i++;
		if (i == 6)
			storm_die("--kinds: %s is none of them", one);
		kinds |= 1U << i;
	}
	return kinds;
}

static void options_read(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"seed", 1, 0, 's'},  {"changes", 1, 0, 'n'},	   {"kinds", 1, 0, 'k'},
		{"netns", 1, 0, 'e'}, {"space", 1, 0, 'S'},	   {"control", 1, 0, 'c'},
		{"pin", 1, 0, 'p'},   {"daemon", 1, 0, 'd'},	   {"stops", 1, 0, 't'},
		{"start", 1, 0, 'r'}, {"rate", 1, 0, 'R'},	   {"keep", 0, 0, 'K'},
		{"quiet", 1, 0, 'q'}, {"only-compare", 0, 0, 'o'}, {NULL, 0, NULL, 0},
	};
	struct timespec t;
	int c;

	clock_gettime(CLOCK_REALTIME, &t);
	storm_seed = (uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 20;
	storm_seed %= 1000000000;
	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 's':
			storm_seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			o->changes = strtoul(optarg, NULL, 0);
			break;
		case 'k':
			o->kinds = kinds_of(optarg);
			break;
		case 'e':
			o->netns = optarg;
			break;
		case 'S':
			o->space = optarg;
			break;
		case 'c':
			o->control = optarg;
			break;
		case 'p':
			o->pin = optarg;
			break;
		case 'd':
			o->daemon = atoi(optarg);
			break;
		case 't':
			o->stops = strtoul(optarg, NULL, 0);
			break;
		case 'R':
			o->rate = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			o->start = optarg;
			break;
		case 'K':
			o->keep = true;
			break;
		case 'q':
			o->quiet = strtod(optarg, NULL);
			break;
		case 'o':
			o->only_compare = true;
			break;
		default:
			exit(2);
		}
	}
	if (o->stops && !o->daemon)
		storm_die("--stops needs --daemon");
}

static void enter(const char *netns)
{
	int fd = netns ? open(netns, O_RDONLY | O_CLOEXEC) : -1;

	if (netns && (fd < 0 || setns(fd, CLONE_NEWNET)))
		storm_die("%s: %s", netns, strerror(errno));
}

/* The i-th change of all: the daemon is stopped or goes on, or another is started. */
static void meanwhile(const struct options *o, unsigned long i)
{
	unsigned long part = o->stops ? o->changes / o->stops : 0;

	if (part && i % part == 0)
		kill(o->daemon, SIGSTOP);
	if (part && i % part == part * 4 / 5)
		kill(o->daemon, SIGCONT);
	if (o->start && i == o->changes / 2 && system(o->start))
		storm_die("%s: failed", o->start);
}

/* What one event costs a listener that does nothing with it, in microseconds: the yardstick. */
static double listen_bare(struct batch *b)
{
	int fd = storm_nl_socket(), size = 8 << 20, groups[] = {3, 4}; /* SA, POLICY */
	char buf[8192];
	double begun;
	size_t events = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	for (int i = 0; i < 2; i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(int)))
			storm_die("no events: %s", strerror(errno));
	for (int i = 0; i < YARDSTICK; i++)
		ops_one(b, KIND_SA | KIND_POLICY);
	batch_send(b);
	begun = storm_now();
	while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		events++;
	close(fd);
	return events ? (storm_now() - begun) * 1e6 / (double)events : 0;
}

static void pace(const struct options *o, unsigned long i, double begun)
{
	double ahead = o->rate ? begun + (double)i / (double)o->rate - storm_now() : 0;
	struct timespec t = {.tv_nsec = (long)(ahead * 1e9)};

	if (ahead > 0 && ahead < 1)
		nanosleep(&t, NULL);
}

static void rage(const struct options *o, const struct maps *m, struct batch *b, struct storm *s)
{
	double begun, age;

	if (!o->keep) {
		ops_clear(b);
		s->event_us = listen_bare(b);
		ops_clear(b);
	}
	b->sent = b->failed = 0;
	begun = storm_now();
	for (unsigned long i = 0; i < o->changes; i++) {
		meanwhile(o, i);
		ops_one(b, o->kinds);
		if (i % ROW == ROW - 1) {
			batch_send(b);
			pace(o, i, begun);
			age = maps_heartbeat_age(m);
			s->late = age > s->late ? age : s->late;
		}
	}
	batch_send(b);
	s->seconds = storm_now() - begun;
	if (o->stops)
		kill(o->daemon, SIGCONT);
	s->failed = b->failed;
	s->changes = b->sent - b->failed;
	s->last_error = b->last_error;
}

/* For how long the daemon has run, and for how long it has waited for a processor, in ms. */
static void scheduled(pid_t daemon, double *run, double *wait)
{
	char path[64];
	FILE *f;

	*run = *wait = 0;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", daemon);
	f = daemon ? fopen(path, "r") : NULL;
	if (!f)
		return;
	if (fscanf(f, "%lf %lf", run, wait) != 2)
		*run = *wait = 0;
	*run /= 1e6;
	*wait /= 1e6;
	fclose(f);
}

/*
 * Until what was started has its first image in the maps: then it beats. On a slow machine it
 * answers before.
 */
static void wait_for_daemon(const struct options *o, const struct maps *m)
{
	const struct timespec t = {.tv_nsec = 10000000};
	double begun = storm_now();

	shown_number(o->control, o->space, "overruns");
	while (maps_heartbeat_age(m) > 1.5 && storm_now() - begun < PATIENCE_S)
		nanosleep(&t, NULL);
}

/* When did the maps become what they stay? */
static void wait_for_quiet(const struct options *o, const struct maps *m, struct storm *s)
{
	const struct timespec t = {.tv_nsec = 500000};
	double begun = storm_now(), since = begun, now, run, wait;
	uint64_t last = 0, change;

	scheduled(o->daemon, &run, &wait);
	do {
		nanosleep(&t, NULL);
		change = maps_change(m);
		now = storm_now();
		if (change != last) {
			since = now;
			scheduled(o->daemon, &s->run_ms, &s->wait_ms);
		}
		last = change;
		if (now - begun > PATIENCE_S)
			storm_die("the maps of %s do not come to rest, or are stale", o->space);
	} while (!last || now - since < o->quiet);
	s->equal_ms = (since - begun) * 1000;
	s->run_ms -= run;
	s->wait_ms -= wait;
}

static size_t compare(const struct options *o, struct maps *m, struct kernel *k, size_t max)
{
	struct strings sad = {0}, spd = {0};
	size_t differ;

	kernel_read(k);
	differ = maps_compare(m, k, max);
	shown_read(o->control, "sad", o->space, &sad);
	shown_read(o->control, "spd", o->space, &spd);
	differ += strings_compare(&k->shown_sas, &sad, "mirror", max);
	differ += strings_compare(&k->shown_policies, &spd, "mirror", max);
	strings_free(&sad);
	strings_free(&spd);
	return differ;
}

/* An SA may expire between the looks at the kernel and at the mirror, but not each time. */
static size_t compare_again(const struct options *o, struct maps *m, struct kernel *k)
{
	for (int i = 0; i < 3; i++) {
		if (!compare(o, m, k, 0))
			return 0;
		kernel_free(k);
	}
	return compare(o, m, k, 20);
}

/*
 * "bare_ms": what a listener that does nothing takes to read as many events as there were changes,
 * or as fit into a queue, and both dumps: equal_ms is to be compared with it.
 */
static void report(const struct options *o, const struct storm *s, const struct kernel *k,
		   uint64_t seed, size_t differ)
{
	double queued = s->changes < QUEUE ? (double)s->changes : QUEUE;
	double bare = queued * s->event_us / 1000 + k->seconds * 1000;

	printf("{\"seed\":%llu,\"changes\":%llu,\"refused\":%llu,\"last_errno\":%d,"
	       "\"per_second\":%.0f,\"heartbeat_s\":%.1f,\"equal_ms\":%.1f,\"daemon_run_ms\":%.1f,\"daemon_wait_ms\":%.1f,\"bare_ms\":%.1f,\"ratio\":%.1f,"
	       "\"event_us\":%.1f,\"dump_ms\":%.1f,\"sas\":%zu,\"policies\":%zu,"
	       "\"overruns\":%lld,\"resyncs\":%lld,\"differences\":%zu}\n",
	       (unsigned long long)seed, (unsigned long long)s->changes,
	       (unsigned long long)s->failed, s->last_error,
	       s->seconds > 0 ? (double)s->changes / s->seconds : 0, s->late, s->equal_ms,
	       s->run_ms, s->wait_ms, bare, bare > 0 ? s->equal_ms / bare : 0, s->event_us,
	       k->seconds * 1000, k->sas, k->policies,
	       (long long)shown_number(o->control, o->space, "overruns"),
	       (long long)shown_number(o->control, o->space, "resyncs"), differ);
}

int main(int argc, char **argv)
{
	struct options o = {.changes = 20000,
			    .quiet = 1,
			    .kinds = KIND_SA | KIND_POLICY | KIND_FLUSH | KIND_DEFAULT,
			    .space = "host",
			    .control = "/run/sagate/control.sock",
			    .pin = "/sys/fs/bpf/sagate"};
	static struct batch b;
	struct storm s = {0};
	struct kernel k;
	struct maps *m;
	uint64_t seed;
	size_t differ;

	options_read(argc, argv, &o);
	seed = storm_seed;
	fprintf(stderr, "storm: --seed %llu\n", (unsigned long long)seed);
	enter(o.netns);
	batch_open(&b);
	m = maps_open(o.pin);
	if (!o.only_compare)
		rage(&o, m, &b, &s);
	if (o.start)
		wait_for_daemon(&o, m);
	wait_for_quiet(&o, m, &s);
	differ = compare_again(&o, m, &k);
	report(&o, &s, &k, seed, differ);
	kernel_free(&k);
	return differ ? 1 : 0;
}

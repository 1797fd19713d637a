// SPDX-License-Identifier: GPL-2.0-only
/*
 * oracle: the kernel as the judge of decide(). Draws worlds and flows from a seed, asks explain
 * about each flow, really makes the call without a gate, and looks at the peer at what came.
 * Started by tests/lab/oracle, in a machine of its own, as root.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "daemon.h"
#include "json_util.h"
#include "judge.h"
#include "say.h"
#include "vrf.h"
#include "wire.h"

#define FLOWS_PER_WORLD 40
#define FAILURES_SHOWN	8

struct options {
	uint64_t seed;
	unsigned long first, cases;
	const char *program, *dir;
	bool plant; /* judge wrongly on purpose: the run must fail */
	bool verbose;
};

struct tally {
	unsigned long done, unbound, failed, refused_objects;
	unsigned long in_vrf, looked_again; /* of the sockets in a VRF, of what its device sees */
	unsigned long of[SAID_COUNT][DID_COUNT];
};

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("oracle: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	daemon_stop();
	exit(2);
}

static void show(const struct options *o, const struct world *w, const struct call *c,
		 unsigned long number, const json_t *answer, const struct outcome *out,
		 const char *wrong)
{
	char a[ADDR_TEXT], b[ADDR_TEXT];
	char *text = json_dumps(answer, JSON_COMPACT);

	printf("--- seed %llu case %lu: %s\n", (unsigned long long)o->seed, number, wrong);
	flow_print(stdout, c);
	printf("explain: %s\nkernel: %s, %s\n", text, did_names[judge_did(c, out)],
	       out->err ? strerror(out->err) : "no error");
	for (int i = 0; i < out->count; i++)
		printf("  seen: dev %s proto %d spi %#x src %s dst %s\n",
		       host_dev(out->seen[i].dev), out->seen[i].proto, out->seen[i].spi,
		       addr_text(out->seen[i].family, &out->seen[i].src, a),
		       addr_text(out->seen[i].family, &out->seen[i].dst, b));
	world_print(stdout, w);
	fflush(stdout);
	free(text);
}

/* What the host sent to itself: within a VRF, what comes on lo is an answer. */
static int take_own(const struct world *w, const struct call *c, struct seen *out)
{
	struct seen on_lo, on_vrf;
	bool in_vrf = vrf_own(&w->vrf, c->family, &c->dst);
	int lo = wire_take_own(&on_lo), vrf = vrf_take_own(&w->vrf, &on_vrf);

	if (in_vrf ? !vrf : !lo || !world_own(&c->dst))
		return 0;
	*out = in_vrf ? on_vrf : on_lo;
	return 1;
}

static void run_case(const struct options *o, const struct world *w, unsigned long number,
		     struct tally *t)
{
	struct outcome out = {0};
	struct call c;
	const char *wrong;
	json_t *answer;

	flow_draw(&c, w, o->seed, number);
	answer = daemon_explain(&c);
	out.errors = host_unreachables();
	out.err = flow_send(&c);
	out.errors = host_unreachables() - out.errors;
	out.count = wire_take(out.seen, SEEN_MAX - 1);
	out.count += take_own(w, &c, &out.seen[out.count]);
	if (out.err < 0) {
		t->unbound++;
		json_decref(answer);
		return;
	}
	t->done++;
	t->in_vrf += vrf_has(&w->vrf, c.dev);
	t->looked_again += vrf_looks_again(w, &c);
	t->of[judge_said(answer)][judge_did(&c, &out)]++;
	wrong = judge(w, &c, answer, &out);
	if (o->plant && number % 997 == 5 && !wrong)
		wrong = "planted: the judge was told to find this wrong";
	if (wrong && t->failed++ < FAILURES_SHOWN)
		show(o, w, &c, number, answer, &out, wrong);
	else if (o->verbose)
		show(o, w, &c, number, answer, &out, "shown because it was asked for");
	json_decref(answer);
}

static void run(const struct options *o, struct tally *t)
{
	static struct world w;
	unsigned long at = ~0UL;

	for (unsigned long i = o->first; i < o->first + o->cases; i++) {
		if (i / FLOWS_PER_WORLD != at) {
			at = i / FLOWS_PER_WORLD;
			world_draw(&w, o->seed, at);
			world_install(&w);
			daemon_settle(at);
			t->refused_objects += (unsigned long)w.refused;
			wire_take((struct seen[SEEN_MAX]){{0}}, SEEN_MAX);
			wire_take_own(&(struct seen){0});
			vrf_take_own(&w.vrf, &(struct seen){0});
		}
		run_case(o, &w, i, t);
	}
}

static void print_tally(const struct options *o, const struct tally *t, double seconds)
{
	printf("%-10s", "");
	for (int d = 0; d < DID_COUNT; d++)
		printf(" %10s", did_names[d]);
	putchar('\n');
	for (int s = 0; s < SAID_COUNT; s++) {
		printf("%-10s", said_names[s]);
		for (int d = 0; d < DID_COUNT; d++)
			printf(" %10lu", t->of[s][d]);
		putchar('\n');
	}
	printf("%lu objects the kernel does not take; %lu sockets that could not be bound so\n",
	       t->refused_objects, t->unbound);
	printf("%lu cases of sockets in a VRF, %lu that its device may look up again\n", t->in_vrf,
	       t->looked_again);
	printf("seed %llu: %lu cases, %lu differ, %.1f s\n", (unsigned long long)o->seed, t->done,
	       t->failed, seconds);
}

static unsigned long number_of(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (*end || end == text)
		die("'%s' is no number", text);
	return n;
}

static void read_options(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {
		{"seed", 1, NULL, 's'},	  {"cases", 1, NULL, 'n'},   {"case", 1, NULL, 'c'},
		{"sagate", 1, NULL, 'p'}, {"dir", 1, NULL, 'd'},     {"plant", 0, NULL, 'P'},
		{"world", 1, NULL, 'w'},  {"verbose", 0, NULL, 'v'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 's':
			o->seed = number_of(optarg);
			break;
		case 'n':
			o->cases = number_of(optarg);
			break;
		case 'c':
			o->first = number_of(optarg);
			o->cases = 1;
			break;
		case 'w':
			o->first = number_of(optarg) * FLOWS_PER_WORLD;
			o->cases = FLOWS_PER_WORLD;
			break;
		case 'p':
			o->program = optarg;
			break;
		case 'd':
			o->dir = optarg;
			break;
		case 'P':
			o->plant = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	struct options o = {
		.seed = 1, .cases = 3000, .program = "build/sagate", .dir = "/run/sagate-oracle"};
	struct require requires[REQUIRES];
	struct timespec from, to;
	struct tally t = {0};

	read_options(argc, argv, &o);
	host_up();
	wire_open();
	requires_draw(requires, o.seed);
	daemon_start(o.program, o.dir, requires);
	clock_gettime(CLOCK_MONOTONIC, &from);
	run(&o, &t);
	clock_gettime(CLOCK_MONOTONIC, &to);
	daemon_stop();
	print_tally(&o, &t,
		    (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
	return t.failed ? 1 : 0;
}

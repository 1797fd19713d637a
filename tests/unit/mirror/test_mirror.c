// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mirror against this machine's kernel, in network namespaces of its own that go with the
 * process. This needs root; SAs need ESP, which the kernel may lack: policies only.
 */
/* needs: loader/mirror.c loader/mirror_apply.c loader/mirror_events.c loader/mirror_dump.c */
/* needs: loader/mirror_snapshot.c loader/mirror_found.c loader/xfrm_fields.c */
/* needs: loader/mirror_nl.c loader/mirror_walk.c loader/mirror_store.c loader/xfrm_msg.c */
/* needs: loader/spd.c loader/spd_group.c loader/spd_image.c loader/spd_masks.c */
/* needs: loader/sad.c loader/sad_group.c loader/sad_life.c loader/sad_slots.c */
/* needs: loader/netns.c loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fake_sink.h"
#include "mirror_internal.h"
#include "mirror_nl.h"

#define SPACE 3

struct world {
	sd_event *loop;
	int own, other; /* namespaces */
	struct fake_sink fake;
	struct mirror *m;
	int synced, stale, changed, settled, swept;
};

static void on_synced(void *ctx, bool synced)
{
	struct world *w = ctx;

	assert_int_equal(w->fake.state.synced == SYNCED, synced);
	w->synced += synced;
	w->stale += !synced;
}

static void on_changed(void *ctx, enum mirror_what what, const struct xfrm_change *c)
{
	struct world *w = ctx;

	assert_int_equal(what == MIRROR_SWEPT, !c);
	w->changed++;
	w->swept += what == MIRROR_SWEPT;
}

static void on_settled(void *ctx)
{
	((struct world *)ctx)->settled++;
}

static const struct mirror_ops ops = {on_synced, on_changed, on_settled};

/* Runs a command in the other namespace. */
static void other(struct world *w, const char *command)
{
	assert_int_equal(setns(w->other, CLONE_NEWNET), 0);
	assert_int_equal(system(command), 0);
	assert_int_equal(setns(w->own, CLONE_NEWNET), 0);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs the loop until `done` or 100 s: an emulated machine takes its time. */
#define UNTIL(w, done)                                                                             \
	do {                                                                                       \
		double end_ = seconds() + 100;                                                     \
		while (!(done)) {                                                                  \
			assert_true(seconds() < end_);                                             \
			assert_true(sd_event_run((w)->loop, 100000) >= 0);                         \
		}                                                                                  \
	} while (0)

/* Everything that has happened so far is in the tables: the loop has nothing more to do. */
static void quiet(struct world *w)
{
	int r;

	do
		r = sd_event_run(w->loop, 20000);
	while (r > 0);
	assert_int_equal(r, 0);
}

static struct world *world_new(const struct mirror_options *options)
{
	struct world *w = calloc(1, sizeof(*w));
	struct error e = {0};

	w->own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w->other = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(w->own, CLONE_NEWNET), 0);
	assert_true(sd_event_new(&w->loop) >= 0);
	fake_init(&w->fake);
	other(w, "ip xfrm policy add src 10.9.0.0/16 dst 10.8.0.0/16 dir out priority 7 "
		 "tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 5 mode tunnel");
	if (mirror_new(w->loop, w->other, SPACE, &w->fake.sink, &ops, w, options, &w->m, &e))
		fail_msg("%s: %s", e.code, e.message);
	assert_int_not_equal(w->fake.state.synced, SYNCED);
	UNTIL(w, w->synced);
	return w;
}

static void world_free(struct world *w)
{
	mirror_free(w->m);
	sd_event_unref(w->loop);
	fake_done(&w->fake);
	close(w->own);
	close(w->other);
	free(w);
}

/* A dump of its own, without the code under test but for the socket. */
struct dump {
	struct mirror *m;
	size_t policies;
	bool done;
};

static bool dump_one(void *ctx, const struct nlmsghdr *msg)
{
	struct xfrm_userpolicy_info copy, *info = &copy;
	const struct policy_info *p;
	struct dump *d = ctx;

	if (msg->nlmsg_type == NLMSG_DONE)
		d->done = true;
	if (msg->nlmsg_type != XFRM_MSG_NEWPOLICY)
		return true;
	memcpy(info, NLMSG_DATA(msg), sizeof(*info));
	if ((info->index & 7) != XFRM_POLICY_OUT)
		return true;
	d->policies++;
	p = spd_find(mirror_spd(d->m), CLASS_MAIN, info->index);
	assert_non_null(p);
	assert_int_equal(p->priority, info->priority);
	assert_int_equal(p->action, info->action);
	assert_memory_equal(p->sel.daddr, &info->sel.daddr, info->sel.family == AF_INET ? 4 : 16);
	assert_memory_equal(p->sel.saddr, &info->sel.saddr, info->sel.family == AF_INET ? 4 : 16);
	assert_int_equal(p->sel.dport, info->sel.dport);
	return true;
}

/* The table, and what is in the maps, is what a fresh dump lists, no more and no less. */
static size_t equals_dump(struct world *w)
{
	struct dump d = {.m = w->m};
	struct nl_sock *sock;
	struct spd_counts counts;
	int err;

	assert_int_equal(mirror_nl_open(w->other, 0, &sock, NULL), 0);
	assert_int_equal(mirror_nl_ask(sock, XFRM_MSG_GETPOLICY, NLM_F_DUMP, 1), 0);
	while (!d.done)
		assert_int_equal(mirror_nl_read(sock, dump_one, &d, &err), READ_MESSAGES);
	nl_socket_free(sock);
	spd_count(mirror_spd(w->m), &counts);
	assert_int_equal(counts.policies, d.policies);
	assert_int_equal(counts.stored, fake_count(&w->fake, MAP_SPD));
	assert_int_equal(counts.missing, 0);
	return d.policies;
}

static void first_snapshot_has_what_stood_before(void **state)
{
	struct stat before, after;
	struct world *w;

	(void)state;
	stat("/proc/self/ns/net", &before);
	w = world_new(NULL);
	stat("/proc/self/ns/net", &after);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(equals_dump(w), 1);
	assert_int_equal(w->synced, 1);
	assert_int_equal(w->stale, 0);
	assert_int_equal(mirror_stats(w->m)->snapshots, 1);
	assert_int_equal(mirror_stats(w->m)->resyncs, 0);
	assert_int_equal(w->fake.state.masks[CLASS_MAIN][0], 1);
	world_free(w);
}

static void every_change_arrives_and_no_resync_is_needed(void **state)
{
	struct world *w = world_new(NULL);
	struct spd_counts counts;

	(void)state;
	other(w, "ip xfrm policy add src 10.1.0.1/24 dst 10.2.0.0/16 proto tcp dport 443 dir out "
		 "priority 100 tmpl proto esp reqid 9 mode transport");
	other(w,
	      "ip xfrm policy add src fd00::/16 dst fd01::/32 dir out action block mark 5 mask 255");
	other(w, "ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/16 dir in");
	other(w, "ip xfrm policy add src 10.1.0.0/24 dst 10.2.0.0/16 dir fwd");
	quiet(w);
	assert_int_equal(equals_dump(w), 3);
	other(w, "ip xfrm policy update src 10.1.0.1/24 dst 10.2.0.0/16 proto tcp dport 443 "
		 "dir out priority 50 action block");
	quiet(w);
	assert_int_equal(equals_dump(w), 3);
	other(w, "ip xfrm policy delete src fd00::/16 dst fd01::/32 dir out mark 5 mask 255");
	quiet(w);
	assert_int_equal(equals_dump(w), 2);
	assert_int_equal(w->fake.state.masks[CLASS_MAIN][1], 0);
	other(w, "ip xfrm policy setdefault out block");
	quiet(w);
	assert_true(mirror_default_block(w->m) && w->fake.state.default_block);
	other(w, "ip xfrm policy setdefault out accept");
	quiet(w);
	assert_false(mirror_default_block(w->m));
	other(w, "ip xfrm policy flush");
	quiet(w);
	assert_int_equal(equals_dump(w), 0);
	assert_int_equal(fake_count(&w->fake, MAP_SPD), 0);
	spd_count(mirror_spd(w->m), &counts);
	assert_int_equal(counts.masks, 0);
	assert_int_equal(mirror_stats(w->m)->snapshots, 1);
	assert_int_equal(mirror_stats(w->m)->unparsable, 0);
	assert_true(w->settled >= 6);
	world_free(w);
}

static void a_standing_default_is_in_the_snapshot(void **state)
{
	struct world *w = world_new(NULL);

	(void)state;
	mirror_free(w->m);
	other(w, "ip xfrm policy setdefault out block");
	w->fake.state.default_block = 0;
	assert_int_equal(
		mirror_new(w->loop, w->other, SPACE, &w->fake.sink, &ops, w, NULL, &w->m, NULL), 0);
	UNTIL(w, w->synced == 2);
	assert_true(w->fake.state.default_block);
	world_free(w);
}

/* `count` policies of 10.K.x.y, in one burst. */
static void burst(struct world *w, const char *verb, int count, int net)
{
	FILE *f;

	assert_int_equal(setns(w->other, CLONE_NEWNET), 0);
	f = popen("ip -batch -", "w");
	assert_int_equal(setns(w->own, CLONE_NEWNET), 0);
	for (int i = 0; i < count; i++)
		fprintf(f, "xfrm policy %s src 10.%d.%d.%d dst 10.7.0.0/16 dir out%s\n", verb, net,
			i / 250, i % 250, strcmp(verb, "delete") ? " priority 9" : "");
	assert_int_equal(pclose(f), 0);
}

static void an_overrun_makes_it_stale_at_once_and_then_whole_again(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.rcvbuf = 16384});

	(void)state;
	burst(w, "add", 200, 50);
	/* The kernel has dropped events; the first read shows it. */
	UNTIL(w, w->stale);
	assert_true(mirror_stats(w->m)->overruns >= 1);
	UNTIL(w, w->synced == 2);
	assert_int_equal(equals_dump(w), 201);
	/* Deletions that were lost are found by the sweep. */
	burst(w, "delete", 150, 50);
	UNTIL(w, w->synced == 3);
	assert_int_equal(equals_dump(w), 51);
	assert_true(w->swept >= 1);
	assert_int_equal(mirror_stats(w->m)->resyncs, 2);
	assert_int_equal(w->fake.state.synced, SYNCED);
	world_free(w);
}

/* No policy of a burst is in the map. */
static void none_of_the_burst(struct fake_sink *f)
{
	for (__u32 i = 0; i < 250; i++) {
		struct spd_key key = {.space = SPACE,
				      .class = CLASS_MAIN,
				      .family = AF_INET,
				      .src_len = 32,
				      .dst_len = 16,
				      .saddr[0] = htonl(0x0a320000 | i),
				      .daddr[0] = htonl(0x0a070000)};

		assert_null(fake_get(f, MAP_SPD, &key));
	}
}

static void what_an_overrun_left_in_the_queue_is_not_applied_and_what_follows_is(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.rcvbuf = 16384});
	struct spd_counts c;

	(void)state;
	burst(w, "add", 200, 50);
	burst(w, "delete", 200, 50);
	burst(w, "add", 1, 51);
	w->fake.written = none_of_the_burst;
	UNTIL(w, w->synced == 2);
	w->fake.written = NULL;
	assert_true(mirror_stats(w->m)->dropped > 0);
	assert_int_equal(equals_dump(w), 2);
	/* from here on each event counts again */
	burst(w, "add", 5, 52);
	quiet(w);
	spd_count(mirror_spd(w->m), &c);
	assert_int_equal(c.policies, 7);
	assert_int_equal(mirror_stats(w->m)->resyncs, 1);
	world_free(w);
}

/* Back-off is for errors: changes that cut a dump short may be the last ones. */
static void dumps_that_were_interrupted_again_and_again_do_not_make_it_slower(void **state)
{
	struct world *w = world_new(NULL);
	double begun;

	(void)state;
	quiet(w);
	for (int i = 0; i < 10; i++)
		mirror_snapshot_retry(w->m, -EINTR);
	begun = seconds();
	UNTIL(w, mirror_stats(w->m)->snapshots == 2);
	assert_true(seconds() - begun < 0.5);
	world_free(w);
}

/* What an event leaves open (UPDSA of an SA that is not known) is off by no more than that. */
static void what_only_a_dump_can_tell_is_asked_for_within_100_ms(void **state)
{
	struct world *w = world_new(NULL);
	double begun, took, best = 100;

	(void)state;
	quiet(w);
	for (int i = 0; i < 5; i++) {
		uint64_t before = mirror_stats(w->m)->snapshots;

		begun = seconds();
		w->m->look_soon = true;
		mirror_snapshot_settle(w->m, false);
		UNTIL(w, mirror_stats(w->m)->snapshots > before);
		took = seconds() - begun;
		best = took < best ? took : best;
	}
	assert_true(best < 0.09);
	world_free(w);
}

/* While stale, nothing that stands is missing from the map: only new things may be. */
static struct spd_key standing;

static void must_stand(struct fake_sink *f)
{
	assert_non_null(fake_get(f, MAP_SPD, &standing));
}

static int take_key(void *ctx, enum spd_class class, const struct policy_info *p)
{
	(void)ctx;
	spd_make_key(SPACE, class, p, &standing);
	return 1;
}

static void a_resync_never_empties_the_map(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.rcvbuf = 16384});

	(void)state;
	assert_int_equal(spd_each(mirror_spd(w->m), take_key, NULL), 1);
	w->fake.written = must_stand;
	burst(w, "add", 200, 51);
	UNTIL(w, w->synced == 2);
	burst(w, "delete", 200, 51);
	UNTIL(w, w->synced == 3);
	w->fake.written = NULL;
	assert_int_equal(equals_dump(w), 1);
	world_free(w);
}

static void a_comparison_repairs_what_was_lost_without_going_stale(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.reconcile_usec = 50000});
	struct policy_info ghost = {.index = 8001, .priority = 3};

	(void)state;
	ghost.sel.family = AF_INET;
	assert_int_equal(spd_put(mirror_spd(w->m), CLASS_MAIN, &ghost), 1);
	UNTIL(w, mirror_stats(w->m)->differences == 1);
	assert_int_equal(equals_dump(w), 1);
	/* And what is missing comes back. */
	assert_int_equal(spd_flush(mirror_spd(w->m), CLASS_MAIN), 1);
	UNTIL(w, mirror_stats(w->m)->differences == 2);
	assert_int_equal(equals_dump(w), 1);
	UNTIL(w, mirror_stats(w->m)->reconciles >= 5);
	assert_int_equal(mirror_stats(w->m)->differences, 2);
	assert_int_equal(w->stale, 0);
	world_free(w);
}

/* What a comparison told. */
struct told {
	char line[8][400];
	unsigned int lines, done;
};

static void told_differs(void *ctx, const struct mirror_difference *d)
{
	struct told *t = ctx;

	assert_in_range(t->lines, 0, 7);
	snprintf(t->line[t->lines++], sizeof(t->line[0]), "%s: kernel %d mirror %d %s", d->name,
		 d->in_kernel, d->in_mirror, d->fields ? d->fields : "-");
}

static void told_done(void *ctx)
{
	((struct told *)ctx)->done++;
}

static const struct mirror_compare_ops told_ops = {told_differs, told_done};

static bool told_of(const struct told *t, const char *line)
{
	for (unsigned int i = 0; i < t->lines; i++)
		if (!strcmp(t->line[i], line))
			return true;
	return false;
}

/* The policy of priority 8, without templates. */
static int take_eight(void *ctx, enum spd_class class, const struct policy_info *p)
{
	if (class == CLASS_MAIN && p->priority == 8)
		memcpy(ctx, p, offsetof(struct policy_info, tmpl));
	return 0;
}

static void a_comparison_names_each_difference_once_and_repairs_it(void **state)
{
	struct policy_info ghost = {.index = 8001, .priority = 3, .mark = 9, .mark_mask = 15};
	struct policy_info was = {0};
	struct world *w = world_new(NULL);
	struct told t = {0};
	char line[400];

	(void)state;
	ghost.sel.family = AF_INET;
	assert_int_equal(spd_put(mirror_spd(w->m), CLASS_MAIN, &ghost), 1);
	other(w, "ip xfrm policy add src 10.9.0.0/16 dst 10.7.0.0/16 dir out priority 8");
	UNTIL(w, mirror_stats(w->m)->events == 1);
	spd_each(mirror_spd(w->m), take_eight, &was);
	was.priority++;
	was.flags ^= 1;
	assert_int_equal(spd_put(mirror_spd(w->m), CLASS_MAIN, &was), 1);
	w->fake.state.default_block = 1;
	assert_int_equal(mirror_compare(w->m, &told_ops, &t), 0);
	assert_int_equal(mirror_compare(w->m, &told_ops, &t), -EBUSY);
	UNTIL(w, t.done);
	assert_int_equal(t.lines, 3);
	assert_true(told_of(&t, "policy 0.0.0.0/0 → 0.0.0.0/0 index 8001 priority 3 mark 0x9: "
				"kernel 0 mirror 1 -"));
	assert_true(told_of(&t, "default policy: kernel 1 mirror 1 out"));
	snprintf(line, sizeof(line),
		 "policy 10.9.0.0/16 → 10.7.0.0/16 index %u priority 8: kernel 1 mirror 1 "
		 "priority, flag",
		 was.index);
	assert_true(told_of(&t, line));
	assert_int_equal(mirror_stats(w->m)->differences, 3);
	assert_int_equal(equals_dump(w), 2);
	t = (struct told){0};
	assert_int_equal(mirror_compare(w->m, &told_ops, &t), 0);
	UNTIL(w, t.done);
	assert_int_equal(t.lines, 0);
	assert_int_equal(w->stale, 0);
	world_free(w);
}

static void a_comparison_begins_anew_after_a_loss(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.rcvbuf = 16384});
	struct told t = {0};

	(void)state;
	assert_int_equal(mirror_compare(w->m, &told_ops, &t), 0);
	burst(w, "add", 2000, 60);
	UNTIL(w, t.done);
	assert_true(mirror_stats(w->m)->overruns > 0);
	assert_true(mirror_synced(w->m));
	/* the resync is no comparison: one more was made */
	assert_true(mirror_stats(w->m)->reconciles >= 1);
	assert_int_equal(t.lines, 0);
	assert_int_equal(equals_dump(w), 2001);
	/* And who no longer wants to know is not told. */
	assert_int_equal(mirror_compare(w->m, &told_ops, &t), 0);
	mirror_compare_stop(w->m);
	quiet(w);
	assert_int_equal(t.done, 1);
	world_free(w);
}

static void a_requirement_outlives_flush_resync_and_comparison(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.rcvbuf = 16384});
	struct policy_info r = {.index = 1, .action = XFRM_POLICY_BLOCK};

	(void)state;
	r.sel.family = AF_INET;
	spd_put(mirror_spd(w->m), CLASS_REQUIRE, &r);
	other(w, "ip xfrm policy flush");
	quiet(w);
	burst(w, "add", 200, 52);
	UNTIL(w, w->synced == 2);
	mirror_reconcile(w->m);
	UNTIL(w, mirror_stats(w->m)->reconciles == 1 && mirror_stats(w->m)->snapshots == 3);
	assert_non_null(spd_find(mirror_spd(w->m), CLASS_REQUIRE, 1));
	assert_int_equal(w->fake.state.masks[CLASS_REQUIRE][0], 1);
	world_free(w);
}

/* Policies come and go from another process while snapshot after snapshot is made. */
static void changes_during_dumps_end_as_the_kernel_has_it(void **state)
{
	struct world *w = world_new(&(struct mirror_options){.reconcile_usec = 1000});
	double end = seconds() + 180; /* an emulated machine takes its time */
	int status = -1;
	pid_t child;

	(void)state;
	burst(w, "add", 2000, 60);
	child = fork();
	if (!child) {
		if (setns(w->other, CLONE_NEWNET))
			_exit(1);
		for (int i = 0; i < 40; i++) {
			if (system("for i in 1 2 3 4 5 6 7 8 9; do "
				   "echo xfrm policy update src 10.60.0.$i dst 10.7.0.0/16 dir out priority $$; "
				   "echo xfrm policy update src 10.61.0.$i dst 10.7.0.0/16 dir out priority $$; "
				   "echo xfrm policy delete src 10.61.0.$i dst 10.7.0.0/16 dir out; "
				   "done | ip -batch -"))
				_exit(1);
		}
		_exit(0);
	}
	standing = (struct spd_key){.space = SPACE,
				    .class = CLASS_MAIN,
				    .family = AF_INET,
				    .src_len = 32,
				    .dst_len = 16};
	standing.saddr[0] = htonl(0x0a3c0001); /* updated all the time, never away */
	standing.daddr[0] = htonl(0x0a070000);
	UNTIL(w, fake_get(&w->fake, MAP_SPD, &standing));
	w->fake.written = must_stand;
	while (waitpid(child, &status, WNOHANG) == 0 && seconds() < end)
		assert_true(sd_event_run(w->loop, 10000) >= 0);
	assert_int_equal(status, 0);
	w->fake.written = NULL;
	for (uint64_t n = mirror_stats(w->m)->snapshots; mirror_stats(w->m)->snapshots < n + 2;)
		assert_true(sd_event_run(w->loop, 10000) >= 0);
	assert_int_equal(equals_dump(w), 2001);
	assert_int_equal(mirror_stats(w->m)->resyncs, 0);
	/* a dump that was read before the event of what it lists is no difference */
	assert_int_equal(mirror_stats(w->m)->differences, 0);
	print_message("snapshots %lu, events %lu\n", mirror_stats(w->m)->snapshots,
		      mirror_stats(w->m)->events);
	world_free(w);
}

/* In the middle of the first dump half of all goes: parts of the dump that list it are on their
 * way. */
static void what_goes_during_a_dump_does_not_come_back_with_it(void **state)
{
	struct world *w = world_new(NULL);
	struct spd_counts c;

	(void)state;
	burst(w, "add", 2000, 70);
	mirror_free(w->m);
	fake_done(&w->fake);
	fake_init(&w->fake);
	assert_int_equal(
		mirror_new(w->loop, w->other, SPACE, &w->fake.sink, &ops, w, NULL, &w->m, NULL), 0);
	do {
		assert_true(sd_event_run(w->loop, 100000) >= 0);
		spd_count(mirror_spd(w->m), &c);
	} while (!c.policies);
	assert_in_range(c.policies, 1, 1000);
	burst(w, "delete", 2000, 70);
	burst(w, "add", 10, 71);
	UNTIL(w, w->synced == 2);
	quiet(w);
	assert_int_equal(equals_dump(w), 11);
	assert_int_equal(mirror_stats(w->m)->snapshots, 1);
	world_free(w);
}

static void a_message_from_a_process_is_dropped(void **state)
{
	struct world *w = world_new(NULL);
	struct {
		struct nlmsghdr h;
		char pad[8];
	} flush = {.h = {.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = XFRM_MSG_FLUSHPOLICY}};
	struct sockaddr_nl to = {.nl_family = AF_NETLINK,
				 .nl_groups = 1U << (XFRMNLGRP_POLICY - 1)};
	struct nl_sock *sock;

	(void)state;
	assert_int_equal(mirror_nl_open(w->other, 0, &sock, NULL), 0);
	sendto(nl_socket_get_fd(sock), &flush, flush.h.nlmsg_len, 0, (struct sockaddr *)&to,
	       sizeof(to));
	nl_socket_free(sock);
	UNTIL(w, mirror_stats(w->m)->foreign == 1);
	assert_int_equal(equals_dump(w), 1);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_snapshot_has_what_stood_before),
		cmocka_unit_test(every_change_arrives_and_no_resync_is_needed),
		cmocka_unit_test(a_standing_default_is_in_the_snapshot),
		cmocka_unit_test(an_overrun_makes_it_stale_at_once_and_then_whole_again),
		cmocka_unit_test(
			what_an_overrun_left_in_the_queue_is_not_applied_and_what_follows_is),
		cmocka_unit_test(dumps_that_were_interrupted_again_and_again_do_not_make_it_slower),
		cmocka_unit_test(what_only_a_dump_can_tell_is_asked_for_within_100_ms),
		cmocka_unit_test(a_resync_never_empties_the_map),
		cmocka_unit_test(a_comparison_repairs_what_was_lost_without_going_stale),
		cmocka_unit_test(a_comparison_names_each_difference_once_and_repairs_it),
		cmocka_unit_test(a_comparison_begins_anew_after_a_loss),
		cmocka_unit_test(a_requirement_outlives_flush_resync_and_comparison),
		cmocka_unit_test(changes_during_dumps_end_as_the_kernel_has_it),
		cmocka_unit_test(what_goes_during_a_dump_does_not_come_back_with_it),
		cmocka_unit_test(a_message_from_a_process_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

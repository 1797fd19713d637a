// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rtnetlink: all of routes.c, with a kernel made of the input in the place of its sockets (nl.h):
 * dumps, changes, and answers to its questions. What the input does not say is told shortly: an end
 * of the dump; as answers no route and the last answer in turn.
 */
/* covers: loader/routes_view.c loader/routes_ask.c loader/routes.c loader/route_cells.c */
/* covers: loader/routes_table.c loader/routes_gateways.c loader/routes_ways.c */
/* needs: loader/routes.c loader/routes_ask.c loader/routes_view.c loader/routes_table.c */
/* needs: loader/routes_gateways.c loader/routes_ways.c loader/route_cells.c */
/* needs: loader/error.c loader/log.c */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sanitizer/asan_interface.h>
#include <systemd/sd-event.h>

#include "check.h"
#include "log.h"
#include "nl_mutate.h"
#include "routes.h"
#include "routes_nl.h"
#include "sink.h"

enum { TURNS_MAX = 600, QUIET_TURNS = 3, QUESTIONS_MAX = 64 };

static struct nl_input input;
static struct nl_bell event_bell, ask_bell;
static struct nl_sock *event_sock;
static uint32_t dumping;		  /* number of the dump that was asked for; 0: none */
static uint32_t questions[QUESTIONS_MAX]; /* numbers of those without an answer */
static size_t question, question_count;
static char last[512]; /* answer */
static size_t last_len;
static bool busy, updated;

int routes_nl_open(int netns_fd, struct nl_sock **events, struct nl_sock **asker, int *noxfrm_fd,
		   struct error *e)
{
	(void)netns_fd, (void)e;
	*events = event_sock = nl_open(&event_bell);
	*asker = nl_open(&ask_bell);
	*noxfrm_fd = -1;
	return 0;
}

int routes_nl_dump(struct nl_sock *asker, unsigned int i, uint32_t number)
{
	(void)asker, (void)i;
	dumping = number;
	busy = true;
	return 0;
}

int routes_nl_send(struct nl_sock *sock, void *batch, size_t size)
{
	struct nl_input in = {batch, size};
	struct nlmsghdr h;

	(void)sock;
	dumping = 0;
	question = question_count = 0;
	while (in.left) {
		size_t len = nl_length(&in, &h);

		if (question_count == QUESTIONS_MAX || len < h.nlmsg_len)
			abort();
		questions[question_count++] = h.nlmsg_seq;
		in.at += len;
		in.left -= len;
	}
	busy = true;
	return 0;
}

/* The number that the next message answers to. */
static uint32_t seq(void)
{
	if (dumping || question == question_count)
		return dumping;
	return questions[question++];
}

static size_t say_nothing(char *buf)
{
	uint32_t number = dumping;

	dumping = 0;
	if (number)
		return nl_end(buf, NLMSG_DONE, number, 0);
	if (question == question_count)
		return 0;
	if (question % 2 || !last_len)
		return nl_end(buf, NLMSG_ERROR, questions[question++], -ENETUNREACH);
	memcpy(buf, last, last_len);
	((struct nlmsghdr *)buf)->nlmsg_seq = questions[question++];
	return last_len;
}

static void keep_last(const char *buf, size_t len)
{
	if (dumping || len > sizeof(last) || len < sizeof(struct nlmsghdr))
		return;
	memcpy(last, buf, len);
	last_len = len;
}

static bool is_asked(void)
{
	return dumping || question < question_count;
}

static bool has_more(bool for_events)
{
	return input.left && nl_is_event(&input) == for_events && (for_events || is_asked());
}

/* What lies behind the datagram must not be read: it is an older one's. */
int routes_nl_receive(struct nl_sock *sock, void *buf, size_t size)
{
	bool for_events = sock == event_sock;
	size_t len = 0;

	__asan_unpoison_memory_region(buf, size);
	if (has_more(for_events)) {
		len = nl_take(&input, buf, size, seq);
		if (!for_events)
			keep_last(buf, len);
	} else if (!input.left && !for_events) {
		len = say_nothing(buf);
	}
	busy |= len > 0;
	__asan_poison_memory_region((char *)buf + len, size - len);
	return (int)len;
}

static size_t nl_body(uint16_t type)
{
	switch (type) {
	case RTM_NEWLINK:
		return sizeof(struct ifinfomsg);
	case RTM_NEWADDR:
		return sizeof(struct ifaddrmsg);
	default: /* of rules, labels, neighbours, too */
		return sizeof(struct rtmsg);
	}
}

static void on_updated(void *ctx)
{
	(void)ctx;
	updated = true;
}

/* Entries of a former daemon, which the first computation takes away. */
static void adopt(struct routes *r)
{
	struct route_key key = {.family = AF_INET, .len = 8};
	struct route_value value = {.oif = 1};

	for (key.oif = 0; key.oif < 3; key.oif++)
		routes_adopt(r, &key, &value);
	key = (struct route_key){.family = AF_INET6, .len = 128, .marks = 1};
	routes_adopt(r, &key, &value);
}

static void run(sd_event *loop)
{
	for (int turns = 0, quiet = 0; turns < TURNS_MAX && quiet < QUIET_TURNS; turns++) {
		busy = false;
		nl_ring(&event_bell, has_more(true));
		nl_ring(&ask_bell, has_more(false) || (!input.left && is_asked()));
		sd_event_run(loop, 0);
		quiet = busy ? 0 : quiet + 1;
		if (updated && !input.left)
			break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sd_event *loop;
	struct routes_stats stats;
	struct routes *r;

	if (!loop && sd_event_new(&loop) < 0)
		abort();
	log_set_level(-1);
	input = (struct nl_input){data, size};
	dumping = 0;
	last_len = question = question_count = 0;
	updated = false;
	sink_reset(size & 1 ? 100 : 100000);
	if (routes_new(loop, -1, 0, &sink, on_updated, NULL, &r, NULL))
		abort();
	adopt(r);
	run(loop);
	routes_stats(r, &stats);
	if (stats.ready && !updated)
		abort();
	routes_free(r);
	return 0;
}

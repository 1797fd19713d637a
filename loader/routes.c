// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "boot_time.h"
#include "cleanup.h"
#include "log.h"
#include "routes.h"
#include "routes_ask.h"
#include "routes_gateways.h"
#include "routes_nl.h"
#include "routes_view.h"
#include "routes_ways.h"

#define SETTLE_US     2000    /* changes come in bursts */
#define SETTLE_MAX_US 1000000 /* a big table under steady change: at most half of our time */
#define RETRY_US      100000  /* after an error */
#define WINDOW	      64      /* questions under way */
#define DATAGRAMS_MAX 16      /* read in one turn of the loop */
#define RECEIVE_SIZE  65536

enum phase { PHASE_IDLE, PHASE_SETTLE, PHASE_DUMP, PHASE_ASK };

struct routes {
	sd_event *loop;
	sd_event_source *event_io, *asker_io, *timer;
	struct nl_sock *events, *asker;
	int noxfrm_fd;
	uint32_t space;
	const struct map_sink *sink;
	void (*updated)(void *ctx);
	void *ctx;

	enum phase phase;
	bool dirty;	   /* something changed since the dumps began */
	uint32_t seq;	   /* of the last message sent */
	uint64_t began;	   /* CLOCK_BOOTTIME */
	unsigned int dump; /* PHASE_DUMP: its number */
	struct routes_view view;
	struct routes_gateways gateways;
	bool all_noxfrm;

	size_t way; /* PHASE_ASK: the way and … */
	int six;    /* … the family asked about, indices */
	struct cell *cells;
	struct route_value *answers;
	size_t cell_count, next_cell;
	struct route_ask asks[WINDOW];
	uint32_t ask_seq[WINDOW];
	unsigned int ask_count;

	struct routes_ways ways;
	struct routes_stats stats;
	_Alignas(8) char buf[RECEIVE_SIZE];
};

static void forget_round(struct routes *r)
{
	routes_view_clear(&r->view);
	free(r->cells);
	free(r->answers);
	r->cells = NULL;
	r->answers = NULL;
	r->ask_count = 0;
}

static void settle(struct routes *r, uint64_t us)
{
	r->phase = PHASE_SETTLE;
	sd_event_source_set_time_relative(r->timer, us);
	sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

/* As long as the last computation took, so that steady change cannot take all of our time. */
static uint64_t settle_time(const struct routes *r)
{
	uint64_t us = r->stats.duration_ns / 1000;

	if (us > SETTLE_MAX_US)
		us = SETTLE_MAX_US;
	return r->stats.duration_ns > 5000000 ? us : SETTLE_US;
}

static void changed(struct routes *r)
{
	r->dirty = true;
	r->stats.ready = false;
	if (r->phase == PHASE_IDLE)
		settle(r, settle_time(r));
}

static void start_over(struct routes *r, int err, const char *what)
{
	if (err == -ENOBUFS)
		r->stats.overruns++;
	else
		log_warning("routes of space %u: %s: %s; the hints stay as they are, trying again",
			    r->space, what, strerror(-err));
	forget_round(r);
	r->stats.ready = false;
	/* answers of the round given up may still come: their sequence numbers are passed over */
	settle(r, RETRY_US);
}

static void ask_dump(struct routes *r)
{
	int err = routes_nl_dump(r->asker, r->dump, ++r->seq);

	if (err)
		start_over(r, err, "cannot ask for the routing tables");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct routes *r = ctx;
	char value = '0';

	(void)source;
	(void)usec;
	forget_round(r);
	r->dirty = false;
	r->began = boot_ns();
	r->phase = PHASE_DUMP;
	r->dump = 0;
	r->all_noxfrm = r->noxfrm_fd >= 0 && pread(r->noxfrm_fd, &value, 1, 0) == 1 && value != '0';
	ask_dump(r);
	return 0;
}

/* Of the plain way, whose numbers the others do not add to. */
static void note_family(struct routes *r, bool full, uint32_t unknown)
{
	if (r->way)
		return;
	if (full && !r->stats.full[r->six])
		log_error("routes of space %u: IPv%d needs more than %d cells or does not fit into "
			  "the map",
			  r->space, r->six ? 6 : 4, ROUTES_CELLS_MAX);
	r->stats.full[r->six] = full;
	r->stats.cells[r->six] = full ? 0 : (uint32_t)r->cell_count;
	r->stats.unknown[r->six] = unknown;
}

static struct routes_table *table(struct routes *r)
{
	return &r->ways.v[r->way].tables[r->six];
}

static void start_family(struct routes *r);

static void read_events(struct routes *r);

/*
 * What a mark's bits mean changes with the list of marks: while it does, nothing is known of marked
 * sockets, from before the first hint of the new meaning until all of them are written.
 */
static bool marks_changed(const struct routes *r)
{
	const struct space_state *state = r->sink->state(r->sink->ctx, r->space);

	return state->fwmarks != r->view.fwmarks ||
	       memcmp(state->fwmark, r->view.fwmark, sizeof(state->fwmark));
}

/* Before the first hint that a VRF has to do with, and not before the last has gone. */
static void vrfs_set(struct routes *r, bool more)
{
	struct space_state *state = r->sink->state(r->sink->ctx, r->space);
	uint8_t vrfs = (uint8_t)(r->view.vrfs | (more ? state->vrfs : 0));

	if (state->vrfs == vrfs)
		return;
	space_changed(state);
	__atomic_store_n(&state->vrfs, vrfs, __ATOMIC_RELEASE);
	space_changed(state);
}

static void marks_set(struct routes *r, uint8_t count)
{
	struct space_state *state = r->sink->state(r->sink->ctx, r->space);

	space_changed(state);
	state->fwmarks = FWMARKS_UNKNOWN;
	memcpy(state->fwmark, r->view.fwmark, sizeof(state->fwmark));
	__atomic_store_n(&state->fwmarks, count, __ATOMIC_RELEASE);
	space_changed(state);
}

static void finish_round(struct routes *r)
{
	if (marks_changed(r))
		marks_set(r, r->view.fwmarks);
	vrfs_set(r, false);
	forget_round(r);
	r->phase = PHASE_IDLE;
	r->stats.computed++;
	r->stats.last_ns = boot_ns();
	r->stats.duration_ns = r->stats.last_ns - r->began;
	/* the kernel queues what changed before it answers: now we know whether anything did */
	read_events(r);
	r->stats.ready = !r->dirty;
	if (r->dirty && r->phase == PHASE_IDLE)
		settle(r, settle_time(r));
	if (r->updated)
		r->updated(r->ctx);
}

static void next_family(struct routes *r)
{
	if (r->six++) {
		r->six = 0;
		r->way++;
	}
	if (r->way == r->ways.n)
		finish_round(r);
	else
		start_family(r);
}

static void finish_family(struct routes *r)
{
	uint32_t unknown = 0;
	bool full;

	for (size_t i = 0; i < r->cell_count; i++)
		unknown += r->answers[i].unknown && !r->cells[i].covered;
	full = routes_table_replace(table(r), r->cells, r->answers, r->cell_count) != 0;
	note_family(r, full, full ? 1 : unknown);
	free(r->cells);
	free(r->answers);
	r->cells = NULL;
	r->answers = NULL;
	next_family(r);
}

/* Fills the window with cells that need a question; those that need none are answered here. */
static void fill_window(struct routes *r)
{
	while (r->ask_count < WINDOW && r->next_cell < r->cell_count) {
		struct route_ask *ask = &r->asks[r->ask_count];
		size_t i = r->next_cell++;

		*ask = (struct route_ask){.view = &r->view,
					  .cell = &r->cells[i],
					  .answer = &r->answers[i],
					  .all_noxfrm = r->all_noxfrm,
					  .oif = r->ways.v[r->way].oif,
					  .mark = r->ways.v[r->way].mark,
					  .family = r->six ? AF_INET6 : AF_INET};
		route_ask_start(ask);
		r->ask_count += ask->step != STEP_DONE;
	}
}

/* Sends a question for each of the window; the kernel answers all of them before send returns. */
static void ask_window(struct routes *r)
{
	_Alignas(8) char batch[WINDOW * ROUTES_ASK_SIZE];
	size_t size = 0;
	int err;

	fill_window(r);
	if (!r->ask_count) {
		finish_family(r);
		return;
	}
	for (unsigned int i = 0; i < r->ask_count; i++) {
		r->ask_seq[i] = ++r->seq;
		size += NLMSG_ALIGN(route_ask_write(&r->asks[i], r->seq, batch + size));
	}
	r->stats.questions += r->ask_count;
	err = routes_nl_send(r->asker, batch, size);
	if (err)
		start_over(r, err, "cannot ask for routes");
}

static void start_family(struct routes *r)
{
	int err = cells_build(&r->view.set[r->six], ROUTES_CELLS_MAX, &r->cells, &r->cell_count);

	if (err == -E2BIG) {
		note_family(r, true, 1);
		routes_table_unknown(table(r));
		next_family(r);
		return;
	}
	if (!err) {
		r->answers = calloc(r->cell_count, sizeof(*r->answers));
		err = r->answers ? 0 : -ENOMEM;
	}
	if (err) {
		start_over(r, err, "no room for the cells");
		return;
	}
	r->next_cell = 0;
	r->ask_count = 0;
	ask_window(r);
}

static void end_dump(struct routes *r)
{
	size_t cells;
	int err;

	if (++r->dump < ROUTES_DUMPS) {
		ask_dump(r);
		return;
	}
	err = routes_view_finish(&r->view);
	if (!err)
		err = routes_gateways_replace(&r->gateways, &r->view.gateways);
	if (err) {
		start_over(r, err, "no room for the routes");
		return;
	}
	if (marks_changed(r))
		marks_set(r, FWMARKS_UNKNOWN);
	vrfs_set(r, true);
	/* so many that all of them together are no more questions than one big table is */
	cells = r->view.set[0].n + r->view.set[1].n;
	routes_ways_choose(&r->ways, &r->view, cells ? ROUTES_CELLS_MAX / cells + 1 : 1);
	r->phase = PHASE_ASK;
	r->way = 0;
	r->six = 0;
	start_family(r);
}

static void take_dump(struct routes *r, const struct nlmsghdr *h)
{
	int err = 0;

	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		r->dirty = true;
	if (h->nlmsg_type == NLMSG_ERROR) {
		memcpy(&err, NLMSG_DATA(h), sizeof(err));
		/* a kernel without IPv6 or without rules has none to tell */
		if (err == -EOPNOTSUPP || err == -EAFNOSUPPORT)
			end_dump(r);
		else
			start_over(r, err ? err : -EPROTO, "cannot read the routing tables");
	} else if (h->nlmsg_type == NLMSG_DONE) {
		end_dump(r);
	} else {
		err = routes_view_add(&r->view, h);
		if (err)
			start_over(r, err, "cannot read the routing tables");
	}
}

static void take_answer(struct routes *r, const struct nlmsghdr *h)
{
	for (unsigned int i = 0; i < r->ask_count; i++) {
		if (r->ask_seq[i] != h->nlmsg_seq)
			continue;
		r->ask_seq[i] = 0;
		route_ask_reply(&r->asks[i], h);
		return;
	}
}

/* All of the window answered: those that have more to ask stay in it. */
static void next_window(struct routes *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->ask_count; i++)
		if (r->ask_seq[i])
			return;
	for (unsigned int i = 0; i < r->ask_count; i++)
		if (r->asks[i].step != STEP_DONE)
			r->asks[n++] = r->asks[i];
	r->ask_count = n;
	ask_window(r);
}

static void take_datagram(struct routes *r, int len)
{
	struct nlmsghdr *h = (struct nlmsghdr *)r->buf;

	for (; nlmsg_ok(h, len); h = nlmsg_next(h, &len)) {
		if (h->nlmsg_type == NLMSG_ERROR && h->nlmsg_len < NLMSG_LENGTH(sizeof(int)))
			continue;
		if (r->phase == PHASE_DUMP && h->nlmsg_seq == r->seq)
			take_dump(r, h);
		else if (r->phase == PHASE_ASK)
			take_answer(r, h);
	}
}

static int on_asker(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct routes *r = ctx;

	(void)source;
	(void)fd;
	(void)revents;
	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		int len = routes_nl_receive(r->asker, r->buf, sizeof(r->buf));

		if (!len)
			break;
		if (len < 0) {
			start_over(r, len, "cannot read the routing tables");
			break;
		}
		take_datagram(r, len);
	}
	if (r->phase == PHASE_ASK)
		next_window(r);
	return 0;
}

static bool of_tc(uint16_t type)
{
	return (type >= RTM_NEWQDISC && type <= RTM_GETACTION) ||
	       (type >= RTM_NEWCHAIN && type <= RTM_GETCHAIN);
}

static bool matters(struct routes *r, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);

	if (of_tc(h->nlmsg_type)) /* of another device's queue as well: they change rarely */
		return h->nlmsg_type <= RTM_DELQDISC &&
		       r->sink->state(r->sink->ctx, r->space)->vrfs;
	if (h->nlmsg_type == RTM_NEWNEIGH || h->nlmsg_type == RTM_DELNEIGH)
		return routes_gateways_changed(&r->gateways, h);
	if (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE)
		return h->nlmsg_len < NLMSG_LENGTH(sizeof(*route)) ||
		       !(route->rtm_flags & RTM_F_CLONED);
	return true;
}

static void read_events(struct routes *r)
{
	for (int i = 0; i < DATAGRAMS_MAX; i++) {
		int len = routes_nl_receive(r->events, r->buf, sizeof(r->buf));
		struct nlmsghdr *h = (struct nlmsghdr *)r->buf;

		if (!len)
			break;
		if (len < 0) {
			r->stats.overruns += len == -ENOBUFS;
			changed(r);
			continue;
		}
		for (; nlmsg_ok(h, len); h = nlmsg_next(h, &len))
			if (matters(r, h))
				changed(r);
	}
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	(void)source;
	(void)fd;
	(void)revents;
	read_events(ctx);
	return 0;
}

static int add_sources(struct routes *r)
{
	int err = sd_event_add_io(r->loop, &r->event_io, nl_socket_get_fd(r->events), EPOLLIN,
				  on_event, r);

	if (err >= 0)
		err = sd_event_add_io(r->loop, &r->asker_io, nl_socket_get_fd(r->asker), EPOLLIN,
				      on_asker, r);
	/* accuracy 1: sd-event would otherwise wake up to 250 ms late */
	if (err >= 0)
		err = sd_event_add_time_relative(r->loop, &r->timer, CLOCK_MONOTONIC, 0, 1,
						 on_timer, r);
	return err < 0 ? err : 0;
}

int routes_new(sd_event *loop, int netns_fd, uint32_t space, const struct map_sink *sink,
	       void (*updated)(void *ctx), void *ctx, struct routes **out, struct error *e)
{
	struct routes *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return error_set(e, -ENOMEM, "no-memory", "no memory for the routes");
	r->noxfrm_fd = -1;
	r->loop = sd_event_ref(loop);
	r->space = space;
	r->sink = sink;
	r->updated = updated;
	r->ctx = ctx;
	routes_ways_init(&r->ways, space, sink);
	err = routes_nl_open(netns_fd, &r->events, &r->asker, &r->noxfrm_fd, e);
	if (!err) {
		err = add_sources(r);
		if (err)
			error_set(e, err, "routes", "cannot add to the loop: %s", strerror(-err));
	}
	if (err) {
		routes_free(r);
		return err;
	}
	r->phase = PHASE_SETTLE;
	*out = r;
	return 0;
}

void routes_free(struct routes *routes)
{
	if (!routes)
		return;
	sd_event_source_disable_unref(routes->event_io);
	sd_event_source_disable_unref(routes->asker_io);
	sd_event_source_disable_unref(routes->timer);
	nl_socket_free(routes->events);
	nl_socket_free(routes->asker);
	cleanup_close(&routes->noxfrm_fd);
	forget_round(routes);
	routes_gateways_clear(&routes->gateways);
	routes_ways_clear(&routes->ways);
	sd_event_unref(routes->loop);
	free(routes);
}

int routes_adopt(struct routes *routes, const struct route_key *key,
		 const struct route_value *value)
{
	bool six = key->family == AF_INET6;
	struct routes_way *way;

	if (key->space != routes->space || (!six && key->family != AF_INET) ||
	    key->len > (six ? 128 : 32))
		return -EINVAL;
	way = routes_ways_get(&routes->ways, key->oif, key->marks);
	return way ? routes_table_adopt(&way->tables[six], key, value) : -ENOMEM;
}

void routes_refresh(struct routes *routes)
{
	changed(routes);
}

bool routes_ready(const struct routes *routes)
{
	return routes->stats.ready;
}

void routes_stats(const struct routes *routes, struct routes_stats *out)
{
	*out = routes->stats;
	for (int six = 0; six < 2; six++) {
		out->entries[six] = 0;
		for (size_t i = 0; i < routes->ways.n; i++)
			out->entries[six] += HASH_COUNT(routes->ways.v[i].tables[six].entries);
		out->plens[six] = routes->ways.v[0].tables[six].plen_count;
	}
}

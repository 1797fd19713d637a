// SPDX-License-Identifier: GPL-2.0-only
/*
 * wait: the daemon is asked in pieces of the time, so that one which hangs is noticed, and each
 * begins with a connection of its own, so that one which restarts is found again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot_time.h"
#include "client.h"
#include "cmd_flow.h"
#include "json_util.h"
#include "render.h"
#include "units.h"

#define SECOND_NS      1000000000ULL
#define DEFAULT_S      30
#define PIECE_NS       (20 * SECOND_NS) /* the client library gives up after more */
#define PROGRESS_NS    SECOND_NS
#define RECONNECT_NS   (SECOND_NS / 5)
#define TIMEOUT_MAX_NS (365 * 86400 * SECOND_NS)

struct waiting {
	const struct cli *cli;
	json_t *args;
	uint64_t since, until;
	bool reached;  /* a daemon has answered, or was about to */
	bool terminal; /* progress is shown */
};

/* Seconds, as the synopsis has it, or a duration with its unit. */
static int parse_timeout(const struct cli *cli, uint64_t *ns)
{
	const char *text = cli_value(cli, "--timeout");
	struct error e;
	double seconds;
	char *end;

	*ns = DEFAULT_S * SECOND_NS;
	if (!text || !duration_parse(text, ns, &e))
		return CLI_DONE;
	seconds = strtod(text, &end);
	if (strspn(text, "0123456789.") != strlen(text) || *end || end == text ||
	    seconds * SECOND_NS > TIMEOUT_MAX_NS)
		return cli_usage(
			cli,
			"--timeout %s: expected seconds, or a duration such as 500ms or 2m, at most 365 days",
			text);
	*ns = (uint64_t)(seconds * SECOND_NS);
	return CLI_DONE;
}

static uint64_t left_ns(const struct waiting *w)
{
	uint64_t now = boot_ns();

	return now < w->until ? w->until - now : 0;
}

static void pause_ns(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / SECOND_NS),
			      .tv_nsec = (long)(ns % SECOND_NS)};

	clock_nanosleep(CLOCK_BOOTTIME, 0, &ts, NULL);
}

/* One line that is written over and over; `text` NULL takes it away. */
static void progress(const struct waiting *w, const char *text)
{
	if (!w->terminal)
		return;
	fputs("\r\033[K", stderr);
	if (text) {
		fprintf(stderr, "%.0f s: ", (double)(boot_ns() - w->since) / SECOND_NS);
		render_word(stderr, text, 0);
	}
	fflush(stderr);
}

static void progress_answer(const struct waiting *w, const json_t *answer)
{
	char flow[160], state[32], text[RENDER_TEXT];
	const json_t *n = json_object_get(answer, "negotiation");
	const char *error = json_get_text(n, "last_error");

	render_flow(json_object_get(answer, "flow"), flow, sizeof(flow));
	render_value(n, "state", state, sizeof(state));
	snprintf(text, sizeof(text), "%s waits (%.40s), negotiation %s%s%.200s", flow,
		 json_get_text(answer, "reason") ?: "?", json_is_object(n) ? state : "none",
		 error ? ": " : "", error ? error : "");
	progress(w, text);
}

/* One piece. 0 with the answer, or -errno with *e. */
static int ask(struct waiting *w, json_t **answer, struct error *e)
{
	uint64_t piece = w->terminal ? PROGRESS_NS : PIECE_NS, left = left_ns(w);
	json_t *args = json_copy(w->args);

	if (left < piece)
		piece = left;
	if (!args)
		return error_set(e, -ENOMEM, "no-memory", "no memory");
	/* a part of a millisecond too many: it is not asked again for it */
	json_object_set_new(args, "timeout_ms",
			    json_integer((json_int_t)(piece + 999999) / 1000000));
	return client_call(w->cli->socket, "wait", args, answer, e);
}

/*
 * A daemon that is there and cannot answer now, or was there and starts anew, which may take long
 * on a slow machine: it may be back in time. One that never was is not waited for.
 */
static bool may_come_back(const struct waiting *w, const struct error *e)
{
	return !strcmp(e->code, "starting") || !strcmp(e->code, "busy") ||
	       !strcmp(e->code, "daemon-died") ||
	       (w->reached && (!strcmp(e->code, "no-daemon") || !strcmp(e->code, "timeout")));
}

static int lost(const struct waiting *w, const struct error *e)
{
	struct error told = *e;

	if (w->reached && !strcmp(e->code, "no-daemon"))
		error_set(&told, -ECONNRESET, e->code,
			  "the daemon went away meanwhile and was not back within %.0f s: %.300s",
			  (double)(w->until - w->since) / SECOND_NS, e->message);
	return cli_error(w->cli, &told);
}

/* Until there is an answer that ends it, or an error (reported). */
static int wait_for_it(struct waiting *w, json_t **answer)
{
	for (;;) {
		struct error e = {};

		if (!ask(w, answer, &e)) {
			w->reached = true;
			if (cli_flow_status(*answer) != CLI_WAIT || !left_ns(w))
				return CLI_DONE;
			progress_answer(w, *answer);
			json_decref(TAKE_PTR(*answer));
			continue;
		}
		if (!may_come_back(w, &e) || !left_ns(w)) {
			progress(w, NULL);
			return lost(w, &e);
		}
		w->reached = true;
		progress(w, e.message);
		pause_ns(left_ns(w) < RECONNECT_NS ? left_ns(w) : RECONNECT_NS);
	}
}

/*
 * A flow that needs no protection passes at once: that may be meant, or a slip in its address or in
 * the policies, which is easily missed. The exit status.
 */
static int judge_clear(const struct cli *cli, const json_t *answer)
{
	const bool refused = cli_value(cli, "--protected");
	char flow[160], text[RENDER_TEXT];

	render_flow(json_object_get(answer, "flow"), flow, sizeof(flow));
	snprintf(text, sizeof(text), "%s %s: %.40s (%.160s)", flow,
		 refused ? "would go in clear, which --protected does not take" : "passes in clear",
		 json_get_text(answer, "reason") ?: "?",
		 json_get_text(answer, "text") ?: "no reason was given");
	if (!cli->json) {
		fputs("sagate: ", stderr);
		render_word(stderr, text, 0);
		fputc('\n', stderr);
	}
	return refused ? CLI_DENY : CLI_DONE;
}

static int run_wait(struct cli *cli)
{
	_cleanup_json_ json_t *args = json_object(), *answer = NULL;
	struct waiting w = {.cli = cli, .args = args, .terminal = isatty(STDERR_FILENO)};
	uint64_t timeout;
	double took;
	int r = parse_timeout(cli, &timeout);

	if (r == CLI_DONE)
		r = cli_flow(cli, args);
	if (r != CLI_DONE)
		return r;
	json_object_set_new(args, "pid", json_integer(getpid()));
	w.since = boot_ns();
	w.until = w.since + timeout;
	if (wait_for_it(&w, &answer) != CLI_DONE)
		return CLI_ERROR;
	progress(&w, NULL);
	took = (double)(boot_ns() - w.since) / SECOND_NS;
	json_object_set_new(answer, "waited_s", json_real(took));
	if (!cli->json) {
		render_explain(answer, false);
		printf("  %-12s %.3f s\n", "waited", took);
	} else if (cli_print(answer) != CLI_DONE) {
		return CLI_ERROR;
	}
	if (!strcmp(json_get_text(answer, "verdict") ?: "", "clear"))
		return judge_clear(cli, answer);
	return cli_flow_status(answer);
}

static const struct cli_option options[] = {
	{"--timeout", "TIME", false,
	 "how long at most, then status 3: seconds, or as 500ms, 2m; default: 30; 0: ask once"},
	{"--protected", NULL, false, "a flow that would pass in clear is refused: status 4"},
	CLI_FLOW_OPTIONS,
	{},
};

const struct command command_wait = {
	.name = "wait",
	.args = CLI_FLOW_ARGS,
	.summary = "Waits until a flow would pass, and negotiates what it needs",
	.words = CLI_FLOW_WORDS,
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.json = true,
	.run = run_wait,
};

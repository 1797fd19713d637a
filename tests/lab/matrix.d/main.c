// SPDX-License-Identifier: GPL-2.0-only
/*
 * matrix: see tests/lab/matrix, which starts it where the lab and a daemon are up.
 *
 *   matrix --sagate PATH --socket PATH --daemon PID [--json] [--verbose] [--only TEXT] [--state S]
 *          [--guard off]
 *   matrix --table      prints the table as WAYS.md has it
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"

/* Nobody starts the daemon again, nor makes the gate. */
static const enum state order[] = {NONE, UP, LOST, KEPT, CAME, HOLD, DEAD, OFF};

static bool known_state(const char *name)
{
	for (int s = 0; s < STATES; s++)
		if (!strcmp(name, state_names[s]))
			return true;
	return false;
}

static unsigned int run_all(const char *only, const char *state)
{
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		enum state s = order[i];
		double began = now_s();

		if (state && strcmp(state, state_names[s]))
			continue;
		wrong += s == HOLD ? run_hold(only) : run_state(s, only);
		fprintf(stderr, "matrix: %s: %.1f s\n", state_names[s], now_s() - began);
	}
	return wrong;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"sagate", 1, NULL, 'p'},	 {"socket", 1, NULL, 's'},
					      {"daemon", 1, NULL, 'd'},	 {"json", 0, NULL, 'j'},
					      {"verbose", 0, NULL, 'v'}, {"only", 1, NULL, 'o'},
					      {"state", 1, NULL, 'S'},	 {"table", 0, NULL, 't'},
					      {"guard", 1, NULL, 'g'},	 {NULL, 0, NULL, 0}};
	const char *only = NULL, *state = NULL;
	unsigned int wrong;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'p')
			world.sagate = optarg;
		else if (c == 's')
			world.socket = optarg;
		else if (c == 'd')
			world.daemon = atoi(optarg);
		else if (c == 'j')
			run_json = true;
		else if (c == 'v')
			run_verbose = true;
		else if (c == 'o')
			only = optarg;
		else if (c == 'S' && known_state(optarg))
			state = optarg;
		else if (c == 'g')
			world.guard = optarg;
		else if (c == 't')
			return table_print(), 0;
		else
			die("wrong words: see main.c");
	}
	if (!world.sagate || !world.socket || !world.daemon)
		die("wrong words: see main.c");
	host_open();
	wire_open(world.netns_a, world.netns_b);
	wrong = run_all(only, state);
	fprintf(stderr, "matrix: %u wrong\n", wrong);
	return wrong ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Who may use the control socket, and whose its path is. */
/* needs: loader/control.c loader/control_client.c loader/control_listen.c */
/* needs: loader/control_queue.c loader/control_request.c loader/json_util.c */
/* needs: loader/error.c loader/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server.h"

/* What user and group 65534 is told; without a request it only connects. */
static void asked_by_nobody(struct server *s, const char *request, const char *reply)
{
	char buf[512] = "";
	int status, pair[2];
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		ssize_t n;

		strcpy(sa.sun_path, s->path);
		if (setgid(65534) || setuid(65534) ||
		    connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
		    (request && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0))
			_exit(1);
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 || write(pair[1], buf, n) != n)
			_exit(2);
		_exit(0);
	}
	for (double end = now() + 5; waitpid(pid, &status, WNOHANG) == 0 && now() < end;)
		turn(s);
	assert_int_equal(status, 0);
	assert_true(read(pair[0], buf, sizeof(buf) - 1) > 0);
	assert_non_null(strstr(buf, reply));
	close(pair[0]);
	close(pair[1]);
}

static void only_root_is_served(void **state)
{
	struct server *s = *state;
	char dir[128];

	if (geteuid() != 0)
		skip();
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0755) | chmod(s->path, 0666), 0);
	asked_by_nobody(s, NULL, "\"code\":\"not-permitted\"");
}

static void members_of_the_group_look_and_no_more(void **state)
{
	struct server *s = *state;
	char dir[128];
	struct stat st;
	struct error e;
	unsigned int calls;

	if (geteuid() != 0)
		skip();
	assert_int_equal(control_share(s->control, "no such group", &e), -ENOENT);
	assert_int_equal(control_share(s->control, "nogroup", &e), 0);
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, 65534);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0711), 0);
	asked_by_nobody(s, "{\"command\":\"status\"}\n", "{\"result\":");
	calls = s->calls;
	asked_by_nobody(s, "{\"command\":\"attach\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"detach\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"wait\"}\n", "\"code\":\"not-permitted\"");
	asked_by_nobody(s, "{\"command\":\"doctor\"}\n", "\"code\":\"not-permitted\"");
	assert_int_equal(s->calls, calls);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

/* A member who takes every place: root still finds one. */
static void members_of_the_group_leave_room_for_root(void **state)
{
	struct server *s = *state;
	int status, pair[2];
	struct error e;
	char dir[128], one;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(control_share(s->control, "nogroup", &e), 0);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(chmod(s->dir, 0755) | chmod(dir, 0711), 0);
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un sa = {.sun_family = AF_UNIX};
		int fds[CONTROL_CLIENTS_MAX];

		strcpy(sa.sun_path, s->path);
		if (setgid(65534) || setuid(65534))
			_exit(1);
		close(pair[1]);
		for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
			fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
			if (connect(fds[i], (struct sockaddr *)&sa, sizeof(sa)))
				_exit(2);
		}
		_exit(read(pair[0], &one, 1) ? 3 : 0);
	}
	close(pair[0]);
	for (int i = 0; i < 2 * CONTROL_CLIENTS_MAX; i++)
		turn(s);
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
	close(pair[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void modes_of_socket_and_directory_are_roots_alone(void **state)
{
	struct server *s = *state;
	char dir[128];
	struct stat st;

	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	snprintf(dir, sizeof(dir), "%s/run", s->dir);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_living_daemons_socket_is_left_alone(void **state)
{
	struct server *s = *state;
	struct control *other = NULL;
	char expected[64], lock[160];
	struct error e;

	snprintf(expected, sizeof(expected), "another daemon (pid %d) serves", getpid());
	assert_int_equal(control_new(s->event, s->path, &ops, s, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.message, expected));
	assert_null(other);
	/* also when somebody removed its lock */
	snprintf(lock, sizeof(lock), "%s.lock", s->path);
	unlink(lock);
	assert_int_equal(control_new(s->event, s->path, &ops, s, &other, &e), -EADDRINUSE);
	assert_non_null(strstr(e.message, expected));
	ask(s, "{\"command\":\"echo\"}\n", "{\"result\":{}}");
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct server *s = *state;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *other = NULL;
	char lock[160];
	struct error e;
	int fd;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.90s/dead", s->dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	close(fd);
	assert_int_equal(control_new(s->event, sa.sun_path, &ops, s, &other, &e), 0);
	control_free(other);
	/* but never a file that is no socket */
	fd = open(sa.sun_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(control_new(s->event, sa.sun_path, &ops, s, &other, &e), -EEXIST);
	assert_int_equal(access(sa.sun_path, F_OK), 0);
	unlink(sa.sun_path);
	snprintf(lock, sizeof(lock), "%s.lock", sa.sun_path);
	unlink(lock);
	assert_int_equal(control_new(s->event, "control.sock", &ops, s, &other, &e), -EINVAL);
	assert_int_equal(control_new(s->event, "/nonexistent/dir/x", &ops, s, &other, &e), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_root_is_served),
		T(members_of_the_group_look_and_no_more),
		T(members_of_the_group_leave_room_for_root),
		T(modes_of_socket_and_directory_are_roots_alone),
		T(a_living_daemons_socket_is_left_alone),
		T(a_dead_daemons_socket_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

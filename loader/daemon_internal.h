/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon's parts, for the files that make it up: daemon*.c and explain.c. */
#ifndef SAGATE_DAEMON_INTERNAL_H
#define SAGATE_DAEMON_INTERNAL_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "bpf.h"
#include "config.h"
#include "control.h"
#include "event_turns.h"
#include "gates.h"
#include "holds.h"
#include "keeper.h"
#include "negotiations.h"
#include "space.h"

struct ring_buffer;

struct daemon {
	sd_event *event;
	const struct config *config; /* in force: the caller's, or `reloaded` */
	struct config reloaded;
	const char *config_path;
	struct bpf *bpf;
	struct gates *gates;
	struct space *spaces; /* list of those that are open; the first is "host" */
	const struct space_ops *space_ops;
	struct error space_errors[SPACES_MAX]; /* why those of the configuration are not open */
	struct negotiations *negotiations;
	struct holds *holds;
	struct keeper keeper;
	struct control *control;
	struct ring_buffer *ring;
	unsigned int records;	      /* that it gave in this turn of the loop */
	struct event_turns turns;     /* those of them that are still to be served … */
	sd_event_source *serve;	      /* … which this does while there are some */
	struct doctor *doctors;	      /* requests for a doctor, the first is at work */
	struct container *containers; /* gates whose network namespaces are spaces */
	struct losses *losses;	      /* sockets that lose what protects them */
	sd_event_source *room;	      /* see daemon_room.c */
	struct wait_request *waits;
	size_t wait_count;
	uint64_t started; /* boottime */
	bool dynmods_tried;
	bool ready; /* every space that could be opened is mirrored */
};

/* All of the new configuration, or, -errno with *e, when it has an error, nothing of it. */
int daemon_reload(struct daemon *d, struct error *e);

struct space *daemon_space(struct daemon *d, const char *name);
struct space *daemon_space_of(struct daemon *d, uint64_t netns);

/* daemon_events.c */
int daemon_events_open(struct daemon *d, struct error *e);
void daemon_events_close(struct daemon *d);
/* Once a second: what the log has to say of gates that ask for too much. */
void daemon_events_tell(struct daemon *d);
/* Somebody watches; else daemon_publish() is in vain. */
bool daemon_watched(const void *d);

/* daemon_spaces.c. The first: -errno with *e when the host cannot be opened. */
int daemon_open_spaces(struct daemon *d, const struct space_ops *ops, struct error *e);
void daemon_reload_spaces(struct daemon *d);
/* Once a second: namespaces that came, went, or are another one under the same name. */
void daemon_check_spaces(struct daemon *d);
/* default-block: the kernel's default policy is what it is to be, and what others did is told. */
void daemon_keep_default(struct daemon *d, struct space *s);
/* "show spaces": the open ones, then those of the configuration that are not. */
json_t *daemon_spaces_json(struct daemon *d);

/* The space of a container, for daemon_containers.c alone. */
int daemon_open_container(struct daemon *d, const char *name, const char *netns, struct error *e);
void daemon_close_container(struct daemon *d, struct space *s);

/*
 * daemon_containers.c. A gate for a container is new: nobody's gate becomes a container's, to be
 * taken off with it. With spd=own the network namespace of its processes becomes a space; when it
 * cannot, there is no gate.
 */
int daemon_attach_container(struct daemon *d, const char *name, const char *cgroup, const char *id,
			    struct gate_settings *settings, struct error *e);
/* Whether a gate has the namespace of its processes as a space: other settings leave it that. */
bool daemon_container_space(struct daemon *d, const char *name);
/* Those of a container that has ended: their names. None: they went with their cgroup. */
json_t *daemon_detach_container(struct daemon *d, const char *id);
/* Once a second, and at the start: the spaces are those that gates want. */
void daemon_containers_check(struct daemon *d);
void daemon_containers_stop(struct daemon *d);

/* Tells watchers, with the time. Takes the reference. */
void daemon_publish(struct daemon *d, json_t *event);

/*
 * daemon_queue.c. Spaces whose packets the kernel is to keep, as gates with hold-nonblocking=queue
 * want it: at each change of gates, and once a second.
 */
void daemon_queues(struct daemon *d);
/* What somebody took back is tried again. */
void daemon_queues_anew(struct daemon *d);
void daemon_queues_stop(struct daemon *d);

/*
 * daemon_losses.c: on-loss=close. Sockets of gates whose packets would leave in clear and must not
 * are closed, as decide() says of each: some at a time, in the loop.
 */
int daemon_losses_new(struct daemon *d, struct error *e);
void daemon_losses_free(struct daemon *d);
/* What protects flows in that space may have changed; NULL: in any. */
void daemon_losses_look(struct daemon *d, struct space *s);
/* The space is about to go. */
void daemon_losses_forget(struct daemon *d, const struct space *s);
/* Why this kernel cannot close sockets, where some gate wants it; NULL: it can, or none does. */
const char *daemon_losses_problem(struct daemon *d);

/*
 * daemon_room.c. All spaces share the maps: what one gives back is for those that are full. Once a
 * second, and on in the loop as long as more fits.
 */
int daemon_room_new(struct daemon *d, struct error *e);
void daemon_room_free(struct daemon *d);
void daemon_room_second(struct daemon *d);
/* Something has changed in the space. */
void daemon_room_note(struct daemon *d, struct space *s);

/* daemon_watch.c. Gates that others meddle with: looked for twice a second. */
int daemon_watch_new(struct daemon *d, struct error *e);
/* doctor: of a gate that is attached. */
void daemon_watch_checks(json_t *list, struct daemon *d, const struct gate *gate);

/* daemon_rights.c. doctor: the gate's processes that have rights by which they can pass it. */
void daemon_rights_checks(json_t *list, const struct gate *gate);

/* The settings of a gate as the maps have them, and back as text. */
void gate_settings_make(const struct daemon *d, const struct gate_config *in,
			struct gate_settings *out);
/* Gates came, went, or have other settings. */
void daemon_gates_changed(struct daemon *d);
json_t *gate_to_json(const struct daemon *d, const struct gate *gate);

/* Control commands. */
extern const struct control_ops daemon_control_ops;
/* Answers the request that is being handled with the SAs or policies of a space, NULL: of all. */
int daemon_show_entries(struct daemon *d, bool sad, const char *name, struct error *e);
int daemon_explain(struct daemon *d, const json_t *args, json_t **result, struct error *e);
/* Its two halves: decide() asked about the flow and gate of `args`, and the answer as JSON. */
int daemon_ask(struct daemon *d, const json_t *args, struct ask *a, struct gate **gate,
	       struct error *e);
json_t *daemon_explained(struct daemon *d, const struct ask *a, const struct gate *gate);

/* How many may wait at once (of CONTROL_CLIENTS_MAX: others are to be served too), how long. */
enum { WAITS_MAX = 48, WAIT_MS_MAX = 25000 };
/*
 * explain, answered when its verdict is no longer wait, or after `timeout_ms` of `args`. What is
 * needed for it is negotiated; `pid` in `args` is who wants it, for the log.
 */
int daemon_wait(struct daemon *d, const json_t *args, json_t **result, struct error *e);
/* The SPD, SAD, routes or requirements of a space changed: who waits there is asked about. */
void daemon_waits_settled(struct daemon *d, const struct space *s);
/* Once a second: what no event tells of (gates, staleness), and negotiations to be tried again. */
void daemon_waits_second(struct daemon *d);
/* Its client is gone. */
void daemon_wait_left(struct daemon *d, uint64_t request);
/*
 * Answers the request that is being handled, later: first every space's mirror is compared with the
 * kernel.
 */
void daemon_doctor(struct daemon *d);
/* The space is about to go. */
void daemon_doctor_forget(struct daemon *d, const struct space *s);
/* Ends them without an answer. */
void daemon_doctor_stop(struct daemon *d);
/* Spaces and gates as the daemon knows them: a list of checks. */
json_t *daemon_checks(struct daemon *d);
/* Adds one to such a list. `hint` may be NULL. */
__attribute__((format(printf, 5, 6))) void daemon_check_add(json_t *list, const char *check,
							    const char *status, const char *hint,
							    const char *fmt, ...);

#endif

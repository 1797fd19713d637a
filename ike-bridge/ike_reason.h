/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why did it not work? Picks, out of what charon logs while it initiates, the
 * line that says it best; and words for its alerts.
 */
#ifndef IKE_REASON_H
#define IKE_REASON_H

#include "ike_bridge.h"
#include "vici_msg.h"

struct ike_reason {
	int rank; /* 0: nothing yet */
	int err;  /* -errno */
	char text[IKE_TEXT_MAX];
};

/* Looks at one log line; a better one replaces what is there, an equal one too. */
void ike_reason_note(struct ike_reason *r, struct vici_str line);

/*
 * The -errno and the whole message of a failed initiate out of the daemon's
 * errmsg (may be empty) and the reason: "…errmsg…: …reason…".
 */
int ike_reason_tell(const struct ike_reason *r, struct vici_str errmsg, char *out, size_t size);

/* Words for an alert's type; the type itself if it is not a known one. */
const char *ike_alert_text(const char *type);

/* Copies as text: cut to size, anything but printable ASCII as '?'. */
void ike_text_copy(char *out, size_t size, struct vici_str s);

#endif

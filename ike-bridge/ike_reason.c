// SPDX-License-Identifier: GPL-2.0-only
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include "ike_reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What charon 5.9 and 6.0 log at level 1: part of the line, rank, error. */
static const struct {
	const char *part;
	int rank;
	int err;
} lines[] = {
	{"received AUTHENTICATION_FAILED notify", 9, -EKEYREJECTED},
	{"received NO_PROPOSAL_CHOSEN notify", 9, -EPROTO},
	{"received TS_UNACCEPTABLE notify", 9, -EPROTO},
	{"received INVALID_KE_PAYLOAD notify", 2, -EPROTO}, /* tried again by itself */
	{"no shared key found", 9, -ENOKEY},
	{"no private key found", 9, -ENOKEY},
	{"no trusted ", 8, -EKEYREJECTED},
	{"constraint check failed", 8, -EKEYREJECTED},
	{"authentication of ", 0, 0}, /* also when it succeeds */
	{"peer not responding", 9, -EHOSTUNREACH},
	{"giving up after ", 8, -EHOSTUNREACH},
	{"unable to resolve ", 9, -EDESTADDRREQ},
	{"unable to allocate SPI", 9, -EIO},
	{"unable to install", 9, -EIO},
	{"no acceptable proposal found", 8, -EPROTO},
	{"no acceptable traffic selectors", 8, -EPROTO},
	{"configured proposals", 0, 0},
	{"error writing to socket", 5, -ENETUNREACH},
	{"unable to determine source address", 5, -ENETUNREACH},
	{" notify error", 7, -EPROTO},
	{" notify, no CHILD_SA built", 7, -EPROTO},
	{"failed to establish CHILD_SA", 4, -EPROTO},
	{"retransmit ", 3, -EHOSTUNREACH},
};

/* What the answer's errmsg alone says. */
static const struct {
	const char *part;
	int err;
} answers[] = {
	{"not established after", -ETIMEDOUT},
	{"not found", -ENOENT},
	{"due to limits", -EBUSY},
};

static const struct {
	const char *type, *text;
} alerts[] = {
	{"local-auth-failed", "we failed to authenticate to the peer"},
	{"peer-auth-failed", "the peer failed to authenticate"},
	{"peer-addr-failed", "the peer's address cannot be resolved"},
	{"peer-init-unreachable", "the peer does not answer IKE_SA_INIT"},
	{"retransmit-send-timeout", "the peer stopped answering"},
	{"half-open-timeout", "the peer did not finish the exchange"},
	{"proposal-mismatch-ike", "no IKE proposal in common"},
	{"proposal-mismatch-child", "no ESP or AH proposal in common"},
	{"ts-mismatch", "no traffic selector in common"},
	{"ts-narrowed", "the peer narrowed the traffic selectors"},
	{"install-child-sa-failed", "the kernel refused the SA"},
	{"install-child-policy-failed", "the kernel refused the policy"},
	{"vip-failure", "no virtual IP address was assigned"},
	{"authorization-failed", "not authorized"},
	{"cert-expired", "a certificate has expired"},
	{"cert-revoked", "a certificate is revoked"},
	{"cert-validation-failed", "a certificate could not be validated"},
	{"cert-no-issuer", "no issuer certificate found"},
	{"cert-untrusted-root", "the root certificate is not trusted"},
};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static bool contains(struct vici_str s, const char *part)
{
	return s.len && memmem(s.p, s.len, part, strlen(part));
}

void ike_text_copy(char *out, size_t size, struct vici_str s)
{
	size_t len = s.len < size - 1 ? s.len : size - 1;

	for (size_t i = 0; i < len; i++)
		out[i] = s.p[i] < ' ' || s.p[i] > '~' ? '?' : s.p[i];
	out[len] = '\0';
}

void ike_reason_note(struct ike_reason *r, struct vici_str line)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (!contains(line, lines[i].part))
			continue;
		if (lines[i].rank && lines[i].rank >= r->rank) {
			r->rank = lines[i].rank;
			r->err = lines[i].err;
			ike_text_copy(r->text, sizeof(r->text), line);
		}
		return;
	}
}

int ike_reason_tell(const struct ike_reason *r, struct vici_str errmsg, char *out, size_t size)
{
	char msg[IKE_TEXT_MAX];
	int err = 0;

	ike_text_copy(msg, sizeof(msg), errmsg);
	snprintf(out, size, "%s%s%s", msg, msg[0] && r->rank ? ": " : "", r->rank ? r->text : "");
	if (!out[0])
		snprintf(out, size, "failed, and the daemon does not say why");
	for (size_t i = 0; i < ARRAY_SIZE(answers) && !err; i++) {
		if (contains(errmsg, answers[i].part))
			err = answers[i].err;
	}
	if (!err)
		err = r->rank ? r->err : -ECONNREFUSED;
	return err;
}

const char *ike_alert_text(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(alerts); i++) {
		if (!strcmp(alerts[i].type, type))
			return alerts[i].text;
	}
	return type;
}

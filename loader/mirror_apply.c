// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "mirror_internal.h"

struct space_state *mirror_state(const struct mirror *m)
{
	return m->sink->state(m->sink->ctx, m->space);
}

void mirror_lost(struct mirror *m)
{
	if (mirror_state(m)->synced == SYNCED)
		mirror_state(m)->synced = SYNCED_ONCE;
	m->comparing = false;
	m->again = true;
	if (!m->synced)
		return;
	m->synced = false;
	m->stats.resyncs++;
	if (m->ops->synced)
		m->ops->synced(m->ctx, false);
}

void mirror_tell(struct mirror *m, enum mirror_what what, const struct xfrm_change *c)
{
	m->changed = true;
	if (m->ops->changed)
		m->ops->changed(m->ctx, what, c);
}

bool mirror_default_set(struct mirror *m, const struct xfrm_change *c)
{
	struct space_state *state = mirror_state(m);

	if (state->default_block == c->default_block)
		return false;
	space_changed(state);
	state->default_block = c->default_block;
	space_changed(state);
	mirror_tell(m, MIRROR_DEFAULT, c);
	return true;
}

/* The result of a table's function: 1 changed, 0 not, -EAGAIN another dump must tell. */
static void applied(struct mirror *m, enum mirror_what what, const struct xfrm_change *c, int r)
{
	if (r == -EAGAIN)
		m->look_soon = true;
	else if (r < 0)
		mirror_lost(m);
	if (r > 0 || r == -EAGAIN)
		mirror_tell(m, what, c);
}

static void apply_policy(struct mirror *m, const struct xfrm_change *c)
{
	const __u8 type = c->kind == CHANGE_POLICY_FLUSH ? c->type : c->policy.type;
	const enum spd_class class = spd_class_of(type);
	int r;

	if (class == CLASS_COUNT)
		return;
	if (c->kind == CHANGE_POLICY_PUT)
		r = spd_put(m->spd, class, &c->policy);
	else if (c->kind == CHANGE_POLICY_FLUSH)
		r = spd_flush(m->spd, class) > 0;
	else
		r = spd_del(m->spd, class, c->policy.index);
	applied(m, MIRROR_POLICY, c, r);
}

void mirror_apply(struct mirror *m, const struct xfrm_change *c)
{
	mirror_found_touched(m, c);
	switch (c->kind) {
	case CHANGE_NONE:
		break;
	case CHANGE_POLICY_PUT:
	case CHANGE_POLICY_DEL:
	case CHANGE_POLICY_EXPIRED:
	case CHANGE_POLICY_FLUSH:
		apply_policy(m, c);
		break;
	case CHANGE_SA_PUT:
		applied(m, MIRROR_SA, c, sad_put(m->sad, &c->sa));
		break;
	case CHANGE_SA_UPDATE:
		applied(m, MIRROR_SA, c, sad_update(m->sad, &c->sa));
		break;
	case CHANGE_SA_DEL:
		applied(m, MIRROR_SA, c, sad_del(m->sad, &c->sa));
		break;
	case CHANGE_SA_EXPIRED:
		applied(m, MIRROR_SA, c, sad_expire(m->sad, &c->sa));
		break;
	case CHANGE_SA_FLUSH:
		applied(m, MIRROR_SA, c, sad_flush(m->sad, c->proto) > 0);
		break;
	case CHANGE_SA_SOFT_EXPIRED:
		mirror_tell(m, MIRROR_SA, c);
		break;
	case CHANGE_DEFAULT:
		m->default_told = true;
		mirror_default_set(m, c);
		break;
	case CHANGE_MIGRATE:
		mirror_lost(m);
		break;
	case CHANGE_UNKNOWN:
		m->stats.unknown++;
		m->look_soon = true;
		break;
	}
}

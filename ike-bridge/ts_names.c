// SPDX-License-Identifier: GPL-2.0-only
#include "ts_names.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

enum { KEY_PROTO = -1, NETDB_BUF = 4096 };

static const char *proto_name(int proto, struct protoent *ent, char *buf)
{
	struct protoent *found;

	if (!proto || getprotobynumber_r(proto, ent, buf, NETDB_BUF, &found) || !found)
		return NULL;
	return ent->p_name;
}

static int system_proto(const char *name)
{
	struct protoent ent, *found;
	char buf[NETDB_BUF];

	if (getprotobyname_r(name, &ent, buf, sizeof(buf), &found) || !found)
		return -1;
	return ent.p_proto;
}

static int system_port(const char *name, int proto)
{
	char pbuf[NETDB_BUF], buf[NETDB_BUF];
	struct servent ent, *found;
	struct protoent pent;
	const char *pname = proto_name(proto, &pent, pbuf);
	int port;

	if (getservbyname_r(name, pname, &ent, buf, sizeof(buf), &found) || !found)
		return -1;
	port = ent.s_port;
	if (getservbyport_r(port, pname, &ent, buf, sizeof(buf), &found) || !found ||
	    strcmp(ent.s_name, name))
		return -1;
	return ntohs(port);
}

static int lookup(struct ts_names_system *s, const char *name, int key)
{
	unsigned int i;
	int value;

	for (i = 0; i < s->n; i++) {
		if (s->cache[i].key == key && !strcmp(s->cache[i].name, name))
			return s->cache[i].value;
	}
	value = key == KEY_PROTO ? system_proto(name) : system_port(name, key);
	if (i < TS_NAMES_CACHE && strlen(name) < TS_NAMES_LEN) {
		strcpy(s->cache[i].name, name);
		s->cache[i].key = key;
		s->cache[i].value = value;
		s->n++;
	}
	return value;
}

static int names_proto(void *ctx, const char *name)
{
	return lookup(ctx, name, KEY_PROTO);
}

static int names_port(void *ctx, const char *name, uint8_t proto)
{
	return lookup(ctx, name, proto);
}

void ts_names_system_init(struct ts_names_system *s)
{
	memset(s, 0, sizeof(*s));
	s->names = (struct ts_names){names_proto, names_port, s};
}

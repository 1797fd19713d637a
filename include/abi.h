/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between the BPF programs and the daemon: keys, values and events of the pinned
 * maps. Fixed-width types, no implicit padding (built with -Wpadded -Werror on both sides), because
 * the kernel compares map keys bytewise and a ring buffer record shows every byte.
 *
 * Addresses and ports are in network byte order, IPv4 addresses in word 0 with the rest zero.
 * Everything else is in host order. Times are nanoseconds of CLOCK_BOOTTIME, unless said otherwise.
 *
 * Zero means the safest everywhere: an entry nobody has written yet refuses.
 */
#ifndef SAGATE_ABI_H
#define SAGATE_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <assert.h>
#endif
#include "reasons.h"

/* Layout and meaning of everything below. A daemon refuses pins of another number. */
#define SAGATE_ABI 8

#define SPACES_MAX    64  /* mirrored network namespaces */
#define SPD_MASKS_MAX 128 /* selector shapes in use, for each space, class and family */
#define TMPLS_MAX     2	  /* templates a mirrored policy can have */
#define SAD_SLOTS_MAX 16  /* SAs with the same address, reqid, mode, protocol and if_id */
#define VERDICTS_MAX  4	  /* a power of two, as the next: counters are indexed with a mask */
#define REASONS_MAX   64
#define UNHELD_MAX    16
#define HOLDS_MAX     32768 /* calls that wait */
#define RECENT_MAX    2048  /* flows that passed a moment ago, for each CPU; a power of two */
#define PLENS_MAX     129   /* prefix lengths of routes, for each space and family */
#define FWMARKS_MAX   8	    /* marks that policy routing compares, in each space */
#define EVENTS_SHARE  1024  /* events of one gate: see share.bpf.h; the ring holds 18724 */

/* Under way, backed off or ended a while ago, of all gates. */
#define NEGOTIATIONS_MAX 16384

/* Entries of spd, sad and routes unless the configuration has other sizes ([daemon] *-max=). */
#define POLICIES_MAX 262144
#define SAS_MAX	     262144
#define ROUTES_MAX   131072

/* A space whose heartbeat is older is stale. The daemon beats every second. */
#define HEARTBEAT_LATE_NS 5000000000ULL

/* Where a part of a flow comes from. */
enum known {
	KNOWN_NOT,
	KNOWN_BOUND,
	KNOWN_ROUTED,
	KNOWN_INTERFACE, /* an xfrm interface's own, while it is looked up there */
	KNOWN_INSTEAD,	 /* the routed one, in place of the one that the socket is bound to */
	KNOWN_AGAIN,	 /* routed, while a VRF device looks the packet up */
	KNOWN_UNSURE,	 /* bound to one, and it is not known which one counts */
};

/* What one socket call asks about. */
struct flow {
	__u64 netns; /* cookie of the network namespace (SO_NETNS_COOKIE) */
	__be32 saddr[4];
	__be32 daddr[4];
	__be16 sport; /* 0: not bound; ICMP: the type, as xfrm_flowi_sport has it */
	__be16 dport; /* ICMP: the code */
	__u32 mark;   /* SO_MARK */
	__u32 oif;    /* bound or routed device, 0: unknown */
	__u32 if_id;  /* of the xfrm interface it is routed into, 0: none */
	__u8 family;  /* AF_INET or AF_INET6, after v4-mapped addresses were unwrapped */
	__u8 proto;
	__u8 has_saddr; /* enum known: the socket's own, or what routing would choose */
	__u8 has_oif;	/* enum known */
	__u32 link;	/* what that interface itself sends on, 0: any */
};

/* gate_settings, CGROUP_STORAGE: one entry for each attached cgroup, all zeros at attach. */
struct gate_settings {
	__u64 cgroup_id;      /* of the gate; 0: settings not written yet */
	__u64 spd_netns;      /* cookie of the space to ask, 0: the caller's own */
	__u8 mode;	      /* enum mode */
	__u8 allow_no_policy; /* 1: no-policy=allow */
	__u8 stale_open;      /* 1: stale=open */
	__u8 own_space; /* 1: the daemon mirrors the namespace of the processes in the cgroup */
	__u16 errno_waiting;		/* positive errno; 0: EAGAIN */
	__u16 errno_failed;		/* 0: EHOSTUNREACH */
	__u16 errno_denied;		/* 0: EACCES */
	__u8 hold_nonblocking;		/* enum nonblocking */
	__u8 guard_off;			/* 1: guard=off */
	__u32 hold_timeout;		/* ms; 0: nothing is held */
	__u32 hold_nonblocking_timeout; /* ms */
	__u16 hold_max;			/* how many calls may wait at once */
	__u8 close_on_loss;		/* 1: on-loss=close */
	__u8 pad;
	__u16 negotiations_max; /* how many it may have opened */
	__u16 pad2;
	/* The programs' own; 0 whenever the daemon writes the settings. See share.bpf.h. */
	__u32 share_used; /* events since its share began, … */
	__u64 share_from; /* … and where the ring buffer stood then */
	__u64 let_down;	  /* when a call was last rejected because nobody put it to sleep */
};

/* gate_counters, PERCPU_CGROUP_STORAGE. */
struct gate_counters {
	__u64 verdict[VERDICTS_MAX];
	__u64 reason[REASONS_MAX];
	__u64 refused;		  /* calls that got an errno */
	__u64 audited;		  /* wait or deny that passed because of mode audit */
	__u64 events;		  /* records put into the ring buffer */
	__u64 lost;		  /* records the ring buffer had no room for */
	__u64 held;		  /* calls that were made to wait */
	__u64 unheld[UNHELD_MAX]; /* those that had to wait and were not made to, by enum unheld */
	__u64 guard_dropped;	  /* packets */
	__u64 guard_audited;	  /* packets that passed because of mode audit */
};

/* spaces: cookie of a network namespace (__u64) → slot (__u32) in space_state. */

/* Is the mirror whole? Stale is also a space whose heartbeat is late. */
enum synced {
	SYNCED_NEVER, /* no snapshot yet: nothing is known, only loopback passes */
	SYNCED,	      /* a whole snapshot is in the maps and nothing was missed since */
	SYNCED_ONCE,  /* something was missed: what would be protected waits */
};

/* What does not fit into its map. */
enum full {
	FULL_SPD = 1,
	FULL_SAD = 2,
	FULL_ROUTES = 4,
	FULL_COMMIT = 8,
};

/* What becomes of packets whose policy lacks an SA (net.core.xfrm_larval_drop). */
enum queue {
	QUEUE_KEEPS = 1, /* it is 0, as far as the daemon knows: the kernel keeps them */
	QUEUE_OURS = 2,	 /* the daemon made it so, and is to take it back */
};

#define FWMARKS_UNKNOWN 0xff

struct fwmark {
	__u32 mark, mask;
};

/* space_state, ARRAY, mmapable. */
struct space_state {
	__u64 netns;	    /* cookie, 0: slot not in use */
	__u64 heartbeat;    /* the daemon's last sign of life */
	__u32 epoch;	    /* raised before and after every change: see decide(), recent.bpf.h */
	__u8 synced;	    /* 1: a whole snapshot is in the maps and nothing was missed since */
	__u8 default_block; /* 1: the kernel's default policy for output is block */
	__u8 full;	    /* enum full bits: what does not fit is unknown, and unknown refuses */
	__u8 fwmarks;	    /* how many are in use; FWMARKS_UNKNOWN: hints hold for mark 0 only */
	__u8 masks[CLASS_COUNT][2];	   /* 0: no policy of that [family == AF_INET6] */
	__u8 plens[2];			   /* 0: no hint of that family */
	__u8 vrfs;			   /* enum route_vrf: VRF_AGAIN: there are VRF devices */
	__u8 queue;			   /* enum queue bits */
	struct fwmark fwmark[FWMARKS_MAX]; /* what policy routing compares a mark with */
};

/* From a class to its own of source ports not given yet. */
#define CLASS_SPORT (CLASS_SUB_SPORT - CLASS_SUB)
_Static_assert(CLASS_COUNT == 2 * CLASS_SPORT, "each class has one");

/* spd_masks: which selector shapes are in use, best priority first. */
struct spd_masks_key {
	__u32 space;
	__u8 class; /* enum spd_class */
	__u8 family;
	__u16 pad;
};

/*
 * spd_mask.dev, bits. Policies for multicast groups have shapes of their own, apart from those for
 * hosts: what is sent to a group has a source that is not known (IP_MULTICAST_IF chooses), and a
 * policy for one host must not make it wait.
 */
enum {
	MASK_DEV = 1,	/* the device is compared */
	MASK_HOST = 2,	/* no destination behind it is in a group … */
	MASK_GROUP = 4, /* … or all are; neither: it has both */
};

struct spd_mask {
	__u32 best;	       /* the lowest (= first chosen) priority behind this mask */
	__u32 mark;	       /* mark mask */
	__be16 sport, dport;   /* port masks */
	__u8 src_len, dst_len; /* prefix lengths */
	__u8 proto;	       /* 1: the protocol is compared */
	__u8 dev;	       /* MASK_ bits */
};

/* One value, replaced as a whole: the list and its length never disagree. */
struct spd_masks {
	struct spd_mask mask[SPD_MASKS_MAX];
	__u32 count;
};

/*
 * spd: masked selector → the policy that the kernel would choose among those with exactly this
 * masked selector (the lowest priority; on a tie the protecting one).
 */
struct spd_key {
	__u32 space;
	__u32 if_id;
	__u32 mark;	 /* mark.v */
	__u32 mark_mask; /* mark.m */
	__be32 saddr[4], daddr[4];
	__be16 sport, dport;
	__be16 sport_mask, dport_mask;
	__u32 ifindex; /* 0: any */
	__u8 class;
	__u8 family;
	__u8 proto; /* 0: any */
	__u8 src_len, dst_len;
	__u8 pad[3];
};

struct spd_tmpl {
	__be32 saddr[4],
		daddr[4]; /* tunnel, BEET, IPTFS: the SA's; other modes: the flow's own are used */
	__be32 spi;	  /* 0: any */
	__u32 reqid;
	__u8 family; /* of the SA's addresses (encap_family) */
	__u8 proto;  /* IPPROTO_ESP, IPPROTO_AH, IPPROTO_COMP */
	__u8 mode;   /* XFRM_MODE_* */
	__u8 optional;
};

/*
 * Of two policies with the same priority the kernel takes the older one, if it keeps both in the
 * same of its two lists. Which one that is is known if index and order say the same: UPDPOLICY
 * keeps the index and, from one kernel to the other, the place or not. Otherwise its choice is not
 * known.
 */
enum spd_place {
	PLACE_UNKNOWN,
	PLACE_EXACT,   /* both prefixes whole: hashed (xfrm_policy_insert(), policy_hash_bysel()) */
	PLACE_INEXACT, /* in the tree of prefixes */
	PLACE_TIED,    /* not known, and others with its masked selector differ from it */
};

struct spd_value {
	__u32 index;	/* the kernel's policy index; a requirement's number */
	__u32 priority; /* lower is chosen first */
	union {
		__u32 order; /* lower was inserted before, by UPDPOLICY too; 0: place is not known
			      */
		__u32 mark;  /* as spd_lookup() leaves it: what the SA's mark is compared with */
	};
	__u8 block;	 /* 1: XFRM_POLICY_BLOCK */
	__u8 trap_block; /* 1: and it was a trap before: an IKE daemon negotiates */
	__u8 tmpl_count; /* may be more than TMPLS_MAX: then the policy refuses */
	__u8 place;	 /* enum spd_place: where among those of its priority */
	struct spd_tmpl tmpl[TMPLS_MAX];
};

/* sad: what a template asks → one SA. Slots 0 … slots - 1 are all in use, without holes. */
struct sad_key {
	__u32 space;
	__u32 if_id;
	__u32 reqid;
	__be32 daddr[4];
	__u8 family;
	__u8 proto;
	__u8 mode;
	__u8 slot;
};

struct sad_value {
	__u64 deadline;	 /* hard expiry by time, 0: none */
	__be32 saddr[4]; /* all zero: any */
	__be32 spi;
	__u32 mark, mark_mask;
	__be32 sel_saddr[4], sel_daddr[4];
	__be16 sel_sport, sel_dport, sel_sport_mask, sel_dport_mask;
	__u32 sel_ifindex;
	__u8 sel_family; /* 0: the selector is not compared */
	__u8 sel_proto;
	__u8 sel_src_len, sel_dst_len;
	__u8 slots;  /* valid in slot 0: how many there are */
	__u8 dir_in; /* 1: it lets in only; the kernel may choose it all the same, and refuses */
	__u8 pad[10];
};

/*
 * route_plens: prefix lengths in use, longest first; of one family and one way of asking: what the
 * socket is bound to, and which of space_state.fwmark its mark fits otherwise than mark 0 does.
 */
struct route_plens_key {
	__u32 space;
	__u32 oif;   /* device that the socket is bound to, 0: none */
	__u16 marks; /* a bit for each of space_state.fwmark */
	__u8 family;
	__u8 pad;
};

struct route_plens {
	__u8 len[PLENS_MAX];
	__u8 count;
	__u8 pad[6];
};

/* routes: what the kernel's routing answers for every address under this longest prefix. */
struct route_key {
	__u32 space;
	__u32 oif; /* these two as in route_plens_key */
	__u16 marks;
	__u8 family;
	__u8 len;
	__be32 addr[4]; /* masked */
};

/* What a socket that is bound to a source may do otherwise; where nothing is known, any. */
enum by_source {
	BY_SOURCE_DEVICE = 1, /* leave by another device, or have no route */
	BY_SOURCE_XFRMI = 2,  /* and one of them is an xfrm interface */
};

/* What VRF devices do to a packet (vrf.c, l3mdev.c). */
enum route_vrf {
	VRF_BOUND = 1, /* the socket is bound to one: routing takes it out of the flow */
	VRF_AGAIN = 2, /* it is sent on one, which looks up again what comes out of xfrm */
	VRF_QUEUE = 4, /* the one it is sent in has a queue: it looks up again what went into it */
	VRF_LINK = 8,  /* what the xfrm interface sends on is in one */
	VRF_OWN = 16,  /* sent on one, to an address of its own */
	VRF_LEFT = 32, /* IPv6 routing leaves the socket's: the source is not known, all else is */
};

struct route_value {
	__be32 saddr[4]; /* the source address routing chooses */
	__u32 oif;	 /* 0: which device is not known, the source is */
	__u8 none;	 /* 1: no route (the kernel refuses the call) */
	__u8 noxfrm;	 /* 1: the device has disable_xfrm (IPv4) */
	__u8 loopback;	 /* 1: the device is a loopback device: the default policy exempts it */
	__u8 unknown; /* 1: the answer differs within the prefix: source and device are not known */
	__u32 if_id;  /* of the device, if it is an xfrm interface */
	__u32 link;   /* what that interface itself sends on, 0: any; if it is none: the
		       * VRF device that looks the packet up again, 0: none does */
	__u8 xfrmi;   /* 1: the device is an xfrm interface */
	__u8 by_source; /* enum by_source */
	/*
	 * 1: the source is one that an IPv6 route names. A packet has it, and a tunnel that routing
	 * gives its source has not (xfrm6_get_saddr() asks ipv6_dev_get_saddr(), not the route).
	 */
	__u8 named;
	__u8 vrf_flags; /* enum route_vrf */
	__u32 vrf;	/* the VRF that the device in the flow is in, 0: none */
};

/* failed: what is being backed off → until when; written by the daemon. Also the event's key. */
struct neg_key {
	__u32 space;
	__u32 index;	/* of the policy or requirement */
	__be32 peer[4]; /* the SA's far address: the template's, or the flow's */
	__u8 class;
	__u8 family; /* of peer */
	__u16 pad;
};

/* alerts, LRU: when an event about it was last put into the ring buffer (value: __u64 time). */
struct alert_key {
	struct neg_key neg;
	__u32 pid; /* process */
	__u8 reason;
	__u8 verdict;
	__u16 pad;
};

/* What else a remembered answer hangs on, and RECENT_ANY_SPORT. */
enum recent_how {
	RECENT_NO_POLICY = 1,  /* the gate's allow_no_policy */
	RECENT_STALE_OPEN = 2, /* the gate's stale_open */
	RECENT_ANY_SPORT = 4,  /* no source port was compared: it is the answer of all of them */
	RECENT_IPV6 = 8,
	RECENT_PACKET = 16,    /* of a packet */
	RECENT_FORWARDED = 32, /* … and its host's space was asked */
	RECENT_ROUTED = 64,    /* … and its socket has no source */
};

/*
 * recent, ARRAY: a flow that passed, as the hook gave it and without what routing chose, and as
 * long as what the answer holds. One cache line. RECENT_MAX of them for each CPU, one CPU's after
 * the other's. The network namespace is the space's; a source or device that is not known is 0.
 */
struct recent {
	__be32 saddr[4], daddr[4]; /* daddr of 0: nothing was here yet */
	__be16 sport, dport;
	__u32 mark;
	__u32 oif;
	__u8 proto;
	__u8 how; /* enum recent_how */
	__u8 space;
	__u8 reason;
	union {
		__u64 until;  /* jiffies, 0: no end */
		__u64 socket; /* of a packet: the socket's cookie, in place of the namespace */
	};
	__u32 epoch; /* of the space, when it was decided */
	__u32 turn;  /* odd: it is being written */
};

/* An event is repeated at most this often for one process and negotiation. */
#define ALERT_EVERY_NS 1000000000ULL

/* decide()'s answer. */
struct decision {
	struct neg_key neg;    /* whose SA is missing; index 0 and class CLASS_COUNT: nobody's */
	__be32 spi[TMPLS_MAX]; /* the SAs that protect, by template */
	__u8 verdict;	       /* enum verdict */
	__u8 reason;	       /* enum reason */
	__u8 tmpl;	       /* the template that failed */
	__u8 failed;	       /* 1: the last negotiation failed and its back-off runs */
	__u32 sub_index;       /* policy chosen of class SUB, 0: none */
	__u32 main_index;      /* policy chosen of class MAIN, 0: none */
	__u32 req_index;       /* requirement that matched, 0: none */
};

/* ask, SEC("syscall"): the same decision, asked from userspace. in: flow, gate; out: the rest. */
struct ask {
	struct flow flow; /* comes back with the source address and device that were used */
	struct gate_settings gate;
	struct decision decision;
	__u32 vrf; /* a tunnel's source is routed in this one, 0: none, ~0: not known */
};

/*
 * holds: a thread (its id) → its call that waits. Written by the program that refuses, and by the
 * daemon only while the thread sleeps in a waiting room, or is gone.
 */
struct hold {
	__u64 since;	/* the call was first refused */
	__u64 until;	/* then it waits no longer */
	__u64 asked;	/* the daemon was last told */
	__u64 released; /* the daemon let it go on, 0: it did not yet */
	__u64 turning;	/* since when nobody puts it to sleep; of worth while there are tries */
	__u64 netns;	/* cookie of the network namespace */
	__be32 daddr[4];
	__be16 dport;
	__u8 family;
	__u8 proto;
	__u32 tries; /* refusals since the daemon last had it */
	__u8 hook;   /* enum hook */
	__u8 nonblocking;
	__u8 kick;     /* 1: a program on the way out has to make the call restart */
	__u8 stop;     /* enum unheld: the daemon does not put it to sleep, it is to be rejected */
	__u8 restarts; /* 1: no handler of a signal ends it by itself */
	__u8 signal;   /* the one for whose handler the daemon let it out, 0: none */
	__u8 stopped;  /* 1: it let it out to be stopped, and no handler ends the call */
	__u8 pad;
};

/* hold_pids: a process, by its id, of whose threads some sleep in waiting rooms. */
struct hold_pid {
	__u32 threads; /* how many; the daemon writes it */
	__u32 told;    /* 1: the daemon is told of a signal, and has not looked yet */
};

/* events, also: a signal came for a process of hold_pids. Told from the others by its size. */
struct hold_signal {
	__u32 pid;
	__u8 pad[4];
};

/* How this kernel makes a call restart. */
enum kick {
	KICK_NONE,
	KICK_TASK_WORK, /* bpf_task_work_schedule_signal() */
	KICK_SIGNALS,	/* the programs of kick.bpf.h */
};

/*
 * A call that nobody puts to sleep is rejected: after so many turns of about 10 µs when the daemon
 * let one of its gate down and has put nobody to sleep since; otherwise not before so much time,
 * for which a busy host may take the daemon's virtual CPU away.
 */
#define HOLD_TRIES_MAX	 2048
#define HOLD_PATIENCE_NS 300000000ULL
/* The daemon is told again when the thread still turns. */
#define HOLD_ASK_EVERY_NS 20000000ULL
/* A thread that was let go so long ago makes a new call; see also hold_comes_back(). */
#define HOLD_AGAIN_NS 1000000000ULL

/* events, RINGBUF. */
struct event {
	__u64 time;
	__u64 gate;	 /* cgroup id of the gate */
	__u64 cgroup_id; /* of the caller; of a packet's socket */
	struct flow flow;
	struct decision decision;
	__u32 pid, tid; /* of a packet 0 where they are not known */
	__s32 error;	/* negative errno given to the caller, 0: the call passed (audit) */
	__u8 hook;	/* enum hook */
	__u8 mode;
	__u8 held;   /* 1: the call waits to be put to sleep: see holds */
	__u8 unheld; /* enum unheld */
	__u8 pad[4];
	__u64 started; /* the thread */
	union {
		__u64 since;  /* held: when the call was first refused, … */
		__u64 socket; /* of a packet: the socket's cookie */
	};
	__u64 until;  /* … and when it waits no longer */
	__u64 ip, sp; /* held: where the thread made it */
	char comm[16];
};

/*
 * A UDP connect() or send to here is refused by every gate, with this errno and uncounted, whatever
 * else it does: by that the daemon sees that its gates' refusals reach callers. Of dummy prefixes
 * (RFC 7600, RFC 9780), where nobody sends to. Host order.
 */
#define PROBE_PORT   1
#define PROBE_ERRNO  129	 /* EKEYREJECTED */
#define PROBE_IPV4   0xc0000008U /* 192.0.0.8 */
#define PROBE_IPV6_0 0x01000000U /* 100:0:0:1:: */
#define PROBE_IPV6_1 1

#define SAGATE_SIZE(t, n) _Static_assert(sizeof(struct t) == (n), "ABI: size of struct " #t)
_Static_assert(VERDICT_COUNT <= VERDICTS_MAX, "verdicts have counters");
_Static_assert(REASON_COUNT <= REASONS_MAX, "reasons have counters");
_Static_assert(UNHELD_COUNT <= UNHELD_MAX, "causes have counters");
SAGATE_SIZE(flow, 64);
SAGATE_SIZE(gate_settings, 64);
SAGATE_SIZE(gate_counters, 728);
SAGATE_SIZE(spd_masks_key, 8);
SAGATE_SIZE(spd_masks, 2052);
SAGATE_SIZE(route_plens_key, 12);
SAGATE_SIZE(route_plens, 136);
SAGATE_SIZE(ask, 184);
SAGATE_SIZE(space_state, 104);
SAGATE_SIZE(spd_mask, 16);
SAGATE_SIZE(spd_key, 68);
SAGATE_SIZE(spd_tmpl, 44);
SAGATE_SIZE(spd_value, 104);
SAGATE_SIZE(sad_key, 32);
SAGATE_SIZE(sad_value, 96);
SAGATE_SIZE(route_key, 28);
SAGATE_SIZE(route_value, 40);
SAGATE_SIZE(neg_key, 28);
SAGATE_SIZE(alert_key, 36);
SAGATE_SIZE(recent, 64);
SAGATE_SIZE(decision, 52);
SAGATE_SIZE(event, 216);
SAGATE_SIZE(hold, 80);
SAGATE_SIZE(hold_pid, 8);
SAGATE_SIZE(hold_signal, 8);

#endif

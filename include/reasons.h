/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verdicts, reasons and the other closed lists that the BPF programs, the daemon, the JSON output
 * and the metrics share. Each is written once, as an X-macro; numbers are part of the pinned ABI
 * (SAGATE_ABI in abi.h): append, never renumber.
 */
#ifndef SAGATE_REASONS_H
#define SAGATE_REASONS_H

/* X(NAME, "name"). Zero is the answer nobody can be hurt by. */
#define SAGATE_VERDICTS(X)                                                                         \
	X(WAIT, "wait")                                                                            \
	X(DENY, "deny")                                                                            \
	X(CLEAR, "clear")                                                                          \
	X(PROTECTED, "protected")

/* X(NAME, verdict, "name", "what it means, for a person"). */
#define SAGATE_REASONS(X)                                                                          \
	X(GATE_UNSET, WAIT, "gate-unset", "the gate's settings are not written yet")               \
	X(NO_SPACE, WAIT, "no-space", "this network namespace is not mirrored")                    \
	X(STALE, WAIT, "stale", "the mirror is not to be trusted (no snapshot, or daemon silent)") \
	X(CHANGING, WAIT, "changing", "the mirror changed during the decision, several times")     \
	X(SOURCE_UNKNOWN, WAIT, "source-unknown",                                                  \
	  "the source address that routing would choose is not known")                             \
	X(TABLE_FULL, WAIT, "table-full",                                                          \
	  "a table of the mirror is full: what it lacks is unknown")                               \
	X(TEMPLATE_LIMIT, WAIT, "template-limit",                                                  \
	  "the policy has more templates than are mirrored")                                       \
	X(NO_SA, WAIT, "no-sa", "no SA to that address with the template's reqid, mode, protocol") \
	X(SA_SOURCE, WAIT, "sa-source", "the SA has another source address")                       \
	X(SA_SPI, WAIT, "sa-spi", "the SA has another SPI than the template asks")                 \
	X(SA_MARK, WAIT, "sa-mark", "the SA has another mark")                                     \
	X(SA_SELECTOR, WAIT, "sa-selector", "the flow is outside the SA's selector")               \
	X(SA_EXPIRED, WAIT, "sa-expired", "the SA has passed its hard lifetime")                   \
	X(REQUIRED_NO_POLICY, WAIT, "required-no-policy",                                          \
	  "a requirement asks for protection and no policy gives it yet")                          \
	X(REQUIRED_CLEAR, WAIT, "required-clear",                                                  \
	  "a requirement asks for protection and the policy would send in clear")                  \
	X(TRAP_BLOCK, WAIT, "trap-block", "an IKE daemon blocks the flow while it negotiates")     \
	X(FLOW_UNKNOWN, DENY, "flow-unknown",                                                      \
	  "the call's destination, or what a raw socket sends, cannot be told")                    \
	X(POLICY_BLOCK, DENY, "policy-block", "the policy blocks")                                 \
	X(DEFAULT_BLOCK, DENY, "default-block", "no policy, and the kernel's default is block")    \
	X(NO_POLICY_DENY, DENY, "no-policy-deny", "no policy, and the gate has no-policy=deny")    \
	X(NO_POLICY, CLEAR, "no-policy", "no policy and no requirement")                           \
	X(POLICY_ALLOW, CLEAR, "policy-allow", "the policy allows without a template")             \
	X(POLICY_OPTIONAL, CLEAR, "policy-optional",                                               \
	  "the policy's templates are optional and no SA stands")                                  \
	X(NOXFRM_DEVICE, CLEAR, "noxfrm-device", "the output device is exempt (disable_xfrm)")     \
	X(NO_ROUTE, CLEAR, "no-route", "there is no route: the kernel refuses the call itself")    \
	X(IKE_DAEMON, CLEAR, "ike-daemon",                                                         \
	  "the caller is the IKE daemon, or the socket's own policy allows")                       \
	X(STALE_OPEN, CLEAR, "stale-open", "the mirror is stale and the gate has stale=open")      \
	X(SA, PROTECTED, "sa", "every template has a usable SA")                                   \
	X(UDP_PORT_0, CLEAR, "udp-port-0",                                                         \
	  "a UDP connect() to port 0 only asks for a source address")                              \
	X(COMPRESSED, CLEAR, "compressed",                                                         \
	  "the policy's SAs only compress (IPComp): nothing is encrypted")                         \
	X(INTERFACE_NO_POLICY, WAIT, "interface-no-policy",                                        \
	  "it is routed into an xfrm interface, and no policy with its if_id protects")            \
	X(POLICY_TIE, WAIT, "policy-tie",                                                          \
	  "policies of the same priority differ, and which one the kernel takes is not known")     \
	X(SPORT_UNKNOWN, WAIT, "sport-unknown",                                                    \
	  "a source port is compared, and the socket has none yet")                                \
	X(SA_ANY_SOURCE, WAIT, "sa-any-source",                                                    \
	  "an optional template, and an SA without a source: one being made may hide it")          \
	X(VRF_LOOKUP, WAIT, "vrf-lookup",                                                          \
	  "the VRF device looks the packet up again, and it is not known or not let through")      \
	X(SA_DIRECTION, WAIT, "sa-direction",                                                      \
	  "an optional template, and an SA with dir in that it would take: the kernel refuses")    \
	X(UDP_CONNECT, CLEAR, "udp-connect",                                                       \
	  "a UDP connect() sends nothing: its first send is judged")                               \
	X(SOURCE_ROUTE, DENY, "source-route",                                                      \
	  "a source route or routing header would lead packets past where they are judged")

/* What a gate does with wait. Zero is the strictest. */
#define SAGATE_MODES(X)                                                                            \
	X(REJECT, "reject")                                                                        \
	X(AUDIT, "audit")                                                                          \
	X(HOLD, "hold")

/* Why a call that has to wait was not made to wait, in a gate with mode hold. X(NAME, "name",
 * text). */
#define SAGATE_UNHELD(X)                                                                           \
	X(NOT, "held", "it waits")                                                                 \
	X(REASON, "reason", "no SA would let it pass")                                             \
	X(FAILED, "failed", "the negotiation has just failed")                                     \
	X(KICK, "no-kick", "there is no way to make a call wait here (sagate doctor)")             \
	X(CALL, "call", "not a connect() or send that a thread makes itself")                      \
	X(NONBLOCK, "non-blocking", "the call is not to block (hold-nonblocking=reject, queue)")   \
	X(TABLE, "table-full", "too many calls wait")                                              \
	X(ROOM, "no-room", "its cgroup can have no waiting room")                                  \
	X(SPIN, "not-parked", "the daemon did not put it to sleep")                                \
	X(TIMEOUT, "timeout", "it has waited as long as it may")                                   \
	X(QUEUE, "queued", "it goes on, and the kernel keeps its SYN (hold-nonblocking=queue)")

/* What mode hold does with a call that is not to block. Zero is the strictest. */
#define SAGATE_NONBLOCKINGS(X)                                                                     \
	X(REJECT, "reject")                                                                        \
	X(HOLD, "hold")                                                                            \
	X(QUEUE, "queue")

/*
 * Tables of selectors in the order in which they are asked (xfrm_policy_lookup: SUB first). Behind
 * them one more for each, of those that compare a source port which the kernel may give to a socket
 * that has none yet: the same policies without their source port (spd.h).
 */
#define SAGATE_CLASSES(X)                                                                          \
	X(SUB, "sub")                                                                              \
	X(MAIN, "main")                                                                            \
	X(REQUIRE, "require")                                                                      \
	X(SUB_SPORT, "sub-sport")                                                                  \
	X(MAIN_SPORT, "main-sport")                                                                \
	X(REQUIRE_SPORT, "require-sport")

/* Which hook saw the call. */
#define SAGATE_HOOKS(X)                                                                            \
	X(CONNECT4, "connect4")                                                                    \
	X(CONNECT6, "connect6")                                                                    \
	X(SENDMSG4, "sendmsg4")                                                                    \
	X(SENDMSG6, "sendmsg6")                                                                    \
	X(LSM_CONNECT, "lsm_connect")                                                              \
	X(LSM_SENDMSG, "lsm_sendmsg")                                                              \
	X(EGRESS, "egress")                                                                        \
	X(SETSOCKOPT, "setsockopt")

#define SAGATE_ENUM_VERDICT(n, s)      VERDICT_##n,
#define SAGATE_ENUM_REASON(n, v, s, t) REASON_##n,
#define SAGATE_ENUM_MODE(n, s)	       MODE_##n,
#define SAGATE_ENUM_UNHELD(n, s, t)    UNHELD_##n,
#define SAGATE_ENUM_NONBLOCK(n, s)     NONBLOCKING_##n,
#define SAGATE_ENUM_CLASS(n, s)	       CLASS_##n,
#define SAGATE_ENUM_HOOK(n, s)	       HOOK_##n,

enum verdict { SAGATE_VERDICTS(SAGATE_ENUM_VERDICT) VERDICT_COUNT };
enum reason { SAGATE_REASONS(SAGATE_ENUM_REASON) REASON_COUNT };
enum mode { SAGATE_MODES(SAGATE_ENUM_MODE) MODE_COUNT };
enum unheld { SAGATE_UNHELD(SAGATE_ENUM_UNHELD) UNHELD_COUNT };
enum nonblocking { SAGATE_NONBLOCKINGS(SAGATE_ENUM_NONBLOCK) NONBLOCKING_COUNT };
enum spd_class { SAGATE_CLASSES(SAGATE_ENUM_CLASS) CLASS_COUNT };
enum hook { SAGATE_HOOKS(SAGATE_ENUM_HOOK) HOOK_COUNT };

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The system calls that can be made to wait, of x86 (arch/x86/entry/syscalls): X(number, the
 * register with its descriptor, that with its MSG_ flags or none). No number is one call of a
 * 64-bit program and another of a 32-bit one that comes here, too.
 */
#ifndef SAGATE_HELD_CALLS_H
#define SAGATE_HELD_CALLS_H

#define SAGATE_HELD_CALLS(X)                                                                       \
	X(1, di, none)	 /* write */                                                               \
	X(20, di, none)	 /* writev */                                                              \
	X(42, di, none)	 /* connect */                                                             \
	X(44, di, r10)	 /* sendto */                                                              \
	X(46, di, dx)	 /* sendmsg */                                                             \
	X(54, di, none)	 /* setsockopt */                                                          \
	X(4, bx, none)	 /* of a 32-bit program: write, */                                         \
	X(146, bx, none) /* writev, */                                                             \
	X(362, bx, none) /* connect, */                                                            \
	X(366, bx, none) /* setsockopt, */                                                         \
	X(369, bx, si)	 /* sendto, */                                                             \
	X(370, bx, dx)	 /* sendmsg */

#define HELD_SENDMMSG	307 /* before anything of it is sent */
#define HELD_SOCKETCALL 102 /* of a 32-bit program: connect, send, sendto, setsockopt, sendmsg */

#endif

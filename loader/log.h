/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Log lines on standard error, with the priority prefix that the journal reads (<3> … <7>) when
 * standard error is not a terminal. A line says what happened to which object and what follows.
 */
#ifndef SAGATE_LOG_H
#define SAGATE_LOG_H

#include <syslog.h>

void log_set_level(int max);	       /* LOG_ERR … LOG_DEBUG; default LOG_INFO */
int log_level_parse(const char *name); /* "error" "warning" "notice" "info" "debug"; -EINVAL */
void log_at(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_at(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_at(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)	 log_at(LOG_DEBUG, __VA_ARGS__)

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line an event on standard error, `level message`, where the
 * web server, the supervisor or the journal picks it up.
 *
 * Untrusted bytes are harmless in it: control characters and everything
 * outside ASCII are written as \xNN, so that no input can forge a line or
 * drive a terminal; a newline ends the event. Never log a body, args, a token
 * or a conninfo.
 */
#ifndef REPLICACHE_LOG_H
#define REPLICACHE_LOG_H

#include "settings.h"

/* The longest line; what is longer is cut. A line is one write(2), so lines of
 * several threads and processes do not mix. */
#define LOG_LINE_MAX 1024

/* Sets which levels are written. */
void log_set_level(enum log_level level);

/* True if lines of LEVEL are written: to spare work for the log alone. */
bool log_enabled(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log: one line an event on standard error, where the web server, the
 * supervisor or the journal picks it up.
 *
 *	text	replicache: info request path=/push status=403 user="Ann B."
 *	json	{"time":"2026-01-31T23:59:59.123Z","level":"info",
 *		"message":"request","path":"/push","status":403,"user":"Ann B."}
 *
 * Untrusted bytes are harmless in it, as all of a line is printable ASCII: no
 * input can forge a line or drive a terminal. In the text form other bytes are
 * written as \xNN (printable.h), in JSON other characters are written as
 * \uNNNN, and bytes that are no UTF-8 as the text \xNN. A newline ends a
 * message, but not a field: two values that differ are never written alike,
 * unless both are too long, and then they bear a mark: "..." behind the value,
 * in JSON a character U+2026 at its end.
 *
 * Where standard error is the journal, a line begins with its priority, as in
 * "<4>", in both forms: the journal takes it off (sd-daemon(3)), so that
 * journalctl -p warning finds it, and what it keeps of a line of JSON is JSON.
 *
 * Never log a body, args, a token or a conninfo, nor what a mutator said, as it
 * may have said its args.
 */
#ifndef REPLICACHE_LOG_H
#define REPLICACHE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "settings.h"

/* The longest line; what is longer is cut. A line is one write(2), so lines of
 * several threads and processes do not mix: POSIX promises that for pipes of
 * up to 4096 bytes. */
#define LOG_LINE_MAX 4096

/* The longest message, and the longest text in a field, as written; that of a
 * whole field is what the line has room for. */
#define LOG_MESSAGE_MAX 1024
#define LOG_FIELD_MAX 256

/* A fact that belongs to an event. */
struct log_field {
	const char *name; /* of letters alone */
	const char *text; /* or NULL: it is the number */
	int64_t number;
	bool whole; /* the text is short, and must not be cut */
};

/* Finds out whether standard error is the journal, by JOURNAL_STREAM. Without
 * it no line has a priority. */
void log_open(void);

/* What a line of LEVEL to standard error begins with: "<4>" or "". */
const char *log_priority(enum log_level level);

/* Sets which levels are written. Any time will do. */
void log_set_level(enum log_level level);

/* Sets what a line looks like. Any time will do. */
void log_set_format(enum log_format format);

/* True if lines of LEVEL are written: to spare work for the log alone. */
bool log_enabled(enum log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes the event MESSAGE with its COUNT FIELDS, but those with the text "",
 * in their order. */
void log_event(enum log_level level, const char *message,
    const struct log_field *fields, size_t count);

#endif

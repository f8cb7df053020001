/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log on standard error.
 */
#include "config.h"

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int threshold = LOG_LEVEL_INFO;

void
log_set_level(enum log_level level)
{
	threshold = level;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= threshold;
}

/* Writes `name text`, every byte that is not printable ASCII escaped. */
static void
write_line(const char *name, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	char line[LOG_LINE_MAX];
	size_t n;

	n = (size_t)snprintf(line, sizeof(line), "replicache: %s ", name);
	for (; *text != '\0' && n + 5 < sizeof(line); text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c < 0x7f) {
			line[n++] = (char)c;
			continue;
		}
		line[n++] = '\\';
		line[n++] = 'x';
		line[n++] = hex[c >> 4];
		line[n++] = hex[c & 15];
	}
	line[n++] = '\n';
	/* A log that can't be written has nobody to tell. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

static void write_event(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
write_event(enum log_level level, const char *format, va_list args)
{
	static const char *const names[] = {
	    [LOG_LEVEL_ERROR] = "error",
	    [LOG_LEVEL_WARNING] = "warning",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_DEBUG] = "debug",
	};
	char text[LOG_LINE_MAX];

	if (!log_enabled(level))
		return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	write_line(names[level], text);
}

#define DEFINE_LEVEL(function, level)                                          \
	void function(const char *format, ...)                                 \
	{                                                                      \
		va_list args;                                                  \
                                                                               \
		va_start(args, format);                                        \
		write_event(level, format, args);                              \
		va_end(args);                                                  \
	}

DEFINE_LEVEL(log_error, LOG_LEVEL_ERROR)
DEFINE_LEVEL(log_warning, LOG_LEVEL_WARNING)
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO)
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG)

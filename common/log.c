/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The log on standard error.
 */
#include "config.h"

#include "log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Kept free for what ends a line. */
#define END_MAX 4

/* The longest form of a byte: an escaped backslash, and xNN. */
#define ESCAPED_MAX 5

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic int shape = LOG_FORMAT_TEXT;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

/* A line that is being made. */
struct line {
	bool json;
	size_t n;
	char bytes[LOG_LINE_MAX];
};

void
log_set_level(enum log_level level)
{
	threshold = level;
}

void
log_set_format(enum log_format format)
{
	shape = format;
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= threshold;
}

/* How C is written: its length. */
static size_t
escape(unsigned char c, bool quoted, bool json, char out[ESCAPED_MAX])
{
	static const char hex[] = "0123456789abcdef";
	bool marked = c == '"' || c == '\\';
	size_t n = 0;

	if (c >= 0x20 && c < 0x7f && !(quoted && marked)) {
		out[n++] = (char)c;
		return n;
	}
	out[n++] = '\\';
	if (marked) {
		out[n++] = (char)c;
		return n;
	}
	if (json)
		out[n++] = '\\';
	out[n++] = 'x';
	out[n++] = hex[c >> 4];
	out[n++] = hex[c & 15];
	return n;
}

/* Appends TEXT up to a newline, as far as there is room: MAX bytes, and what
 * the line has. No escape is cut. */
static void
append_text(struct line *line, const char *text, size_t max, bool quoted)
{
	size_t end = line->n + max;

	if (end > sizeof(line->bytes) - END_MAX)
		end = sizeof(line->bytes) - END_MAX;
	for (; *text != '\0' && *text != '\n'; text++) {
		char escaped[ESCAPED_MAX];
		size_t n =
		    escape((unsigned char)*text, quoted, line->json, escaped);

		if (line->n + n > end)
			return;
		memcpy(line->bytes + line->n, escaped, n);
		line->n += n;
	}
}

static void append(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends what is known to be short and plain. */
static void
append(struct line *line, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(
	    line->bytes + line->n, sizeof(line->bytes) - line->n, format, args);
	va_end(args);
	if (n > 0 && (size_t)n < sizeof(line->bytes) - line->n)
		line->n += (size_t)n;
}

static void
append_time(struct line *line)
{
	struct timespec now;
	struct tm parts;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	append(line, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void
begin(struct line *line, enum log_level level, const char *message)
{
	line->json = shape == LOG_FORMAT_JSON;
	line->n = 0;
	if (line->json) {
		append_time(line);
		append(line, ",\"level\":\"%s\",\"message\":\"",
		    level_names[level]);
		append_text(line, message, LOG_MESSAGE_MAX, true);
		append(line, "\"");
	} else {
		append(line, "replicache: %s ", level_names[level]);
		append_text(line, message, LOG_MESSAGE_MAX, false);
	}
}

/* In the text form a value is quoted where it would not stand out. */
static bool
needs_quotes(const char *text)
{
	return strpbrk(text, " \"=\\") != NULL;
}

static void
append_field(struct line *line, const struct log_field *field)
{
	bool quoted =
	    line->json || (field->text != NULL && needs_quotes(field->text));
	size_t room = sizeof(line->bytes) - END_MAX - line->n;

	if ((field->text != NULL && field->text[0] == '\0') ||
	    room < strlen(field->name) + LOG_FIELD_MAX + 8)
		return;
	append(line, line->json ? ",\"%s\":" : " %s=", field->name);
	if (field->text == NULL) {
		append(line, "%" PRId64, field->number);
		return;
	}
	append(line, "%s", quoted ? "\"" : "");
	append_text(line, field->text, LOG_FIELD_MAX, quoted);
	append(line, "%s", quoted ? "\"" : "");
}

static void
end(struct line *line)
{
	append(line, line->json ? "}\n" : "\n");
	/* A log that can't be written has nobody to tell. */
	if (write(STDERR_FILENO, line->bytes, line->n) < 0)
		return;
}

void
log_event(enum log_level level, const char *message,
    const struct log_field *fields, size_t count)
{
	struct line line;

	if (!log_enabled(level))
		return;
	begin(&line, level, message);
	for (size_t i = 0; i < count; i++)
		append_field(&line, &fields[i]);
	end(&line);
}

static void write_message(enum log_level level, const char *format,
    va_list args) __attribute__((format(printf, 2, 0)));

static void
write_message(enum log_level level, const char *format, va_list args)
{
	char text[LOG_MESSAGE_MAX + 1];

	if (!log_enabled(level))
		return;
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		return;
	log_event(level, text, NULL, 0);
}

#define DEFINE_LEVEL(function, level)                                          \
	void function(const char *format, ...)                                 \
	{                                                                      \
		va_list args;                                                  \
                                                                               \
		va_start(args, format);                                        \
		write_message(level, format, args);                            \
		va_end(args);                                                  \
	}

DEFINE_LEVEL(log_error, LOG_LEVEL_ERROR)
DEFINE_LEVEL(log_warning, LOG_LEVEL_WARNING)
DEFINE_LEVEL(log_info, LOG_LEVEL_INFO)
DEFINE_LEVEL(log_debug, LOG_LEVEL_DEBUG)

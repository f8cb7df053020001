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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "printable.h"
#include "utf8.h"

/* Kept free for what ends a field and the line. */
#define END_MAX 16

/* The longest form of a character: JSON escapes the backslash of an escape. */
#define PIECE_MAX (PRINTABLE_MAX + 1)

static _Atomic int threshold = LOG_LEVEL_INFO;
static _Atomic int shape = LOG_FORMAT_TEXT;
static _Atomic bool journal;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

/* syslog(3)'s numbers, as sd-daemon(3) has them: info is 6, as 5 is notice. */
static const char *const priorities[] = {
    [LOG_LEVEL_ERROR] = "<3>",
    [LOG_LEVEL_WARNING] = "<4>",
    [LOG_LEVEL_INFO] = "<6>",
    [LOG_LEVEL_DEBUG] = "<7>",
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

void
log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat status;
	char own[64];

	journal = false;
	if (stream == NULL || fstat(STDERR_FILENO, &status) < 0)
		return;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino);
	journal = strcmp(stream, own) == 0;
}

const char *
log_priority(enum log_level level)
{
	return journal ? priorities[level] : "";
}

bool
log_enabled(enum log_level level)
{
	return (int)level <= threshold;
}

/* A byte of a text, or the C0 control or longer character that starts there,
 * as JSON has it: its length. Invalid UTF-8 has no such form. */
static size_t
escape_json(struct printable *text, char out[PIECE_MAX])
{
	unsigned char c = (unsigned char)*text->at;
	size_t n = c < 0x80 ? 1 : utf8_sequence(text->at, text->end), columns;
	uint32_t code = c;

	if (n == 0) {
		out[0] = '\\';
		return 1 + printable_next(text, out + 1, &columns);
	}
	if (n > 1)
		code = utf8_decode(text->at, n);
	text->at += n;
	if (code >= 0x10000)
		return (size_t)snprintf(out, PIECE_MAX, "\\u%04x\\u%04x",
		    (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
		    (unsigned)(0xdc00 + (code & 0x3ff)));
	if (code < 0x20 || code >= 0x7f)
		return (size_t)snprintf(
		    out, PIECE_MAX, "\\u%04x", (unsigned)code);
	if (code == '"' || code == '\\')
		*out++ = '\\';
	*out = (char)code;
	return code == '"' || code == '\\' ? 2 : 1;
}

/* The same in the text form. */
static size_t
escape_text(struct printable *text, bool quoted, char out[PIECE_MAX])
{
	char c = *text->at;
	size_t columns;

	if (!quoted || (c != '"' && c != '\\'))
		return printable_next(text, out, &columns);
	out[0] = '\\';
	out[1] = c;
	text->at++;
	return 2;
}

/* Appends LENGTH bytes of TEXT as far as there is room: MAX bytes, and what the
 * line has. No escape is cut. Returns false if something is missing. */
static bool
append_text(
    struct line *line, const char *text, size_t length, size_t max, bool quoted)
{
	struct printable printable;
	size_t end = line->n + max;

	if (end > sizeof(line->bytes) - END_MAX)
		end = sizeof(line->bytes) - END_MAX;
	printable_init(&printable, text, length, PRINTABLE_ASCII);
	while (printable.at < printable.end) {
		char piece[PIECE_MAX];
		size_t n = line->json ? escape_json(&printable, piece)
				      : escape_text(&printable, quoted, piece);

		if (line->n + n > end)
			return false;
		memcpy(line->bytes + line->n, piece, n);
		line->n += n;
	}
	return true;
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
	size_t length = strcspn(message, "\n");

	line->json = shape == LOG_FORMAT_JSON;
	line->n = 0;
	append(line, "%s", log_priority(level));
	if (line->json) {
		append_time(line);
		append(line, ",\"level\":\"%s\",\"message\":\"",
		    level_names[level]);
		append_text(line, message, length, LOG_MESSAGE_MAX, true);
		append(line, "\"");
	} else {
		append(line, "replicache: %s ", level_names[level]);
		append_text(line, message, length, LOG_MESSAGE_MAX, false);
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
	bool all;

	/* What is written behind a value may have come into what is kept free.
	 */
	if ((field->text != NULL && field->text[0] == '\0') ||
	    line->n + strlen(field->name) + LOG_FIELD_MAX + 8 >
		sizeof(line->bytes) - END_MAX)
		return;
	append(line, line->json ? ",\"%s\":" : " %s=", field->name);
	if (field->text == NULL) {
		append(line, "%" PRId64, field->number);
		return;
	}
	append(line, "%s", quoted ? "\"" : "");
	all = append_text(line, field->text, strlen(field->text),
	    field->whole ? sizeof(line->bytes) : LOG_FIELD_MAX, quoted);
	if (!all && line->json)
		append(line, "%s", "\\u2026");
	append(line, "%s", quoted ? "\"" : "");
	if (!all && !line->json)
		append(line, "...");
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

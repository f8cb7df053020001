/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of common/log: what it writes to standard error, which is a pipe here
 * for as long as a line takes.
 */
#include "config.h"

#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "log.h"
#include "scan.h"

/* Far below what a pipe holds, so that nobody waits for a reader. */
#define WRITTEN_MAX 60000

static char written[WRITTEN_MAX];
static int place_of_stderr, reader;

static void
capture(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	place_of_stderr = dup(STDERR_FILENO);
	assert_true(place_of_stderr >= 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
}

/* Fills `written` with what was written since, NUL-terminated. */
static size_t
release(void)
{
	size_t length = 0;
	ssize_t n;

	dup2(place_of_stderr, STDERR_FILENO);
	close(place_of_stderr);
	while ((n = read(reader, written + length,
		    sizeof(written) - 1 - length)) > 0)
		length += (size_t)n;
	close(reader);
	written[length] = '\0';
	return length;
}

static const struct {
	enum log_level level;
	void (*write)(const char *format, ...);
	const char *name;
} levels[] = {
    {LOG_LEVEL_ERROR, log_error, "error"},
    {LOG_LEVEL_WARNING, log_warning, "warning"},
    {LOG_LEVEL_INFO, log_info, "info"},
    {LOG_LEVEL_DEBUG, log_debug, "debug"},
};

static void
a_line_names_its_level(void **state)
{
	char line[64];

	(void)state;
	log_set_level(LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < 4; i++) {
		capture();
		levels[i].write("%s %d", "text", 7);
		release();
		snprintf(line, sizeof(line), "replicache: %s text 7\n",
		    levels[i].name);
		assert_string_equal(written, line);
	}
}

static void
levels_below_the_threshold_are_silent(void **state)
{
	(void)state;
	for (size_t t = 0; t < 4; t++) {
		log_set_level(levels[t].level);
		for (size_t i = 0; i < 4; i++) {
			capture();
			levels[i].write("x");
			assert_int_equal(release() > 0, i <= t);
			assert_int_equal(log_enabled(levels[i].level), i <= t);
			capture();
			log_event(levels[i].level, "x", NULL, 0);
			assert_int_equal(release() > 0, i <= t);
		}
	}
	log_set_level(LOG_LEVEL_DEBUG);
}

/* Every byte but NUL and newline, alone between two letters. */
static void
what_is_not_printable_is_escaped(void **state)
{
	(void)state;
	for (unsigned c = 1; c < 256; c++) {
		char text[] = {'a', (char)c, 'z', '\0'}, line[64];

		if (c == '\n')
			continue;
		capture();
		log_error("%s", text);
		release();
		snprintf(line, sizeof(line),
		    c >= 0x20 && c < 0x7f ? "replicache: error a%cz\n"
					  : "replicache: error a\\x%02xz\n",
		    c);
		assert_string_equal(written, line);
	}
}

/* No input forges a line: what is behind a newline is not written. */
static void
an_event_is_one_line(void **state)
{
	(void)state;
	capture();
	log_error("%s", "one\nreplicache: error two\n");
	release();
	assert_string_equal(written, "replicache: error one\n");
	capture();
	log_error("%s", "\n");
	release();
	assert_string_equal(written, "replicache: error \n");
}

/* Around the longest message, of plain bytes and of escaped ones. */
static void
long_messages_are_cut(void **state)
{
	static const char head[] = "replicache: info ";
	static char text[3 * LOG_MESSAGE_MAX];

	(void)state;
	for (size_t length = LOG_MESSAGE_MAX - 8; length < LOG_MESSAGE_MAX + 8;
	     length++) {
		size_t n, kept = length < LOG_MESSAGE_MAX ? length
							  : LOG_MESSAGE_MAX;

		memset(text, 'x', length);
		text[length] = '\0';
		capture();
		log_info("%s", text);
		n = release();
		assert_int_equal(n, strlen(head) + kept + 1);
		assert_memory_equal(written, head, strlen(head));
		assert_int_equal(strspn(written + strlen(head), "x"), kept);
		assert_int_equal(written[n - 1], '\n');
	}
	for (size_t before = 0; before < 4; before++) {
		size_t n;

		memset(text, 'x', before);
		memset(text + before, '\x1b', sizeof(text) - before - 1);
		text[sizeof(text) - 1] = '\0';
		capture();
		log_info("%s", text);
		n = release();
		assert_in_range(n, LOG_MESSAGE_MAX, strlen(head) + LOG_MESSAGE_MAX + 1);
		/* No escape is cut within. */
		assert_string_equal(written + n - 5, "\\x1b\n");
		assert_int_equal((n - strlen(head) - before - 1) % 4, 0);
	}
}

static void
an_event_has_fields(void **state)
{
	static const struct log_field fields[] = {{"path", "/push", 0, false},
	    {"status", NULL, 403, false}, {"error", "", 0, false},
	    {"user", "Ann B.", 0, true},
	    {"odd", "a\"b\\c=\x1b\xc3\xa4", 0, false},
	    {"low", NULL, INT64_MIN, false}};

	(void)state;
	capture();
	log_event(LOG_LEVEL_INFO, "request, \"cut\"", fields, 6);
	release();
	assert_string_equal(written,
	    "replicache: info request, \"cut\" path=/push status=403 "
	    "user=\"Ann B.\" odd=\"a\\\"b\\\\c=\\x1b\\xc3\\xa4\" "
	    "low=-9223372036854775808\n");
	log_set_format(LOG_FORMAT_JSON);
	capture();
	log_event(LOG_LEVEL_INFO, "request, \"cut\"", fields, 6);
	release();
	log_set_format(LOG_FORMAT_TEXT);
	assert_memory_equal(written, "{\"time\":\"2", 10);
	assert_string_equal(strstr(written, ",\"level\""),
	    ",\"level\":\"info\",\"message\":\"request, \\\"cut\\\"\","
	    "\"path\":\"/push\",\"status\":403,\"user\":\"Ann B.\","
	    "\"odd\":\"a\\\"b\\\\c=\\u001b\\u00e4\","
	    "\"low\":-9223372036854775808}\n");
}

/* Whatever the bytes, a line of JSON is one object, and one line. */
static void
json_is_json(void **state)
{
	static char bytes[256], large[2 * LOG_MESSAGE_MAX];
	struct log_field fields[40];
	struct error error;
	unsigned flags;

	(void)state;
	for (int c = 1; c < 256; c++)
		bytes[c - 1] = (char)c;
	log_set_format(LOG_FORMAT_JSON);
	for (size_t start = 0; start < 255; start++) {
		size_t n;

		/* Rows of backslashes and quotes at each place of a cut. */
		memset(large, start % 2 == 0 ? '\\' : '"', sizeof(large) - 1);
		memcpy(large, bytes + start % 240, start % 7);
		for (size_t i = 0; i < 40; i++)
			fields[i] = (struct log_field){
			    "x", i % 2 == 0 ? large : bytes + start, 0, false};
		capture();
		log_event(LOG_LEVEL_ERROR, large, fields, start % 41);
		n = release();
		assert_in_range(n, 2, LOG_LINE_MAX);
		assert_ptr_equal(strchr(written, '\n'), written + n - 1);
		if (scan_document(written, n, 100, &flags, &error) < 0)
			fail_msg("%s: %s", error.message, written);
	}
	log_set_format(LOG_FORMAT_TEXT);
}

/* The line of an event that has one field. */
static const char *
line_of(const char *text, bool whole)
{
	const struct log_field field = {"user", text, 0, whole};

	capture();
	log_event(LOG_LEVEL_INFO, "x", &field, 1);
	release();
	return strstr(written, "user");
}

/* Whoever has two names has two lines, in either form. */
static void
no_two_values_look_alike(void **state)
{
	static const char *const values[] = {"a", "a\nb", "a\n", "a\\nb",
	    "a\\x0ab", "a b", "a\tb", "a\rb", "\"a\"", "a\"", "\\\"a",
	    "a\x7f", "a\\x7f", "\xc3\xa9", "e\xcc\x81", "e",
	    "\xd0\xb0", /* the Cyrillic a */
	    "a\xe2\x80\x8b", "a\xe2\x80\xae", "\\u00e9", "\\xc3\\xa9",
	    "\xf0\x9f\x98\x80", "\\ud83d\\ude00"};
	enum {
		COUNT = sizeof(values) / sizeof(values[0])
	};
	char lines[COUNT][64];

	(void)state;
	for (int format = 0; format < 2; format++) {
		log_set_format(
		    format == 0 ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
		for (size_t i = 0; i < COUNT; i++) {
			snprintf(lines[i], sizeof(lines[i]), "%s",
			    line_of(values[i], false));
			assert_int_equal(
			    strspn(lines[i], "\n"), 0);
			for (size_t j = 0; j < i; j++)
				assert_string_not_equal(lines[i], lines[j]);
		}
	}
	assert_string_equal(
	    line_of("a\n\xf0\x9f\x98\x80\xff", false),
	    "user\":\"a\\u000a\\ud83d\\ude00\\\\xff\"}\n");
	log_set_format(LOG_FORMAT_TEXT);
	assert_string_equal(line_of("a\nb", false), "user=a\\x0ab\n");
}

/* What is long is cut, and bears a mark, but for what must be whole. */
static void
long_fields_are_marked(void **state)
{
	static char a[256], b[256];

	(void)state;
	memset(a, '\x01', 255);
	memset(b, '\x01', 254);
	b[254] = '\x02';
	for (int format = 0; format < 2; format++) {
		const char *mark = format == 0 ? "...\n" : "\\u2026\"}\n";
		const char *line;

		log_set_format(
		    format == 0 ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON);
		line = line_of(a, false);
		assert_in_range(strlen(line), LOG_FIELD_MAX, LOG_FIELD_MAX + 24);
		assert_string_equal(line + strlen(line) - strlen(mark), mark);
		line = line_of(a, true);
		assert_null(strstr(line, mark));
		assert_non_null(strstr(line, format == 0 ? "\\x01\n" : "\\u0001\"}"));
		line = line_of(b, true);
		assert_non_null(strstr(line, format == 0 ? "\\x02\n" : "\\u0002\"}"));
	}
	log_set_format(LOG_FORMAT_TEXT);
}

/* Only where standard error is the very stream that JOURNAL_STREAM names. */
static void
the_journal_gets_priorities(void **state)
{
	static const char expected[] =
	    "<3>replicache: error e\n<4>replicache: warning w\n"
	    "<6>replicache: info i\n<7>replicache: debug d\n<4>{\"time\":\"";
	char stream[64];
	struct stat status;

	(void)state;
	capture();
	assert_int_equal(fstat(STDERR_FILENO, &status), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju",
	    (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open();
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
	log_set_format(LOG_FORMAT_JSON);
	log_warning("j");
	log_set_format(LOG_FORMAT_TEXT);
	release();
	assert_memory_equal(written, expected, strlen(expected));
	for (int other = 0; other < 3; other++) {
		static const char *const streams[] = {"1:2", "", "x"};

		capture();
		setenv("JOURNAL_STREAM", streams[other], 1);
		log_open();
		log_warning("w");
		assert_string_equal(log_priority(LOG_LEVEL_ERROR), "");
		release();
		assert_string_equal(written, "replicache: warning w\n");
	}
	unsetenv("JOURNAL_STREAM");
	log_open();
}

static void *
write_lines(void *letter)
{
	for (int i = 0; i < 25; i++)
		log_info("%0*d%s", 400, 0, (const char *)letter);
	return NULL;
}

/* Lines of two threads do not mix. */
static void
a_line_is_one_write(void **state)
{
	static char a[] = "a", b[] = "b";
	pthread_t thread;
	unsigned lines = 0;
	char *rest = written, *line;

	(void)state;
	capture();
	assert_int_equal(pthread_create(&thread, NULL, write_lines, a), 0);
	write_lines(b);
	pthread_join(thread, NULL);
	release();
	while ((line = strsep(&rest, "\n")) != NULL && rest != NULL) {
		assert_int_equal(strlen(line), strlen("replicache: info ") + 401);
		assert_non_null(strchr("ab", line[strlen(line) - 1]));
		lines++;
	}
	assert_int_equal(lines, 50);
}

static void
nobody_hears_a_log_that_is_closed(void **state)
{
	int saved = dup(STDERR_FILENO);

	(void)state;
	close(STDERR_FILENO);
	log_error("x");
	dup2(saved, STDERR_FILENO);
	close(saved);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_line_names_its_level),
	    cmocka_unit_test(levels_below_the_threshold_are_silent),
	    cmocka_unit_test(what_is_not_printable_is_escaped),
	    cmocka_unit_test(an_event_is_one_line),
	    cmocka_unit_test(long_messages_are_cut),
	    cmocka_unit_test(an_event_has_fields),
	    cmocka_unit_test(json_is_json),
	    cmocka_unit_test(no_two_values_look_alike),
	    cmocka_unit_test(long_fields_are_marked),
	    cmocka_unit_test(the_journal_gets_priorities),
	    cmocka_unit_test(a_line_is_one_write),
	    cmocka_unit_test(nobody_hears_a_log_that_is_closed),
	};

	return unit_run(tests);
}

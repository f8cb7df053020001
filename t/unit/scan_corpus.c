/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The corpus t/corpus/json, a file a case: accept/ is to be accepted, reject/
 * refused. The beginning of a file's name tells what else is expected:
 *   accept/nul_, surrogate_, overflow_, exponent_	those flags
 *   reject/too_deep_					that error
 */
#include "config.h"

#include "unit.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scan.h"

/* No file is larger. */
#define FILE_MAX ((size_t)64 * 1024)

struct text {
	char *bytes; /* allocated to the byte, for AddressSanitizer */
	size_t length;
};

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

static void
open_path(char *path, size_t size, const char *kind, const char *name)
{
	const char *top = getenv("srcdir");

	snprintf(path, size, "%s/t/corpus/json/%s/%s", top != NULL ? top : ".",
	    kind, name);
}

static struct text
read_file(const char *kind, const char *name)
{
	static char buffer[FILE_MAX];
	struct text text;
	char path[4096];
	FILE *file;

	open_path(path, sizeof(path), kind, name);
	if ((file = fopen(path, "rb")) == NULL)
		fail_msg("can't open %s", path);
	text.length = fread(buffer, 1, sizeof(buffer), file);
	assert_true(text.length < sizeof(buffer));
	fclose(file);
	text.bytes = malloc(text.length);
	memcpy(text.bytes, buffer, text.length);
	return text;
}

/* Calls CHECK for each file. Returns their number. */
static unsigned
each_file(const char *kind, void (*check)(const char *name, struct text text))
{
	struct dirent *entry;
	unsigned count = 0;
	char path[4096];
	DIR *directory;

	open_path(path, sizeof(path), kind, "");
	if ((directory = opendir(path)) == NULL)
		fail_msg("can't open %s", path);
	while ((entry = readdir(directory)) != NULL) {
		struct text text;

		if (entry->d_name[0] == '.')
			continue;
		text = read_file(kind, entry->d_name);
		check(entry->d_name, text);
		free(text.bytes);
		count++;
	}
	closedir(directory);
	return count;
}

static int
scan(const char *bytes, size_t length, unsigned *flags, struct error *error)
{
	return scan_document(bytes, length, SCAN_TOKENS_MAX, flags, error);
}

static unsigned
expected_flags(const char *name)
{
	if (starts_with(name, "surrogate_and_nul"))
		return SCAN_SURROGATE | SCAN_NUL;
	if (starts_with(name, "nul_"))
		return SCAN_NUL;
	if (starts_with(name, "surrogate_"))
		return SCAN_SURROGATE;
	if (starts_with(name, "overflow_") || starts_with(name, "exponent_"))
		return SCAN_NUMBER;
	return 0;
}

static void
check_accepted(const char *name, struct text text)
{
	struct scan_value root;
	struct error error;
	unsigned flags;

	if (scan(text.bytes, text.length, &flags, &error) < 0)
		fail_msg("%s: %s", name, error.message);
	if (flags != expected_flags(name))
		fail_msg("%s: flags %u", name, flags);
	scan_root(text.bytes, text.length, &root);
	if (scan_flags(&root) != flags)
		fail_msg("%s: flags %u of the root", name, scan_flags(&root));
}

/* Cut anywhere, a document is none, unless only white space was lost, or it
 * is a bare number. */
static void
check_cut(const char *name, struct text text)
{
	struct scan_value root;
	struct error error;
	unsigned flags;
	size_t end;

	scan_root(text.bytes, text.length, &root);
	if (root.kind == SCAN_INTEGER || root.kind == SCAN_DECIMAL)
		return;
	end = (size_t)(root.text - text.bytes) + root.length;
	for (size_t cut = 0; cut < end; cut++) {
		char *copy = malloc(cut);

		memcpy(copy, text.bytes, cut);
		if (scan(copy, cut, &flags, &error) == 0)
			fail_msg("%s: accepted up to %zu", name, cut);
		assert_int_equal(error.code, ERROR_INVALID_JSON);
		free(copy);
	}
}

static void
check_refused(const char *name, struct text text)
{
	struct error error = {0};
	unsigned flags;

	if (scan(text.bytes, text.length, &flags, &error) == 0)
		fail_msg("%s: accepted", name);
	if (error.code != (starts_with(name, "too_deep_") ? ERROR_TOO_DEEP
							  : ERROR_INVALID_JSON))
		fail_msg("%s: %s", name, error_name(error.code));
	assert_true(starts_with(error.message, "byte "));
}

static void
accept_is_accepted_with_its_flags(void **state)
{
	(void)state;
	assert_true(each_file("accept", check_accepted) > 100);
}

static void
accept_is_refused_when_cut(void **state)
{
	(void)state;
	assert_true(each_file("accept", check_cut) > 100);
}

static void
reject_is_refused(void **state)
{
	(void)state;
	assert_true(each_file("reject", check_refused) > 200);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accept_is_accepted_with_its_flags),
	    cmocka_unit_test(accept_is_refused_when_cut),
	    cmocka_unit_test(reject_is_refused),
	};

	return unit_run(tests);
}

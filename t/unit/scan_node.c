/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The scanner against JavaScript's JSON.parse, where there is Node.js: what
 * the one accepts the other does, with the same flags and the same strings.
 * The documents come from scan_node.js, which see for the format.
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "scan.h"

/* Fewer documents than this mean that the generator failed. */
#define DOCUMENTS_MIN 1000

struct record {
	size_t length;
	int verdict;
	int flags;
	int meaning_length;
	char *bytes;
	char *meaning;
};

static char *
read_bytes(FILE *from, size_t length)
{
	char *bytes = malloc(length + 1);

	if (bytes == NULL || fread(bytes, 1, length, from) != length)
		exit(1);
	return bytes;
}

/* Returns false at the end. */
static bool
read_record(FILE *from, struct record *record)
{
	char line[100], *at = line;

	if (fgets(line, sizeof(line), from) == NULL)
		return false;
	record->length = strtoul(at, &at, 10);
	record->verdict = (int)strtol(at, &at, 10);
	record->flags = (int)strtol(at, &at, 10);
	record->meaning_length = (int)strtol(at, &at, 10);
	record->bytes = read_bytes(from, record->length);
	record->meaning = NULL;
	if (record->meaning_length >= 0)
		record->meaning =
		    read_bytes(from, (size_t)record->meaning_length);
	return true;
}

static bool
same_meaning(const struct record *record)
{
	struct scan_value root;
	unsigned flags;
	char *text;
	bool same;

	scan_root(record->bytes, record->length, &root);
	if (root.kind != SCAN_STRING)
		return false;
	if ((text = malloc(root.length - 1)) == NULL)
		exit(1);
	same = scan_decode(&root, text, &flags) ==
		   (size_t)record->meaning_length &&
	       memcmp(text, record->meaning, strlen(text)) == 0;
	free(text);
	return same;
}

/* What is different, or NULL. */
static const char *
compare(const struct record *record)
{
	struct error error;
	unsigned flags;
	int accepted = scan_document(record->bytes, record->length,
			   SCAN_TOKENS_MAX, &flags, &error) == 0;

	if (accepted != record->verdict)
		return accepted ? "accepted" : "refused";
	if (accepted && record->flags >= 0 && record->flags != (int)flags)
		return "other flags";
	if (accepted && record->meaning != NULL && !same_meaning(record))
		return "another meaning";
	return NULL;
}

int
main(void)
{
	const char *top = getenv("srcdir");
	struct record record;
	char command[4096];
	int count = 0, different = 0;
	FILE *node;

	if (system("node --version >/dev/null 2>&1") != 0) {
		puts("1..0 # SKIP there is no node");
		return 0;
	}
	puts("1..2");
	snprintf(command, sizeof(command), "node '%s/t/unit/scan_node.js'",
	    top != NULL ? top : ".");
	if ((node = popen(command, "r")) == NULL)
		return 1;
	while (read_record(node, &record)) {
		const char *what = compare(&record);

		if (what != NULL) {
			printf("# %s: %.*s\n", what, (int)record.length,
			    record.bytes);
			different++;
		}
		count++;
		free(record.bytes);
		free(record.meaning);
	}
	printf("%s 1 - agrees with JSON.parse\n",
	    different == 0 ? "ok" : "not ok");
	printf("%s 2 - on %d documents\n",
	    pclose(node) == 0 && count >= DOCUMENTS_MIN ? "ok" : "not ok",
	    count);
	return 0;
}

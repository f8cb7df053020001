/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target without a fuzzer, as a TAP test: on each file of the JSON
 * corpus, and on variants of it that are the same in every run.
 */
#include "config.h"

#include "fuzz.h"

#include <dirent.h>
#include <string.h>

/* Files of the corpus are smaller; variants grow by a byte at a time. */
#define INPUT_MAX 65536

/* Variants of a file; and bytes above which it has none, as long ones are
 * repetitions. */
#define VARIANTS 300
#define VARIED_MAX 2000

/* What variants are made of: bytes that mean something in JSON. */
static const char spice[] =
    "\"\\{}[],:-+.eE0129utfn/ \n\x01\x7f\x80\xc3\xed\xf0";

/* xorshift64*. */
static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(2685821657736338717) >> 16;
}

/* The target gets memory of its own, so that AddressSanitizer sees its end. */
static void
run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size);

	memcpy(copy, bytes, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Overwrites, inserts or removes a byte. */
static size_t
vary(uint8_t *bytes, size_t size, uint64_t *seed)
{
	size_t at = (size_t)(next(seed) % (size + 1));
	uint8_t byte = (uint8_t)spice[next(seed) % (sizeof(spice) - 1)];

	switch (next(seed) % 3) {
	case 0:
		memmove(bytes + at + 1, bytes + at, size - at);
		bytes[at] = byte;
		return size + 1;
	case 1:
		if (at == size)
			return size;
		memmove(bytes + at, bytes + at + 1, size - at - 1);
		return size - 1;
	default:
		if (at < size)
			bytes[at] = byte;
		return size;
	}
}

static void
run_file(const char *path)
{
	static uint8_t input[INPUT_MAX], varied[VARIED_MAX + VARIANTS];
	FILE *file = fopen(path, "rb");
	uint64_t seed = 1;
	size_t size;

	fuzz_check(file != NULL);
	size = fread(input, 1, sizeof(input), file);
	fclose(file);
	run(input, size);
	if (size > VARIED_MAX)
		return;
	for (int i = 0; i < VARIANTS; i++) {
		size_t changed = size;

		memcpy(varied, input, size);
		for (int n = 0; n <= i % 4; n++)
			changed = vary(varied, changed, &seed);
		run(varied, changed);
	}
}

/* Runs all files of the corpus KIND and prints its line. */
static void
run_directory(int number, const char *kind)
{
	const char *top = getenv("srcdir");
	struct dirent *entry;
	char directory[2048], path[4096];
	unsigned files = 0;
	DIR *open;

	snprintf(directory, sizeof(directory), "%s/t/corpus/json/%s",
	    top != NULL ? top : ".", kind);
	open = opendir(directory);
	while (open != NULL && (entry = readdir(open)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		run_file(path);
		files++;
	}
	if (open != NULL)
		closedir(open);
	printf("%s %d - %u files of %s and their variants\n",
	    files > 0 ? "ok" : "not ok", number, files, kind);
}

int
main(void)
{
	puts("1..2");
	run_directory(1, "accept");
	run_directory(2, "reject");
	return 0;
}

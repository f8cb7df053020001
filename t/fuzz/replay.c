/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target without a fuzzer, as a TAP test: on each file of its
 * corpora, and on variants of it that are the same in every run. Files that are
 * named as arguments are run instead, as they are: what a fuzzer has found.
 */
#include "config.h"

#include "fuzz.h"

#include <dirent.h>
#include <signal.h>

/* Files of the corpus are smaller; variants grow by a byte at a time. */
#define INPUT_MAX 65536

/* Variants of a file; and bytes above which it has none, as long ones are
 * repetitions. */
#define VARIANTS 300
#define VARIED_MAX 2000

/* xorshift64*. */
static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(2685821657736338717) >> 16;
}

/* The input at hand. */
static const uint8_t *at_hand;
static size_t at_hand_size;

/* Tells what a check failed on, for printf(1). */
static void
tell(int number)
{
	(void)number;
	fputs("input: '", stderr);
	for (size_t i = 0; i < at_hand_size; i++)
		fprintf(stderr, "\\%03o", at_hand[i]);
	fputs("'\n", stderr);
}

/* The target gets memory of its own, so that AddressSanitizer sees its end. */
static void
run(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size);

	memcpy(copy, bytes, size);
	at_hand = bytes;
	at_hand_size = size;
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Overwrites, inserts or removes a byte. */
static size_t
vary(uint8_t *bytes, size_t size, uint64_t *seed)
{
	size_t at = (size_t)(next(seed) % (size + 1));
	uint8_t byte =
	    (uint8_t)fuzz_target.spice[next(seed) % fuzz_target.spice_size];

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

/* A file as it is. Returns its size. */
static size_t
run_file(const char *path, uint8_t input[INPUT_MAX])
{
	FILE *file = fopen(path, "rb");
	size_t size;

	fuzz_check(file != NULL);
	size = fread(input, 1, INPUT_MAX, file);
	fclose(file);
	run(input, size);
	return size;
}

static void
run_variants(const uint8_t *input, size_t size)
{
	static uint8_t varied[VARIED_MAX + VARIANTS];
	uint64_t seed = 1;

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

/* Runs all files of the CORPUS and prints its line. */
static void
run_corpus(int number, const char *corpus)
{
	static uint8_t input[INPUT_MAX];
	const char *top = getenv("srcdir");
	struct dirent *entry;
	char directory[2048], path[4096];
	unsigned files = 0;
	DIR *open;

	snprintf(directory, sizeof(directory), "%s/t/corpus/%s",
	    top != NULL ? top : ".", corpus);
	open = opendir(directory);
	while (open != NULL && (entry = readdir(open)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		run_variants(input, run_file(path, input));
		files++;
	}
	if (open != NULL)
		closedir(open);
	printf("%s %d - %u files of %s and their variants\n",
	    files > 0 ? "ok" : "not ok", number, files, corpus);
}

int
main(int argc, char **argv)
{
	static uint8_t input[INPUT_MAX];
	char corpora[256], *rest = corpora, *corpus;
	int count = 0;

	signal(SIGABRT, tell);
	for (int i = 1; i < argc; i++)
		run_file(argv[i], input);
	if (argc > 1)
		return 0;
	snprintf(corpora, sizeof(corpora), "%s", fuzz_target.corpora);
	while ((corpus = strtok_r(rest, " ", &rest)) != NULL)
		run_corpus(++count, corpus);
	printf("1..%d\n", count);
	return 0;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz targets. Each is a file fuzz_X.c that defines the target and the one
 * function below, to be linked with libFuzzer, which searches (t/fuzz/run), or
 * with replay.c, which is the test that runs in `make check`.
 *
 * A target must not only survive: it says by fuzz_check() what is true whatever
 * the input.
 */
#ifndef REPLICACHE_FUZZ_H
#define REPLICACHE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What replay.c has to know of a target. */
struct fuzz_target {
	const char *corpora; /* folders of t/corpus, spaces between */
	const char *spice;   /* bytes that mean something in its input */
	size_t spice_size;
};

extern const struct fuzz_target fuzz_target;

/* The members of a struct fuzz_target. SPICE is a literal. */
#define FUZZ_TARGET(corpora, spice)                                            \
	{                                                                      \
		corpora, spice, sizeof(spice) - 1                              \
	}

/* What means something in JSON. */
#define FUZZ_SPICE_JSON "\"\\{}[],:-+.eE0129utfn/ \n\x01\x7f\x80\xc3\xed\xf0"

/* Ends the program if CONDITION is false; that is what a fuzzer looks for. */
#define fuzz_check(condition)                                                  \
	do {                                                                   \
		if (!(condition)) {                                            \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
			    #condition);                                       \
			abort();                                               \
		}                                                              \
	} while (false)

/* Runs the target on SIZE bytes. Returns 0. The name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input that is used up from its front. */
struct fuzz_input {
	const uint8_t *at, *end;
};

/* The next byte; 0 at the end. */
static inline uint8_t
fuzz_byte(struct fuzz_input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

/* SIZE bytes and a NUL behind them, in memory of their own, so that
 * AddressSanitizer sees where they end. The caller frees them. */
static inline char *
fuzz_copy(const void *bytes, size_t size)
{
	char *copy = malloc(size + 1);

	fuzz_check(copy != NULL);
	if (size > 0)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

/* What there is up to the byte STOP, which is passed, or the end: a copy that
 * the caller frees. It is a C string: nothing behind a NUL counts. */
static inline char *
fuzz_text(struct fuzz_input *input, uint8_t stop)
{
	const uint8_t *begin = input->at;
	size_t size;

	while (input->at < input->end && *input->at != stop)
		input->at++;
	size = (size_t)(input->at - begin);
	if (input->at < input->end)
		input->at++;
	return fuzz_copy(begin, size);
}

#endif

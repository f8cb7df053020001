/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz targets. Each is a file fuzz_X.c that defines the one function below,
 * to be linked with libFuzzer, which searches, or with replay.c, which is the
 * test that runs in `make check`.
 */
#ifndef REPLICACHE_FUZZ_H
#define REPLICACHE_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

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

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Documents for differential.c: JSON, and what is nearly so, without end. The
 * same ones for the same seed.
 */
#ifndef REPLICACHE_DOCUMENTS_H
#define REPLICACHE_DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

/* No document is longer. */
#define DOCUMENT_MAX 65536

struct documents {
	uint64_t seed;
	char bytes[DOCUMENT_MAX]; /* of the document at hand */
	size_t length;
	char other[512]; /* a part of an earlier one */
	size_t other_length;
	unsigned depth; /* of the value under way */
	unsigned keys;
};

void documents_init(struct documents *documents, uint64_t seed);

/* Makes the next document, in `bytes` and `length`. */
void documents_next(struct documents *documents);

#endif

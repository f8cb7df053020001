/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a document means, as a number that differential.js makes too: of its
 * strings as UTF-16, its numbers as doubles, and its objects as sets of
 * members, the last of a name.
 */
#ifndef REPLICACHE_DIGEST_H
#define REPLICACHE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

struct scan_value;

/* The digest of VALUE, out of a document that the scanner has accepted. Sets
 * *SAME_KEYS if keys of an object are the same only by what they are decoded
 * to, U+FFFD: to others they differ. */
uint32_t digest(const struct scan_value *value, bool *same_keys);

#endif

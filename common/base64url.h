/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Base64url (RFC 4648 section 5) as tokens have it (RFC 7515 section 2):
 * without padding.
 */
#ifndef REPLICACHE_BASE64URL_H
#define REPLICACHE_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that LENGTH characters stand for, at most. */
#define BASE64URL_SIZE(length) ((length) / 4 * 3 + 2)

/*
 * Decodes the LENGTH characters at TEXT into OUT, which has room for
 * BASE64URL_SIZE(LENGTH) bytes, and sets *LENGTH_OUT to those written. False
 * for anything but the one way to write these bytes: other characters, padding,
 * white space, a length that none has, bits behind the last byte that are set.
 */
bool base64url_decode(
    const char *text, size_t length, unsigned char *out, size_t *length_out);

#endif

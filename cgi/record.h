/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Record: the few FastCGI records that are written past libfcgi, of an answer
 * that is long or is not libfcgi's any more (FastCGI specification,
 * sections 3.3, 5.3 and 5.5).
 */
#ifndef REPLICACHE_RECORD_H
#define REPLICACHE_RECORD_H

#include <stddef.h>

/* Bytes before the content of a record, and the most that it may have. */
#define RECORD_HEADER 8
#define RECORD_CONTENT_MAX 65535

/* Bytes that end an answer: an empty STDOUT, and END_REQUEST. */
#define RECORD_END (RECORD_HEADER + RECORD_HEADER + 8)

/* Writes the header of a STDOUT record of the request ID with LENGTH bytes of
 * content to TO, which has room for RECORD_HEADER bytes. */
void record_stdout(unsigned char *to, unsigned id, size_t length);

/* Writes what ends the request ID to TO, which has room for RECORD_END. */
void record_end(unsigned char *to, unsigned id);

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * FastCGI records, written.
 */
#include "config.h"

#include "record.h"

#include <string.h>

enum record_type {
	TYPE_END = 3,
	TYPE_STDOUT = 6,
};

static void
write_header(
    unsigned char *to, enum record_type type, unsigned id, size_t length)
{
	to[0] = 1; /* the version of FastCGI */
	to[1] = (unsigned char)type;
	to[2] = (unsigned char)(id >> 8);
	to[3] = (unsigned char)id;
	to[4] = (unsigned char)(length >> 8);
	to[5] = (unsigned char)length;
	to[6] = 0; /* padding */
	to[7] = 0;
}

void
record_stdout(unsigned char *to, unsigned id, size_t length)
{
	write_header(to, TYPE_STDOUT, id, length);
}

void
record_end(unsigned char *to, unsigned id)
{
	write_header(to, TYPE_STDOUT, id, 0);
	write_header(to + RECORD_HEADER, TYPE_END, id, 8);
	/* Status 0, FCGI_REQUEST_COMPLETE. */
	memset(to + RECORD_HEADER + RECORD_HEADER, 0, 8);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes are judged as a connection that grows, as they are
 * and as the parameters of a request. What was decided stays decided.
 *
 * With libFuzzer:
 *	clang -std=gnu17 -g -O1 -fsanitize=fuzzer,address,undefined -Icgi \
 *	    -I<where config.h is> t/fuzz/fuzz_framing.c cgi/framing.c \
 *	    -o fuzz_framing
 *	./fuzz_framing -max_len=4096 found
 */
#include "config.h"

#include "fuzz.h"

#include <string.h>

#include "framing.h"

/* Beginnings of a connection that are judged, at most. */
#define STEPS 64

/* Of memory that ends where the bytes do. */
static enum framing
judge(const uint8_t *data, size_t size)
{
	unsigned char *bytes = malloc(size + (size == 0));
	unsigned char *scratch = malloc(FRAMING_PARAMS_BYTES_MAX);
	enum framing judged;

	fuzz_check(bytes != NULL && scratch != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	judged = framing_judge(bytes, size, scratch);
	free(scratch);
	free(bytes);
	return judged;
}

/* READY and BAD are for ever; nothing goes back from BODY to MORE. */
static void
grow(const uint8_t *data, size_t size)
{
	enum framing before = FRAMING_MORE;

	for (size_t n = 0; n <= size; n += size / STEPS + 1) {
		enum framing judged = judge(data, n);

		fuzz_check(judged <= FRAMING_BAD);
		if (before == FRAMING_READY || before == FRAMING_BAD)
			fuzz_check(judged == before);
		if (before == FRAMING_BODY)
			fuzz_check(judged != FRAMING_MORE);
		before = judged;
	}
}

/* A record with SIZE bytes of content. Returns its length. */
static size_t
put_record(uint8_t *at, uint8_t type, const uint8_t *content, size_t size)
{
	const uint8_t header[8] = {
	    1, type, 0, 1, (uint8_t)(size >> 8), (uint8_t)size, 0, 0};

	memcpy(at, header, sizeof(header));
	if (size > 0)
		memcpy(at + sizeof(header), content, size);
	return sizeof(header) + size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t begin[8] = {0, 1};
	static uint8_t request[FRAMING_WINDOW];
	size_t n, params = size < 32768 ? size : 32768;

	grow(data, size);
	n = put_record(request, 1, begin, sizeof(begin));
	if (params > 0)
		n += put_record(request + n, 4, data, params);
	n += put_record(request + n, 4, NULL, 0);
	n += put_record(request + n, 5, NULL, 0);
	grow(request, n);
	return 0;
}

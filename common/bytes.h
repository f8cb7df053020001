/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Bytes: finds the next byte that matters in a run of bytes that do not.
 *
 * JSON is mostly text that needs no more than a look. bytes_find() takes that
 * look at 16 bytes at a time where SSE2 is (every x86-64), at 8 elsewhere. It
 * never reads outside the bytes it was given. This is the one file of common/
 * that knows of processors; define BYTES_PORTABLE to build without SSE2.
 */
#ifndef REPLICACHE_BYTES_H
#define REPLICACHE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(BYTES_PORTABLE)
#define BYTES_SSE2 1
#include <emmintrin.h>
#else
#define BYTES_SSE2 0
#endif

/* What to stop at. A constant in every call, so that each call is compiled to
 * its own loop. */
enum bytes_stop {
	BYTES_STOP_STRING, /* " \ control characters */
	BYTES_STOP_ASCII,  /* the same, and bytes from 0x80 up */
	BYTES_STOP_QUOTE,  /* " \ */
	/* " { } [ ], and 0x02, which can't be where this is looked for: outside
	 * the strings of a valid JSON document */
	BYTES_STOP_STRUCTURE,
};

#define BYTES_INLINE static inline __attribute__((always_inline))

BYTES_INLINE bool
bytes_stops(unsigned char c, enum bytes_stop stop)
{
	switch (stop) {
	case BYTES_STOP_STRING:
		return c == '"' || c == '\\' || c < 0x20;
	case BYTES_STOP_ASCII:
		return c == '"' || c == '\\' || c < 0x20 || c >= 0x80;
	case BYTES_STOP_QUOTE:
		return c == '"' || c == '\\';
	case BYTES_STOP_STRUCTURE:
		c |= 0x20; /* turns [ ] into { } and leaves the others */
		return c == '"' || c == '{' || c == '}';
	}
	return true;
}

#define BYTES_EACH UINT64_C(0x0101010101010101)
#define BYTES_HIGH UINT64_C(0x8080808080808080)

/* The high bit of a byte of the result is set where WORD has a zero byte;
 * above the lowest such byte a 0x01 may be taken for zero, too. */
BYTES_INLINE uint64_t
bytes_zero8(uint64_t word)
{
	return (word - BYTES_EACH) & ~word & BYTES_HIGH;
}

BYTES_INLINE uint64_t
bytes_equal8(uint64_t word, unsigned char c)
{
	return bytes_zero8(word ^ (BYTES_EACH * c));
}

/* True if any of the 8 bytes of WORD stops, and only then. */
BYTES_INLINE bool
bytes_stops8(uint64_t word, enum bytes_stop stop)
{
	uint64_t quote = bytes_equal8(word, '"') | bytes_equal8(word, '\\');
	uint64_t control = (word - BYTES_EACH * 0x20) & ~word & BYTES_HIGH;

	switch (stop) {
	case BYTES_STOP_STRING:
		return (quote | control) != 0;
	case BYTES_STOP_ASCII:
		return (quote | control | (word & BYTES_HIGH)) != 0;
	case BYTES_STOP_QUOTE:
		return quote != 0;
	case BYTES_STOP_STRUCTURE:
		word |= BYTES_EACH * 0x20;
		return (bytes_equal8(word, '"') | bytes_equal8(word, '{') |
			   bytes_equal8(word, '}')) != 0;
	}
	return true;
}

#if BYTES_SSE2
BYTES_INLINE __m128i
bytes_equal16(__m128i block, char c)
{
	return _mm_cmpeq_epi8(block, _mm_set1_epi8(c));
}

/* Bit i of the result is set where byte i of BLOCK stops. */
BYTES_INLINE unsigned
bytes_stops16(__m128i block, enum bytes_stop stop)
{
	__m128i hit;

	if (stop == BYTES_STOP_STRUCTURE) {
		block = _mm_or_si128(block, _mm_set1_epi8(0x20));
		hit = _mm_or_si128(bytes_equal16(block, '"'),
		    _mm_or_si128(
			bytes_equal16(block, '{'), bytes_equal16(block, '}')));
		return (unsigned)_mm_movemask_epi8(hit);
	}
	hit =
	    _mm_or_si128(bytes_equal16(block, '"'), bytes_equal16(block, '\\'));
	if (stop == BYTES_STOP_STRING)
		hit = _mm_or_si128(
		    hit, _mm_cmpeq_epi8(
			     _mm_min_epu8(block, _mm_set1_epi8(0x1f)), block));
	if (stop == BYTES_STOP_ASCII) /* signed: 0x80 and up are negative */
		hit = _mm_or_si128(
		    hit, _mm_cmplt_epi8(block, _mm_set1_epi8(0x20)));
	return (unsigned)_mm_movemask_epi8(hit);
}
#endif

/* The first byte from AT on that stops, or END if there is none. */
BYTES_INLINE const char *
bytes_find(const char *at, const char *end, enum bytes_stop stop)
{
	ptrdiff_t length = end - at;
	uint64_t word;

#if BYTES_SSE2
	for (; end - at >= 16; at += 16) {
		const void *from = at;
		unsigned mask = bytes_stops16(_mm_loadu_si128(from), stop);

		if (mask != 0)
			return at + __builtin_ctz(mask);
	}
	if (length >= 16) { /* the last 16, of which the first are known */
		const void *from = end - 16;
		unsigned mask = bytes_stops16(_mm_loadu_si128(from), stop) >>
				(16 - (end - at));

		return mask == 0 ? end : at + __builtin_ctz(mask);
	}
#endif
	for (; end - at >= 8; at += 8) {
		memcpy(&word, at, sizeof(word));
		if (bytes_stops8(word, stop))
			break;
	}
	if (length >= 8 && end - at < 8) { /* the same with the last 8 */
		memcpy(&word, end - 8, sizeof(word));
		if (!bytes_stops8(word, stop))
			return end;
	}
	while (at < end && !bytes_stops((unsigned char)*at, stop))
		at++;
	return at;
}

#endif

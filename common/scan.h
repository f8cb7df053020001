/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * JSON, read strictly and in place.
 *
 * First scan_document() judges a whole body: RFC 8259 and nothing more, in
 * UTF-8 (RFC 3629), without a byte order mark, NUL bytes or trailing bytes,
 * nested at most SCAN_DEPTH_MAX deep. It keeps no tree and allocates nothing,
 * whatever the body holds. Only a document it accepted may be walked with the
 * rest of this interface; that walk can't fail and never copies: each value
 * is a slice of the original bytes, which therefore must outlive it. So what a
 * client sent goes to the database exactly as it was sent.
 *
 *	if (scan_document(body, length, SCAN_TOKENS_MAX, &flags, error) < 0)
 *		return -1;
 *	scan_root(body, length, &root);
 *	scan_open(&cursor, &root);
 *	while (scan_member(&cursor, &key, &value))
 *		...
 */
#ifndef REPLICACHE_SCAN_H
#define REPLICACHE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* Arrays and objects inside each other, the outermost counted. Far above what
 * applications nest, and far below what overruns a recursive reader of the
 * args behind us: Postgres, or a mutator's own JSON library. */
#define SCAN_DEPTH_MAX 128

/* Values in a body: scalars, arrays and objects each count one, keys do not.
 * Bounds the work in Postgres, where each value of a jsonb costs far more than
 * its bytes here. The default of the setting. */
#define SCAN_TOKENS_MAX 1000000

/* 2^53 - 1: the largest integer that a JavaScript client holds exactly
 * (Number.MAX_SAFE_INTEGER), so the largest ID and cookie there can be. */
#define SCAN_INTEGER_MAX INT64_C(9007199254740991)

/*
 * What a valid document may hold that Postgres can't: flags that are or-ed
 * together (protocol section 13). They do not make a document invalid.
 */
#define SCAN_NUL 0x1u       /* a string has \u0000 */
#define SCAN_SURROGATE 0x2u /* a string has half a surrogate pair, \ud800 */
#define SCAN_NUMBER 0x4u    /* a number that number_is_double() refuses */

enum scan_kind {
	SCAN_NONE, /* no value: a member that is not there; must be 0 */
	SCAN_NULL,
	SCAN_FALSE,
	SCAN_TRUE,
	SCAN_INTEGER, /* a number of digits and perhaps a minus alone */
	SCAN_DECIMAL, /* a number with a fraction or an exponent */
	SCAN_STRING,
	SCAN_ARRAY,
	SCAN_OBJECT,
};

/* A value, or a key: its bytes in the document, quotes and brackets included,
 * white space around it not. */
struct scan_value {
	enum scan_kind kind;
	const char *text; /* not NUL-terminated */
	size_t length;    /* bytes */
};

/* A place inside an array or object. */
struct scan_cursor {
	const char *at, *end;
};

/* What a document may have at most. */
struct scan_limits {
	size_t tokens; /* values */
	size_t depth;  /* levels; beyond SCAN_DEPTH_MAX it means that */
	/* Bytes that the args of a push may take once jsonb has written out
	 * their numbers, for protocol.h; 0: any number. */
	size_t written;
};

/*
 * Judges the LENGTH bytes at BYTES. Returns 0 and sets *FLAGS_OUT to the flags
 * found anywhere in it, or returns -1 with
 *   ERROR_INVALID_JSON		no document by the rules above
 *   ERROR_TOO_DEEP		nested beyond LIMITS->depth, or SCAN_DEPTH_MAX
 *   ERROR_TOO_MANY_TOKENS	more than LIMITS->tokens values
 * whichever comes first in the document; the message names the byte.
 * Takes constant memory, and time proportional to LENGTH.
 */
int scan_document_within(const char *bytes, size_t length,
    const struct scan_limits *limits, unsigned *flags_out, struct error *error);

/* The same, as deep as it goes. */
static inline int
scan_document(const char *bytes, size_t length, size_t max_tokens,
    unsigned *flags_out, struct error *error)
{
	const struct scan_limits limits = {max_tokens, SCAN_DEPTH_MAX, 0};

	return scan_document_within(bytes, length, &limits, flags_out, error);
}

/* The value that the accepted document BYTES is. */
void scan_root(const char *bytes, size_t length, struct scan_value *value_out);

/* Starts to walk CONTAINER, an array or object; a scalar is walked as if it
 * were an empty one. */
void scan_open(struct scan_cursor *cursor, const struct scan_value *container);

/* Gives the next element of an array. Returns false at its end. */
bool scan_element(struct scan_cursor *cursor, struct scan_value *value_out);

/* Gives the next member of an object, in the order and as often as it was
 * sent; KEY_OUT is a string. Returns false at its end. */
bool scan_member(struct scan_cursor *cursor, struct scan_value *key_out,
    struct scan_value *value_out);

/*
 * Looks up COUNT members of OBJECT at once: VALUES_OUT[i] becomes the one
 * whose key is NAMES[i], of kind SCAN_NONE if there is none. Other members are
 * skipped. Keys compare as what they mean, not as they are written. Returns 0,
 * or -1 with ERROR_INVALID_REQUEST if OBJECT is none or a name comes twice.
 */
int scan_fields(const struct scan_value *object, const char *const *names,
    size_t count, struct scan_value *values_out, struct error *error);

/* The flags of the strings, keys and numbers in VALUE. To find which value of
 * a document has those that scan_document() reported. */
unsigned scan_flags(const struct scan_value *value);

/* The bytes that VALUE takes at most once jsonb has written out its numbers
 * (number_written()); all of them must be doubles. */
size_t scan_written(const struct scan_value *value);

/* True if the string (or key) VALUE means exactly the C string TEXT. */
bool scan_equals(const struct scan_value *value, const char *text);

/*
 * Writes what the string (or key) VALUE means to OUT in UTF-8, and a NUL
 * behind. OUT has room for VALUE->length - 1 bytes, which is always enough.
 * \u0000 and lone surrogates become U+FFFD, so that OUT is a C string that
 * Postgres can hold; *FLAGS_OUT tells if there were any. Returns the bytes
 * written, without the NUL.
 */
size_t scan_decode(
    const struct scan_value *value, char *out, unsigned *flags_out);

/*
 * Reads VALUE as an integer in plain digits from MIN >= 0 to
 * SCAN_INTEGER_MAX. Returns false for anything else: another kind, a sign,
 * 1.0, 1e2, a larger number.
 */
bool scan_integer(const struct scan_value *value, int64_t min, int64_t *out);

#endif

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * What may be shown.
 */
#include "config.h"

#include "printable.h"

#include <string.h>
#include <wchar.h>

#include "utf8.h"

/*
 * From U+0080 on, by Unicode's properties: the general categories Cc, Cf, Cs,
 * Co, Zl and Zp, and Default_Ignorable_Code_Point. That property has places for
 * the format characters of later versions, too. t/022-printable.t compares
 * this with Perl's knowledge.
 */
static const struct {
	uint32_t first, last;
} hidden[] = {
    {0x0080, 0x009f},   /* C1 controls */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x034f, 0x034f},   /* combining grapheme joiner */
    {0x0600, 0x0605},   /* Arabic number signs */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x06dd, 0x06dd},   /* Arabic end of ayah */
    {0x070f, 0x070f},   /* Syriac abbreviation mark */
    {0x0890, 0x0891},   /* Arabic currency marks above */
    {0x08e2, 0x08e2},   /* Arabic disputed end of ayah */
    {0x115f, 0x1160},   /* Hangul fillers */
    {0x17b4, 0x17b5},   /* Khmer inherent vowels */
    {0x180b, 0x180f},   /* Mongolian variation selectors */
    {0x200b, 0x200f},   /* zero width, directional marks */
    {0x2028, 0x202e},   /* separators, embeddings, overrides */
    {0x2060, 0x206f},   /* joiners, isolates, invisible operators */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xd800, 0xf8ff},   /* surrogates, private use */
    {0xfdd0, 0xfdef},   /* noncharacters */
    {0xfe00, 0xfe0f},   /* variation selectors */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xffa0, 0xffa0},   /* halfwidth Hangul filler */
    {0xfff0, 0xfffb},   /* interlinear annotation, and its neighbours */
    {0x110bd, 0x110bd}, /* Kaithi number sign */
    {0x110cd, 0x110cd}, /* Kaithi number sign above */
    {0x13430, 0x13438}, /* Egyptian joiners */
    {0x1bca0, 0x1bca3}, /* shorthand format controls */
    {0x1d173, 0x1d17a}, /* musical beams */
    {0xe0000, 0xe0fff}, /* tags, variation selectors */
    {0xf0000, 0x10ffff} /* private use */
};

bool
printable_is_hidden(uint32_t code)
{
	/* The last two of each plane are noncharacters. */
	if ((code & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (code <= hidden[i].last)
			return code >= hidden[i].first;
	return false;
}

void
printable_init(struct printable *printable, const char *text, size_t length,
    enum printable_form form)
{
	*printable =
	    (struct printable){.at = text, .end = text + length, .form = form};
}

/* Whether the character of N bytes at the place may be shown, and its columns;
 * counts the marks. */
static bool
is_shown(struct printable *printable, size_t n, size_t *columns)
{
	uint32_t code;
	int wide;

	if (n == 0 || printable->form == PRINTABLE_ASCII)
		return false;
	code = utf8_decode(printable->at, n);
	if (printable_is_hidden(code))
		return false;
	/* -1 is for what is not assigned, as far as the C library knows. */
	wide = wcwidth((wchar_t)code);
	if (wide < 0 ||
	    (wide == 0 && printable->marks++ >= PRINTABLE_MARKS_MAX))
		return false;
	if (wide > 0)
		printable->marks = 0;
	*columns = (size_t)wide;
	return true;
}

size_t
printable_next(
    struct printable *printable, char piece[PRINTABLE_MAX], size_t *columns)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char first;
	size_t n, length = 0;

	if (printable->at == printable->end)
		return 0;
	first = (unsigned char)*printable->at;
	if (first >= 0x20 && first < 0x7f) {
		piece[0] = *printable->at++;
		printable->marks = 0;
		*columns = 1;
		return 1;
	}
	n = first < 0x80 ? 0 : utf8_sequence(printable->at, printable->end);
	if (is_shown(printable, n, columns)) {
		memcpy(piece, printable->at, n);
		printable->at += n;
		return n;
	}
	for (n += n == 0; n > 0; n--) {
		unsigned char c = (unsigned char)*printable->at++;

		piece[length++] = '\\';
		piece[length++] = 'x';
		piece[length++] = hex[c >> 4];
		piece[length++] = hex[c & 15];
	}
	*columns = length;
	return length;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Making of what the user wrote what a browser sends, and comparing them.
 */
#include "config.h"

#include "origin.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "error.h"

/* Room for "https://" before the longest that is looked at. */
#define TEXT_MAX (ORIGIN_MAX + 16)

/* Room for an origin that is made of its parts. */
#define RIGHT_MAX ((size_t)3 * TEXT_MAX)

/* An origin in its parts. */
struct origin {
	char scheme[TEXT_MAX], host[TEXT_MAX], port[TEXT_MAX];
};

/* What is wrong beyond repair with an origin. */
static const char no_origin[] =
    "scheme, host and port are needed, as in https://app.example";

static void
lower(char *text)
{
	for (; *text != '\0'; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* Copies LENGTH bytes, which fit, to TO. */
static void
cut(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
	to[length] = '\0';
}

/* Takes TEXT apart, dropping what no origin has: what names a user, a path and
 * all behind it. Without a scheme it is taken for https. */
static void
split(const char *text, struct origin *origin)
{
	const char *at = strstr(text, "://");
	const char *host = at == NULL ? text : at + 3;
	const char *end = host + strcspn(host, "/?#\\");
	const char *user = memrchr(host, '@', (size_t)(end - host));
	const char *port, *bracket;

	if (at == NULL)
		strcpy(origin->scheme, "https");
	else
		cut(origin->scheme, text, (size_t)(at - text));
	if (user != NULL)
		host = user + 1;
	bracket = memchr(host, ']', (size_t)(end - host));
	port = bracket != NULL ? bracket + 1
			       : memchr(host, ':', (size_t)(end - host));
	if (port == NULL || port >= end || *port != ':')
		port = end;
	cut(origin->host, host, (size_t)(port - host));
	cut(origin->port, port, (size_t)(end - port));
}

static const char *
judge_scheme(struct origin *origin)
{
	const char *scheme = origin->scheme;

	lower(origin->scheme);
	if (strcmp(scheme, "file") == 0)
		return "pages of files have the origin null";
	if (!isalpha((unsigned char)*scheme))
		return no_origin;
	for (; *scheme != '\0'; scheme++)
		if (!isalnum((unsigned char)*scheme) &&
		    strchr("+-.", *scheme) == NULL)
			return no_origin;
	return NULL;
}

/* "" or a colon and a number: as a browser writes it, if at all. */
static const char *
judge_port(struct origin *origin, bool http)
{
	const char *digits = origin->port + (origin->port[0] == ':');
	const char *own = strcmp(origin->scheme, "http") == 0 ? "80" : "443";
	long number;

	if (strspn(digits, "0123456789") != strlen(digits))
		return "its port is no number";
	while (digits[0] == '0' && digits[1] != '\0')
		digits++;
	number = strlen(digits) > 5 ? 65536 : strtol(digits, NULL, 10);
	if (number > 65535)
		return "its port is above 65535";
	if (digits[0] == '\0' || (http && strcmp(digits, own) == 0))
		origin->port[0] = '\0';
	else
		snprintf(origin->port, sizeof(origin->port), ":%ld", number);
	return NULL;
}

/* A name or an address, in the form in which a browser has it. */
static const char *
judge_host(struct origin *origin, bool http)
{
	char *host = origin->host;
	size_t length = strlen(host);
	struct in6_addr v6;
	struct in_addr v4;

	if (strchr(host, '*') != NULL)
		return "* stands only for all origins: name each one";
	for (const char *at = host; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			return "a browser sends the ASCII form of its host, as "
			       "in xn--bcher-kva.example";
	if (!http && length > 0)
		return NULL;
	lower(host);
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6) != 1)
			return "its address is none";
		inet_ntop(AF_INET6, &v6, host + 1, TEXT_MAX - 2);
		length = strlen(host);
		host[length] = ']';
		host[length + 1] = '\0';
		return NULL;
	}
	if (length == 0 ||
	    strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") != length)
		return no_origin;
	/* What ends in a number is an address. */
	while (length > 0 && isdigit((unsigned char)host[length - 1]))
		length--;
	if ((length == 0 ||
		(host[length] != '\0' && host[length - 1] == '.')) &&
	    inet_pton(AF_INET, host, &v4) != 1)
		return "its address is none";
	return NULL;
}

/* Fills RIGHT with what a browser sends for TEXT, or gives what is wrong. */
static const char *
repair(const char *text, char *right)
{
	struct origin origin;
	const char *wrong;
	bool http;

	/* A scheme that lacks its slashes is no host. */
	if (strstr(text, "://") == NULL &&
	    (strncasecmp(text, "http:", 5) == 0 ||
		strncasecmp(text, "https:", 6) == 0))
		return no_origin;
	split(text, &origin);
	wrong = judge_scheme(&origin);
	http = strcmp(origin.scheme, "http") == 0 ||
	       strcmp(origin.scheme, "https") == 0;
	if (wrong == NULL)
		wrong = judge_host(&origin, http);
	if (wrong == NULL)
		wrong = judge_port(&origin, http);
	if (wrong == NULL)
		snprintf(right, RIGHT_MAX, "%s://%s%s", origin.scheme,
		    origin.host, origin.port);
	return wrong;
}

static int
check_one(const char *text, struct error *error)
{
	char right[RIGHT_MAX];
	const char *wrong;

	if (strcmp(text, "*") == 0 || strcmp(text, "null") == 0)
		return 0;
	/* They may stand between paths, but not between origins. */
	if (strpbrk(text, ",;") != NULL)
		return error_set(error, ERROR_CONFIG,
		    "%s is no origin: there are spaces between origins, and "
		    "nothing else",
		    text);
	if (strcasecmp(text, "null") == 0)
		return error_set(error, ERROR_CONFIG,
		    "%s is no origin that a browser sends: write null", text);
	wrong = repair(text, right);
	if (wrong != NULL)
		return error_set(
		    error, ERROR_CONFIG, "%s is no origin: %s", text, wrong);
	if (strcmp(text, right) != 0)
		return error_set(error, ERROR_CONFIG,
		    "%s is no origin that a browser sends: write %s", text,
		    right);
	return 0;
}

int
origin_check(const char *list, struct error *error)
{
	static const char spaces[] = " ";

	for (list += strspn(list, spaces); *list != '\0';
	     list += strspn(list, spaces)) {
		size_t length = strcspn(list, spaces);
		char text[ORIGIN_MAX + 1];

		if (length > ORIGIN_MAX)
			return error_set(error, ERROR_CONFIG,
			    "%.40s... is no origin: it is longer than %d "
			    "characters",
			    list, ORIGIN_MAX);
		cut(text, list, length);
		if (check_one(text, error) < 0)
			return -1;
		list += length;
	}
	return 0;
}

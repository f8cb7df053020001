/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * libcurl, one request at a time.
 */
#include "config.h"

#include "http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "error.h"

/* What one request knows while it runs. */
struct transfer {
	const struct http_request *request;
	struct http_answer *answer;
	size_t sent;
	bool seen; /* of a stream: an event */
};

/* The body: what is given, then spaces, which JSON allows. */
static size_t
give_body(char *to, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t given = strlen(t->request->post);
	size_t room = size * count, n = 0;

	while (n < room && t->sent < t->request->post_size) {
		char byte = ' ';

		if (t->sent < given)
			byte = t->request->post[t->sent];
		to[n++] = byte;
		t->sent++;
	}
	return n;
}

/* An event's end is an empty line; a comment tells nothing. */
static bool
has_event(const struct buffer *body)
{
	return memmem(body->data, body->length, "data:", 5) != NULL &&
	       memmem(body->data, body->length, "\n\n", 2) != NULL;
}

static size_t
take_body(char *from, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	struct buffer *body = &t->answer->body;

	buffer_append(body, from, size * count);
	if (body->failure != BUFFER_GOOD)
		return 0;
	t->seen = t->request->stream && has_event(body);
	/* Less than all makes libcurl hang up. */
	return t->seen ? 0 : size * count;
}

/* Copies the value of LINE, of a header, if it is NAME's. */
static void
take_value(
    const char *line, size_t length, const char *name, char *value, size_t room)
{
	size_t skip = strlen(name);

	if (length <= skip || strncasecmp(line, name, skip) != 0)
		return;
	line += skip;
	length -= skip;
	while (length > 0 && *line == ' ') {
		line++;
		length--;
	}
	while (length > 0 && strchr("\r\n ", line[length - 1]) != NULL)
		length--;
	snprintf(value, room, "%.*s", (int)length, line);
}

static size_t
take_header(char *line, size_t size, size_t count, void *context)
{
	struct http_answer *answer = ((struct transfer *)context)->answer;
	size_t length = size * count;

	take_value(line, length, "Cache-Control:", answer->cache,
	    sizeof(answer->cache));
	take_value(
	    line, length, "Content-Type:", answer->type, sizeof(answer->type));
	take_value(line, length, "Age:", answer->age, sizeof(answer->age));
	return length;
}

/* One header more; without memory there are fewer. */
static struct curl_slist *
add_header(struct curl_slist *list, const char *name, const char *value)
{
	char line[8192];
	struct curl_slist *longer;

	if (value == NULL)
		return list;
	snprintf(line, sizeof(line), "%s: %s", name, value);
	longer = curl_slist_append(list, line);
	return longer == NULL ? list : longer;
}

static void
set_options(
    CURL *curl, struct transfer *t, struct curl_slist *headers, char *complaint)
{
	const struct http_request *request = t->request;

	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, PACKAGE_STRING);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, complaint);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->wait_ms);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	if (request->post == NULL)
		return;
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(
	    curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->post_size);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(curl, CURLOPT_READDATA, t);
}

/* Whether RC is an answer all the same. */
static bool
is_answer(CURLcode rc, const struct transfer *t)
{
	if (rc == CURLE_OK || rc == CURLE_OPERATION_TIMEDOUT)
		return true;
	if (rc == CURLE_WRITE_ERROR) /* we have hung up */
		return t->seen;
	/* It did not want to hear all of the body. */
	return t->answer->status != 0 &&
	       (rc == CURLE_SEND_ERROR || rc == CURLE_RECV_ERROR ||
		   rc == CURLE_PARTIAL_FILE);
}

static int
perform(CURL *curl, struct transfer *t, struct error *error)
{
	char complaint[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	CURLcode rc;

	headers = add_header(headers, "Accept", t->request->accept);
	headers =
	    add_header(headers, "Authorization", t->request->authorization);
	if (t->request->post != NULL)
		headers =
		    add_header(headers, "Content-Type", "application/json");
	set_options(curl, t, headers, complaint);
	rc = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &t->answer->status);
	t->answer->cut = rc == CURLE_OPERATION_TIMEDOUT;
	if (is_answer(rc, t))
		return 0;
	return error_set(error, ERROR_UNAVAILABLE, "%s",
	    complaint[0] != '\0' ? complaint : curl_easy_strerror(rc));
}

int
http_ask(const struct http_request *request, struct http_answer *answer,
    struct error *error)
{
	struct transfer transfer = {.request = request, .answer = answer};
	CURL *curl = curl_easy_init();
	int rc;

	*answer = (struct http_answer){.status = 0};
	buffer_init(&answer->body, HTTP_BODY_MAX);
	if (curl == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	rc = perform(curl, &transfer, error);
	curl_easy_cleanup(curl);
	if (rc < 0)
		http_answer_fini(answer);
	return rc;
}

void
http_answer_fini(struct http_answer *answer)
{
	buffer_fini(&answer->body);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Asking the web server.
 */
#include "config.h"

#include "check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "error.h"
#include "findings.h"
#include "http.h"

/* How long an answer may take, and the first event of a stream: the program
 * sends it at once. */
#define ANSWER_MS 30000
#define EVENT_MS 5000

/* A client group of nobody; a pull only reads, so it is not even made. */
#define GROUP "replicache-admin-check"

#define TOKEN_MAX 8000
#define URL_MAX 2048

struct site {
	const struct admin *admin;
	struct findings *findings;
	char token[TOKEN_MAX + 1]; /* "" if there is none */
	long long version;         /* as /health says */
	bool barred;               /* a token was wanted */
};

static int
read_token(struct site *site, const char *path, struct error *error)
{
	FILE *file = path == NULL ? NULL : fopen(path, "re");
	size_t n;

	if (path == NULL)
		return 0;
	if (file == NULL)
		return error_set(
		    error, ERROR_CONFIG, "%s: %s", path, strerror(errno));
	n = fread(site->token, 1, TOKEN_MAX, file);
	fclose(file);
	site->token[n] = '\0';
	site->token[strcspn(site->token, "\r\n")] = '\0';
	if (site->token[0] == '\0')
		return error_set(
		    error, ERROR_CONFIG, "%s: there is no token in it", path);
	return 0;
}

/* Asks for PATH below the URL. -1 if there was no answer, which is noted. */
static int
ask(struct site *site, const char *path, struct http_request *request,
    struct http_answer *answer)
{
	const char *base = site->admin->url;
	size_t length = strlen(base);
	char url[URL_MAX], what[ERROR_MESSAGE_MAX + 64];
	struct error error = {0};
	int rc;

	while (length > 0 && base[length - 1] == '/')
		length--;
	snprintf(url, sizeof(url), "%.*s%s", (int)length, base, path);
	request->url = url;
	if (request->wait_ms == 0)
		request->wait_ms = ANSWER_MS;
	rc = http_ask(request, answer, &error);
	request->url = NULL;
	if (rc == 0)
		return 0;
	snprintf(what, sizeof(what), "%s: %s", path, error.message);
	findings_add(site->findings, FINDING_FAULT, what,
	    "Is this the web server's address, and does it serve?");
	return -1;
}

/* The value of the member NAME of a flat JSON object, up to its end, or NULL.
 */
static const char *
member(const struct http_answer *answer, const char *name)
{
	char key[64];
	int n = snprintf(key, sizeof(key), "\"%s\":", name);
	const char *at = answer->body.length == 0
			     ? NULL
			     : memmem(answer->body.data, answer->body.length,
				   key, (size_t)n);

	if (at == NULL)
		return NULL;
	at += n;
	return at + strspn(at, " ");
}

/* Bodies are not NUL-terminated; these are read as strings. */
static void
terminate(struct http_answer *answer)
{
	buffer_append_byte(&answer->body, '\0');
	if (answer->body.length > 0)
		answer->body.length--;
}

static void
note_answer(struct site *site, enum finding_kind kind, const char *path,
    const struct http_answer *answer, const char *advice)
{
	char what[128];

	snprintf(what, sizeof(what), "%s: status %ld", path, answer->status);
	if (answer->cut && answer->status == 0)
		snprintf(what, sizeof(what), "%s: no answer", path);
	findings_add(site->findings, kind, what, advice);
}

/* Notes that PATH wants a token, once for all paths. */
static bool
is_barred(struct site *site, const char *path, const struct http_answer *answer)
{
	if (answer->status != 401 && answer->status != 403)
		return false;
	if (!site->barred)
		note_answer(site,
		    site->token[0] == '\0' ? FINDING_WARNING : FINDING_FAULT,
		    path, answer,
		    site->token[0] == '\0'
			? "What follows behind it was not looked at: that "
			  "needs a token, --token-file."
			: "The token does not let one in.");
	site->barred = true;
	return true;
}

/* No cache may keep an answer, nor have it from one. */
static void
check_cache(struct site *site, const char *path,
    const struct http_answer *answer, const char *wanted)
{
	char what[512];

	snprintf(what, sizeof(what), "%s: not cached%s%s", path,
	    answer->age[0] == '\0' ? "" : ", but Age: ", answer->age);
	if (strstr(answer->cache, wanted) == NULL)
		snprintf(what, sizeof(what), "%s: Cache-Control is '%s'", path,
		    answer->cache);
	findings_judge(site->findings,
	    answer->age[0] == '\0' && strstr(answer->cache, wanted) != NULL,
	    FINDING_FAULT, what,
	    "The web server, or a proxy or CDN before it, caches or changes "
	    "Cache-Control: clients would see old states again and again.");
}

/* /health: is it the program that answers, and what reaches it? */
static int
check_health(struct site *site)
{
	struct http_request request = {.authorization = "replicache-admin"};
	struct http_answer answer;
	const char *version, *authorization;

	if (ask(site, "/health", &request, &answer) < 0)
		return -1;
	terminate(&answer);
	version = member(&answer, "version");
	authorization = member(&answer, "authorization");
	if (version == NULL && member(&answer, "status") != NULL) {
		note_answer(site, FINDING_FAULT, "/health", &answer,
		    "The program is there, but its database is not: see what "
		    "/health says.");
	} else if (version == NULL) {
		note_answer(site, FINDING_FAULT, "/health", &answer,
		    answer.status >= 500
			? "Does replicache.fcgi run, and may the web server "
			  "open its socket?"
			: "Another answers than replicache.fcgi. The web "
			  "server must hand it all below this address, the "
			  "rest of the path as PATH_INFO.");
	} else {
		findings_add(site->findings, FINDING_FINE,
		    "/health: the path arrives", NULL);
		site->version = strtoll(version, NULL, 10);
		findings_judge(site->findings,
		    authorization != NULL && *authorization == 't',
		    FINDING_FAULT, "Authorization reaches the program",
		    "It does not. Apache: CGIPassAuth On. Without it tokens "
		    "have to come in another header or a cookie (jwt_header, "
		    "jwt_cookie).");
		check_cache(site, "/health", &answer, "no-store");
	}
	http_answer_fini(&answer);
	return version == NULL ? -1 : 0;
}

/* A pull of nothing, as of a client that has all. */
static void
check_pull(struct site *site)
{
	char body[512];
	struct http_request request = {.post = body,
	    .authorization = site->token[0] == '\0' ? NULL : site->token};
	struct http_answer answer;

	snprintf(body, sizeof(body),
	    "{\"pullVersion\":1,\"clientGroupID\":\"" GROUP
	    "\",\"cookie\":%lld,"
	    "\"profileID\":\"" GROUP "\",\"schemaVersion\":\"\"}",
	    site->version);
	request.post_size = strlen(body);
	if (ask(site, "/pull", &request, &answer) < 0)
		return;
	terminate(&answer);
	if (!is_barred(site, "/pull", &answer)) {
		if (member(&answer, "cookie") != NULL || answer.status == 200)
			check_cache(site, "/pull", &answer, "no-store");
		else
			note_answer(site, FINDING_FAULT, "/pull", &answer,
			    "A pull does not work; the log of replicache.fcgi "
			    "says why.");
	}
	http_answer_fini(&answer);
}

/* A push of nothing, in a body as large as may be. */
static void
check_push(struct site *site)
{
	static const char body[] =
	    "{\"pushVersion\":1,\"clientGroupID\":\"" GROUP "\",\"profileID\":"
	    "\"" GROUP "\",\"schemaVersion\":\"\",\"mutations\":[]}";
	struct http_request request = {.post = body,
	    .post_size = (size_t)site->admin->settings.max_body,
	    .wait_ms = 10L * ANSWER_MS,
	    .authorization = site->token[0] == '\0' ? NULL : site->token};
	struct http_answer answer;
	char what[128];

	if (ask(site, "/push", &request, &answer) < 0)
		return;
	if (!is_barred(site, "/push", &answer)) {
		snprintf(what, sizeof(what),
		    "/push: a body of %zu bytes, status %ld", request.post_size,
		    answer.status);
		findings_judge(site->findings, answer.status == 200,
		    FINDING_FAULT, what,
		    "A client that was offline for long could never push. "
		    "Raise the web server's limit to max_body: nginx: "
		    "client_max_body_size; Apache: LimitRequestBody, "
		    "FcgidMaxRequestLen.");
	}
	http_answer_fini(&answer);
}

/* The first event is sent at once; a buffer between keeps it. */
static void
check_poke(struct site *site)
{
	struct http_request request = {.accept = "text/event-stream",
	    .stream = true,
	    .wait_ms = EVENT_MS,
	    .authorization = site->token[0] == '\0' ? NULL : site->token};
	struct http_answer answer;

	if (ask(site, "/poke", &request, &answer) < 0)
		return;
	terminate(&answer);
	if (is_barred(site, "/poke", &answer)) {
		http_answer_fini(&answer);
		return;
	}
	if (answer.status == 204)
		note_answer(site, FINDING_WARNING, "/poke", &answer,
		    "Nothing can wait for changes here, so pages ask again "
		    "and again. Streams need FastCGI to a program that stays: "
		    "neither mod_fcgid nor CGI.");
	else if (answer.cut)
		findings_add(site->findings, FINDING_FAULT,
		    "/poke: no event of the stream comes through",
		    "Something keeps answers back: nginx: fastcgi_buffering, "
		    "if X-Accel-Buffering is ignored; Apache: flushpackets=on; "
		    "or a proxy before it.");
	else if (answer.status != 200)
		note_answer(site, FINDING_FAULT, "/poke", &answer,
		    "Pages are told of no changes.");
	else
		findings_judge(site->findings,
		    strncmp(answer.type, "text/event-stream", 17) == 0,
		    FINDING_FAULT, "/poke: events come through as they happen",
		    "But not as text/event-stream.");
	http_answer_fini(&answer);
}

int
check_url(struct admin *admin, struct findings *findings, struct error *error)
{
	struct site site = {.admin = admin, .findings = findings};

	if (read_token(&site, admin->token_file, error) < 0)
		return -1;
	if (check_health(&site) < 0)
		return 0;
	check_pull(&site);
	check_push(&site);
	check_poke(&site);
	return 0;
}

/* Adds the value of each line of the metric NAME. */
static long long
add_up(const char *text, const char *name, bool *found)
{
	long long sum = 0;
	size_t length = strlen(name);

	*found = false;
	for (const char *line = text; line != NULL && *line != '\0';
	     line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, length) == 0 &&
		    (line[length] == '{' || line[length] == ' ')) {
			const char *value = line + strcspn(line, " \n");

			sum += strtoll(value, NULL, 10);
			*found = true;
		}
	}
	return sum;
}

int
check_streams(struct admin *admin, long long *streams_out, struct error *error)
{
	struct findings unused;
	struct site site = {.admin = admin, .findings = &unused};
	struct http_request request = {.accept = "text/plain"};
	struct http_answer answer;
	bool found = false;

	findings_init(&unused);
	if (ask(&site, "/metrics", &request, &answer) == 0) {
		terminate(&answer);
		if (answer.status == 200 && answer.body.data != NULL)
			*streams_out = add_up(
			    answer.body.data, "replicache_streams", &found);
		http_answer_fini(&answer);
	}
	findings_fini(&unused);
	if (!found)
		return error_set(error, ERROR_UNAVAILABLE,
		    "%s/metrics tells nothing: it needs metrics = on",
		    admin->url);
	return 0;
}

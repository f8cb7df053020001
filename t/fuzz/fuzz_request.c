/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: a request with any CGI variables and any body, from the
 * transport to its answer and its line in the log. Handlers are only noted; who
 * gets there, and with what, is checked against the variables; the answer must
 * be one of HTTP and JSON, and the log one line, whatever was sent.
 *
 * Input: a byte of settings, one of how the body comes, variables as
 * NAME=VALUE, a line each, an empty line, the body. Linked with --wrap=write.
 */
#include "config.h"

#include "fuzz.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <strings.h>
#include <unistd.h>

#include "app.h"
#include "arena.h"
#include "auth.h"
#include "error.h"
#include "exchange.h"
#include "health.h"
#include "log.h"
#include "metrics_handle.h"
#include "poke.h"
#include "pull.h"
#include "push.h"
#include "response.h"
#include "scan.h"
#include "settings.h"
#include "token_key.h"
#include "transport.h"

const struct fuzz_target fuzz_target = FUZZ_TARGET(
    "fuzz/request", "\n=/\"; ,:*?.-_aPOSTush0129\x01\x7f\x80\xc3\xe2");

#define VARIABLES_MAX 40
#define BODY_MAX 2000
#define ANSWER_MAX 8192

/* A setting of the second byte of input: how a body is read. */
#define CUT 0x80u /* it ends by an error */

static const char *const origins[] = {"", "https://a.example",
    "https://a.example null http://b.example:8080", "https://a.example *"};

static const char secret[] = "0123456789abcdef0123456789abcdef";

/* The request under way. */
struct sent {
	struct transport base;
	char *names[VARIABLES_MAX], *values[VARIABLES_MAX];
	size_t count;
	const uint8_t *body;
	size_t body_length, at, piece;
	bool cut;
	const char *called; /* the path of the handler */
	char answer[ANSWER_MAX];
	size_t answer_length;
	unsigned ends, lines;
	char user[256];
};

static struct sent *current;
static struct settings settings;
static struct app app;

static const char *
variable(const struct sent *sent, const char *name)
{
	for (size_t i = 0; i < sent->count; i++)
		if (strcmp(sent->names[i], name) == 0)
			return sent->values[i];
	return NULL;
}

static const char *
value_of(const struct sent *sent, const char *name)
{
	const char *value = variable(sent, name);

	return value == NULL ? "" : value;
}

static const char *
get_param(struct transport *transport, const char *name)
{
	return variable((struct sent *)transport, name);
}

static ssize_t
read_body(struct transport *transport, char *to, size_t size)
{
	struct sent *sent = (struct sent *)transport;
	size_t left = sent->body_length - sent->at;

	fuzz_check(size > 0);
	if (left == 0 && sent->cut)
		return -1;
	if (size > left)
		size = left;
	if (size > sent->piece)
		size = sent->piece;
	if (size > 0)
		memcpy(to, sent->body + sent->at, size);
	sent->at += size;
	return (ssize_t)size;
}

static int
write_answer(struct transport *transport, const char *bytes, size_t size)
{
	struct sent *sent = (struct sent *)transport;

	fuzz_check(size <= ANSWER_MAX - 1 - sent->answer_length);
	memcpy(sent->answer + sent->answer_length, bytes, size);
	sent->answer_length += size;
	sent->answer[sent->answer_length] = '\0';
	return 0;
}

static void
end(struct transport *transport, bool whole)
{
	struct sent *sent = (struct sent *)transport;

	fuzz_check(whole);
	sent->ends++;
}

static const struct transport_ops ops = {
    .param = get_param, .read = read_body, .write = write_answer, .end = end};

/* A line of the log: one write, one line, of plain characters. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __real_write(int fd, const void *bytes, size_t size);

ssize_t
__wrap_write(int fd, const void *bytes, size_t size)
{
	const char *line = bytes;
	struct error error;
	unsigned flags;

	if (fd != STDERR_FILENO || current == NULL)
		return __real_write(fd, bytes, size);
	fuzz_check(size > 1 && size <= LOG_LINE_MAX);
	fuzz_check(line[size - 1] == '\n');
	for (size_t i = 0; i < size - 1; i++)
		fuzz_check(line[i] >= ' ' && line[i] <= '~');
	if (line[0] == '{')
		fuzz_check(scan_document(line, size, 100, &flags, &error) == 0);
	else
		fuzz_check(strncmp(line, "replicache: ", 12) == 0);
	current->lines++;
	return (ssize_t)size;
}

static struct auth *
make_auth(enum auth_kind kind)
{
	static struct auth *made[AUTH_JWT + 1];
	struct error error;
	char path[] = "/tmp/fuzz-request-XXXXXX";
	int fd;

	settings.auth = (int)kind;
	if (made[kind] != NULL)
		return made[kind];
	fd = mkstemp(path);
	fuzz_check(fd >= 0 && write(fd, secret, strlen(secret)) > 0);
	close(fd);
	settings.jwt_key_file = path;
	made[kind] = auth_new(&settings, &error);
	unlink(path);
	settings.jwt_key_file = NULL;
	fuzz_check(made[kind] != NULL);
	return made[kind];
}

/* Settings by the bits of CHOICE. */
static void
choose(unsigned choice)
{
	static char allowed[4][64];
	static char subject[] = "sub", header[] = "X-Token",
		    cookie[] = "__Host-token", none[] = "";

	strcpy(allowed[choice & 3], origins[choice & 3]);
	settings.allowed_origins = allowed[choice & 3];
	settings.jwt_algorithm = TOKEN_HS256;
	settings.jwt_subject = subject;
	settings.jwt_audience = settings.jwt_issuer = none;
	settings.jwt_header = (choice & 4) != 0 ? header : none;
	settings.jwt_cookie = (choice & 8) != 0 ? cookie : none;
	settings.jwt_leeway = 60;
	settings.max_body = 1024;
	app.settings = &settings;
	app.auth = make_auth((choice & 0x30) == 0      ? AUTH_NONE
			     : (choice & 0x30) == 0x10 ? AUTH_REMOTE_USER
						       : AUTH_JWT);
	log_set_level(LOG_LEVEL_DEBUG);
	log_set_format(
	    (choice & 0x40) != 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

/* Notes that a handler was reached. Its answer is sent as any. */
static enum exchange_state
note(struct exchange *exchange, const char *path)
{
	const struct request *request = &exchange->request;

	fuzz_check(current->called == NULL);
	current->called = path;
	fuzz_check(strcmp(request->path, path) == 0);
	snprintf(current->user, sizeof(current->user), "%s",
	    exchange->identity.user);
	if (request->method == METHOD_POST) {
		fuzz_check(request->body_length == current->body_length);
		fuzz_check(request->body_length <= (size_t)settings.max_body);
		fuzz_check(request->body[request->body_length] == '\0');
		fuzz_check(memcmp(request->body, current->body,
			       request->body_length) == 0);
	}
	response_json(&exchange->response, 200, "{}");
	return EXCHANGE_ANSWERED;
}

/* They stand for those of the program. */
#define DEFINE_HANDLER(function, path)                                         \
	enum exchange_state function(struct exchange *exchange)                \
	{                                                                      \
		return note(exchange, path);                                   \
	}

DEFINE_HANDLER(push_handle, "/push")
DEFINE_HANDLER(pull_handle, "/pull")
DEFINE_HANDLER(poke_handle, "/poke")
DEFINE_HANDLER(health_handle, "/health")
DEFINE_HANDLER(metrics_handle, "/metrics")

/* The path that was asked for, if it is one; else NULL. */
static const char *
asked_path(const struct sent *sent)
{
	static const char *const paths[] = {
	    "/push", "/pull", "/poke", "/health", "/metrics"};
	const char *path = variable(sent, "PATH_INFO");
	char uri[4096];

	if (path == NULL) {
		snprintf(uri, sizeof(uri), "%s", value_of(sent, "REQUEST_URI"));
		uri[strcspn(uri, "?")] = '\0';
		path = strrchr(uri, '/');
	}
	for (size_t i = 0; path != NULL && i < 5; i++)
		if (strcmp(path, paths[i]) == 0)
			return paths[i];
	return NULL;
}

static bool
is_of_post(const char *path)
{
	return strcmp(path, "/push") == 0 || strcmp(path, "/pull") == 0;
}

static bool
is_method_of(const char *path, const char *method)
{
	return is_of_post(path)
		   ? strcmp(method, "POST") == 0
		   : strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

/* Is ORIGIN among those allowed, by name? */
static bool
is_named(const char *origin)
{
	char list[128];
	char *rest = list, *entry;

	snprintf(list, sizeof(list), "%s", (char *)settings.allowed_origins);
	while ((entry = strtok_r(rest, " ", &rest)) != NULL)
		if (strcmp(entry, origin) == 0 && strcmp(entry, "*") != 0)
			return true;
	return false;
}

/* Any page can be of the origin null. */
static bool
is_trusted(const char *origin)
{
	return is_named(origin) && strcmp(origin, "null") != 0;
}

/* May a page that says where it is from so act in its user's name? */
static bool
is_ours(const struct sent *sent)
{
	const char *origin = value_of(sent, "HTTP_ORIGIN");
	const char *site = value_of(sent, "HTTP_SEC_FETCH_SITE");
	const char *host = strstr(origin, "://");

	if (is_trusted(origin))
		return true;
	if (site[0] != '\0')
		return strcmp(site, "same-origin") == 0 ||
		       strcmp(site, "none") == 0;
	return origin[0] == '\0' ||
	       (host != NULL && value_of(sent, "HTTP_HOST")[0] != '\0' &&
		   strcasecmp(host + 3, value_of(sent, "HTTP_HOST")) == 0);
}

static bool
brings_header(const struct sent *sent)
{
	return value_of(sent, "HTTP_AUTHORIZATION")[0] != '\0' ||
	       value_of(sent, "REDIRECT_HTTP_AUTHORIZATION")[0] != '\0' ||
	       value_of(sent, "Authorization")[0] != '\0' ||
	       value_of(sent, "HTTP_X_TOKEN")[0] != '\0';
}

/* Who got to a handler of PATH may have. */
static void
check_called(const struct sent *sent, const char *path)
{
	const char *user = value_of(sent, "REMOTE_USER");

	fuzz_check(path != NULL && strcmp(path, sent->called) == 0);
	fuzz_check(is_method_of(path, value_of(sent, "REQUEST_METHOD")));
	if (is_of_post(path))
		fuzz_check(strncasecmp(value_of(sent, "CONTENT_TYPE"),
			       "application/json", 16) == 0);
	if (strcmp(path, "/health") == 0 || strcmp(path, "/metrics") == 0 ||
	    settings.auth == AUTH_NONE) {
		fuzz_check(sent->user[0] == '\0');
		return;
	}
	fuzz_check(sent->user[0] != '\0');
	if (settings.auth == AUTH_REMOTE_USER) {
		if (user[0] == '\0')
			user = value_of(sent, "REDIRECT_REMOTE_USER");
		fuzz_check(strcmp(sent->user, user) == 0);
		fuzz_check(is_ours(sent));
	} else if (!brings_header(sent)) {
		fuzz_check(settings.jwt_cookie[0] != '\0');
		fuzz_check(value_of(sent, "HTTP_COOKIE")[0] != '\0');
		fuzz_check(is_ours(sent));
	}
}

/* The value of the header NAME in the head, in static memory; NULL: none. It is
 * there once at most. */
static const char *
header_of(const char *head, const char *name)
{
	static char value[1024];
	const char *found = NULL;
	size_t length = strlen(name);

	for (const char *at = head; *at != '\r'; at = strstr(at, "\r\n") + 2) {
		if (strncmp(at, name, length) != 0 || at[length] != ':')
			continue;
		fuzz_check(found == NULL);
		found = value;
		snprintf(value, sizeof(value), "%.*s",
		    (int)(strstr(at, "\r\n") - at - (int)length - 2),
		    at + length + 2);
	}
	return found;
}

/* The head is lines `Name: value` of names that we know. Returns its end. */
static const char *
check_head(const char *answer)
{
	static const char *const names[] = {"Status", "Content-Type",
	    "Content-Length", "Cache-Control", "X-Content-Type-Options",
	    "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
	    "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
	    "Access-Control-Max-Age", "Vary", "Allow", "WWW-Authenticate",
	    "Retry-After"};
	const char *at = answer;

	while (strncmp(at, "\r\n", 2) != 0) {
		size_t length = strcspn(at, ":"), i = 0;

		while (i < sizeof(names) / sizeof(names[0]) &&
		       (strlen(names[i]) != length ||
			   memcmp(names[i], at, length) != 0))
			i++;
		fuzz_check(i < sizeof(names) / sizeof(names[0]));
		fuzz_check(at[length + 1] == ' ');
		for (at += length; *at >= ' ' && *at <= '~'; at++)
			;
		fuzz_check(strncmp(at, "\r\n", 2) == 0);
		at += 2;
	}
	return at + 2;
}

static void
check_origin(const struct sent *sent)
{
	const char *origin = value_of(sent, "HTTP_ORIGIN");
	const char *allowed =
	    header_of(sent->answer, "Access-Control-Allow-Origin");

	if (allowed == NULL) {
		fuzz_check(!is_named(origin) || strlen(origin) > 255);
		fuzz_check(header_of(sent->answer,
			       "Access-Control-Allow-Credentials") == NULL);
		return;
	}
	fuzz_check(origin[0] != '\0');
	if (strcmp(allowed, "*") != 0) {
		fuzz_check(strcmp(allowed, origin) == 0 && is_named(origin));
		fuzz_check(is_trusted(origin) ||
			   header_of(sent->answer,
			       "Access-Control-Allow-Credentials") == NULL);
		return;
	}
	fuzz_check(strchr(settings.allowed_origins, '*') != NULL);
	fuzz_check(strcmp(origin, "null") != 0);
	fuzz_check(header_of(sent->answer,
		       "Access-Control-Allow-Credentials") == NULL);
}

/* The body of an answer is JSON, and tells nothing but what is ours. */
static void
check_body(const struct sent *sent, const char *body, int status)
{
	const char *id = value_of(sent, "HTTP_X_REPLICACHE_REQUESTID");
	size_t length = strlen(body);
	const char *told = header_of(sent->answer, "Content-Length");
	struct scan_value root, member;
	const char *const names[] = {"requestID"};
	struct error error;
	unsigned flags;

	if (status == 204 ||
	    strcmp(value_of(sent, "REQUEST_METHOD"), "HEAD") == 0) {
		fuzz_check(length == 0);
		return;
	}
	fuzz_check(told != NULL && strtoul(told, NULL, 10) == length);
	fuzz_check(scan_document(body, length, 10, &flags, &error) == 0);
	scan_root(body, length, &root);
	fuzz_check(root.kind == SCAN_OBJECT);
	if (status == 200)
		return;
	fuzz_check(scan_fields(&root, names, 1, &member, &error) == 0);
	fuzz_check(member.kind == SCAN_STRING);
	fuzz_check(member.length == 2 || scan_equals(&member, id));
}

/* What was answered is what had to be. */
static void
check_answer(const struct sent *sent)
{
	const char *path = asked_path(sent);
	const char *method = value_of(sent, "REQUEST_METHOD");
	const char *body = check_head(sent->answer);
	int status = atoi(header_of(sent->answer, "Status"));

	fuzz_check(sent->ends == 1);
	fuzz_check((status == 404) == (path == NULL));
	fuzz_check((status == 204) ==
		   (path != NULL && strcmp(method, "OPTIONS") == 0));
	if (path != NULL && strcmp(method, "OPTIONS") != 0)
		fuzz_check((status == 405) == !is_method_of(path, method));
	fuzz_check((sent->called != NULL) == (status == 200));
	if (sent->called != NULL)
		check_called(sent, path);
	if (status == 401 || status == 403)
		fuzz_check(settings.auth != AUTH_NONE);
	if (status == 413)
		fuzz_check(sent->body_length > (size_t)settings.max_body ||
			   value_of(sent, "CONTENT_LENGTH")[0] != '\0');
	check_origin(sent);
	check_body(sent, body, status);
	fuzz_check(sent->lines > 0);
}

static void
read_input(struct sent *sent, struct fuzz_input *input)
{
	unsigned how = fuzz_byte(input);

	sent->base.ops = &ops;
	sent->cut = (how & CUT) != 0;
	sent->piece = 1 + (how & ~CUT) * 16;
	while (input->at < input->end && sent->count < VARIABLES_MAX) {
		char *name = fuzz_text(input, '\n');
		size_t length = strcspn(name, "=");

		if (name[0] == '\0') {
			free(name);
			break;
		}
		sent->names[sent->count] = name;
		sent->values[sent->count] =
		    name[length] == '=' ? name + length + 1 : name + length;
		name[length] = '\0';
		sent->count++;
	}
	sent->body = input->at;
	sent->body_length = (size_t)(input->end - input->at);
	if (sent->body_length > BODY_MAX)
		sent->body_length = BODY_MAX;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	struct sent sent = {.count = 0};

	choose(fuzz_byte(&input));
	read_input(&sent, &input);
	current = &sent;
	exchange_run(&app, &sent.base);
	current = NULL;
	check_answer(&sent);
	for (size_t i = 0; i < sent.count; i++)
		free(sent.names[i]);
	return 0;
}

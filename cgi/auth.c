/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who is asking.
 */
#include "config.h"

#include "auth.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "arena.h"
#include "clock.h"
#include "cors.h"
#include "error.h"
#include "identity.h"
#include "log.h"
#include "request.h"
#include "settings.h"
#include "token.h"
#include "token_key.h"
#include "utf8.h"

/* How often the log tells that no web server hands on Authorization. */
#define HINT_MS 60000

struct auth {
	const struct settings *settings;
	pthread_rwlock_t lock;  /* of what follows */
	struct token_key *key;  /* NULL unless for `auth = jwt` */
	_Atomic int64_t hinted; /* clock_ms(), or 0 */
};

/* A name that goes into a header: of letters, digits and hyphens, and, in
 * cookies, underscores. */
static bool
is_name(const char *name, const char *more)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-";
	for (size_t n = 0; n <= SETTINGS_HEADER_MAX; n++) {
		if (name[n] == '\0')
			return true;
		if (strchr(letters, name[n]) == NULL &&
		    strchr(more, name[n]) == NULL)
			return false;
	}
	return false;
}

static int
check_settings(const struct settings *settings, struct error *error)
{
	if (settings->auth != AUTH_JWT)
		return 0;
	if (settings->jwt_algorithm == TOKEN_UNSET)
		return error_set(error, ERROR_CONFIG,
		    "jwt_algorithm must be said, as auth is jwt: HS256, RS256 "
		    "or ES256");
	if (settings->jwt_key_file[0] == '\0')
		return error_set(error, ERROR_CONFIG,
		    "jwt_key_file must be said, as auth is jwt");
	if (settings->jwt_subject[0] == '\0')
		return error_set(error, ERROR_CONFIG,
		    "jwt_subject must be said, as auth is jwt");
	if (!is_name(settings->jwt_header, ""))
		return error_set(error, ERROR_CONFIG,
		    "jwt_header: not the name of a header");
	/* These two are no HTTP_... in CGI (RFC 3875 section 4.1.18). */
	if (strcasecmp(settings->jwt_header, "Content-Type") == 0 ||
	    strcasecmp(settings->jwt_header, "Content-Length") == 0)
		return error_set(error, ERROR_CONFIG,
		    "jwt_header: no web server passes this one on as a header");
	if (!is_name(settings->jwt_cookie, "_"))
		return error_set(error, ERROR_CONFIG,
		    "jwt_cookie: not a name of letters, digits, - and _");
	return 0;
}

static struct token_key *
load_key(const struct settings *settings, struct error *error)
{
	return token_key_load((enum token_algorithm)settings->jwt_algorithm,
	    settings->jwt_key_file, error);
}

struct auth *
auth_new(const struct settings *settings, struct error *error)
{
	struct auth *auth;

	if (check_settings(settings, error) < 0)
		return NULL;
	auth = calloc(1, sizeof(*auth));
	if (auth == NULL) {
		error_set(error, ERROR_CONFIG, "out of memory");
		return NULL;
	}
	auth->settings = settings;
	pthread_rwlock_init(&auth->lock, NULL);
	if (settings->auth == AUTH_JWT) {
		auth->key = load_key(settings, error);
		if (auth->key == NULL) {
			auth_free(auth);
			return NULL;
		}
	}
	return auth;
}

void
auth_free(struct auth *auth)
{
	if (auth == NULL)
		return;
	token_key_free(auth->key);
	pthread_rwlock_destroy(&auth->lock);
	free(auth);
}

int
auth_reload(struct auth *auth, struct error *error)
{
	struct token_key *fresh, *before;

	if (auth->settings->auth != AUTH_JWT)
		return 0;
	fresh = load_key(auth->settings, error);
	if (fresh == NULL)
		return -1;
	pthread_rwlock_wrlock(&auth->lock);
	before = auth->key;
	auth->key = fresh;
	pthread_rwlock_unlock(&auth->lock);
	token_key_free(before);
	return 0;
}

bool
auth_is_ambient(const struct settings *settings)
{
	return settings->auth == AUTH_REMOTE_USER ||
	       (settings->auth == AUTH_JWT && settings->jwt_cookie[0] != '\0');
}

static int
check_site(
    const struct auth *auth, const struct request *request, struct error *error)
{
	if (cors_is_foreign(auth->settings->allowed_origins, request->origin,
		request->site, request->host))
		return error_set(error, ERROR_CROSS_SITE,
		    "a page of %s asks in its user's name",
		    request->origin[0] == '\0' ? "another site"
					       : request->origin);
	return 0;
}

/* Is TEXT UTF-8, as the database wants it? */
static bool
is_text(const char *text)
{
	const char *end = text + strlen(text);

	while (text < end) {
		size_t n =
		    (unsigned char)*text < 0x80 ? 1 : utf8_sequence(text, end);

		if (n == 0)
			return false;
		text += n;
	}
	return true;
}

static int
identify_by_server(const struct auth *auth, const struct request *request,
    struct arena *arena, struct identity *identity, struct error *error)
{
	const char *user = request->user;

	if (user[0] == '\0')
		return error_set(error, ERROR_UNAUTHORIZED,
		    "the web server gives no REMOTE_USER");
	if (check_site(auth, request, error) < 0)
		return -1;
	if (strlen(user) > TOKEN_USER_MAX || !is_text(user))
		return error_set(error, ERROR_UNAUTHORIZED,
		    "the web server's REMOTE_USER is too long, or not UTF-8");
	identity->user = arena_strdup(arena, user);
	if (identity->user == NULL)
		return error_set(error, ERROR_UNAVAILABLE, "out of memory");
	return 0;
}

/* The token in VALUE, a header's: alone, as Replicache sends what it was told
 * (protocol section 1), or behind "Bearer ". */
static const char *
skip_scheme(const char *value)
{
	static const char scheme[] = "bearer ";

	if (strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
		return value;
	value += sizeof(scheme) - 1;
	return value + strspn(value, " ");
}

/*
 * Finds the value of the cookie NAME in COOKIES (RFC 6265 section 4.2.1), a
 * copy, into *VALUE_OUT, "" if there is none. One that is there twice may have
 * been set by a neighbouring site to hide ours, so it is refused.
 */
static int
find_cookie(const char *cookies, const char *name, struct arena *arena,
    const char **value_out, struct error *error)
{
	size_t length = strlen(name);

	*value_out = "";
	while (*cookies != '\0') {
		size_t size = strcspn(cookies, ";");

		if (size > length && cookies[length] == '=' &&
		    memcmp(cookies, name, length) == 0) {
			if ((*value_out)[0] != '\0')
				return error_set(error, ERROR_INVALID_TOKEN,
				    "the cookie of the token is there twice");
			*value_out = arena_strndup(
			    arena, cookies + length + 1, size - length - 1);
			if (*value_out == NULL)
				return error_set(
				    error, ERROR_UNAVAILABLE, "out of memory");
		}
		cookies += size;
		cookies += strspn(cookies, "; ");
	}
	return 0;
}

/* There is no token: perhaps for the one reason that operators run into. */
static int
refuse_without(struct auth *auth, struct error *error)
{
	int64_t now = clock_ms(), before = auth->hinted;

	if ((before == 0 || now > before + HINT_MS) &&
	    atomic_compare_exchange_strong(&auth->hinted, &before, now))
		log_warning(
		    "a request came without a token; if all do, the web "
		    "server keeps Authorization to itself (Apache: "
		    "CGIPassAuth On)");
	return error_set(error, ERROR_UNAUTHORIZED, "there is no token");
}

static int
read_token(struct auth *auth, const char *token, struct arena *arena,
    struct identity *identity, struct error *error)
{
	const struct settings *settings = auth->settings;
	const struct token_rules rules = {
	    .audience = settings->jwt_audience,
	    .issuer = settings->jwt_issuer,
	    .subject = settings->jwt_subject,
	    .leeway = settings->jwt_leeway,
	    .now = time(NULL),
	};
	int rc;

	pthread_rwlock_rdlock(&auth->lock);
	rc = token_read(token, auth->key, &rules, arena, identity, error);
	pthread_rwlock_unlock(&auth->lock);
	return rc;
}

static int
identify_by_token(struct auth *auth, const struct request *request,
    struct arena *arena, struct identity *identity, struct error *error)
{
	const char *cookie = auth->settings->jwt_cookie;
	const char *token = skip_scheme(request->authorization);

	if (token[0] != '\0' || cookie[0] == '\0')
		return token[0] == '\0'
			   ? refuse_without(auth, error)
			   : read_token(auth, token, arena, identity, error);
	if (find_cookie(request->cookie, cookie, arena, &token, error) < 0)
		return -1;
	if (token[0] == '\0')
		return refuse_without(auth, error);
	if (check_site(auth, request, error) < 0)
		return -1;
	return read_token(auth, token, arena, identity, error);
}

int
auth_identify(struct auth *auth, const struct request *request,
    struct arena *arena, struct identity *identity, struct error *error)
{
	identity->user = identity->claims = "";
	switch ((enum auth_kind)auth->settings->auth) {
	case AUTH_NONE:
		return 0;
	case AUTH_REMOTE_USER:
		return identify_by_server(
		    auth, request, arena, identity, error);
	case AUTH_JWT:
		return identify_by_token(auth, request, arena, identity, error);
	case AUTH_UNSET:
		break;
	}
	return error_set(error, ERROR_INTERNAL, "auth is not set");
}

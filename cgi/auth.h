/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Auth: who is asking, by the one way that the settings name.
 *
 *	none		nobody is asked
 *	remote_user	the web server's REMOTE_USER
 *	jwt		a token (token.h): of a header, or of a cookie
 *
 * A cookie, and whatever makes a web server believe in a REMOTE_USER, is sent
 *by a browser for any page that asks it to, so with these the page must be of
 *our site, or of an allowed origin. A token in a header only a page can send
 *that has it. A token in the URL is not looked at: URLs are logged.
 */
#ifndef REPLICACHE_AUTH_H
#define REPLICACHE_AUTH_H

#include <stdbool.h>

struct arena;
struct auth;
struct error;
struct identity;
struct request;
struct settings;

/* Prepares for what SETTINGS say. NULL with ERROR_CONFIG if they miss a part,
 * or if there is no key that can be used. */
struct auth *auth_new(const struct settings *settings, struct error *error);

/* NULL is legal. */
void auth_free(struct auth *auth);

/* Reads the keys again. -1 with ERROR_CONFIG, and those before stay, if that
 * fails. Requests may be under way. */
int auth_reload(struct auth *auth, struct error *error);

/* True if browsers tell by themselves who their user is. */
bool auth_is_ambient(const struct settings *settings);

/*
 * Fills IDENTITY with who REQUEST is from, in memory from ARENA or static; with
 * `auth = none`, everybody is the user "". Fails by
 *   ERROR_UNAUTHORIZED		nobody is named
 *   ERROR_INVALID_TOKEN	what names somebody is no good
 *   ERROR_CROSS_SITE		a page of another site made a browser ask
 */
int auth_identify(struct auth *auth, const struct request *request,
    struct arena *arena, struct identity *identity, struct error *error);

#endif

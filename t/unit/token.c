/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/token: hostile tokens, most of them properly signed, so that
 * the check at hand is the one that refuses.
 */
#include "config.h"

#include "unit.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "error.h"
#include "identity.h"
#include "token.h"
#include "token_key.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char good_header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";

/* The time of all tests. */
#define NOW 1700000000

static struct token_key *key;
static const struct token_rules usual = {
    .audience = "",
    .issuer = "",
    .subject = "sub",
    .leeway = 60,
    .now = NOW,
};

/* Appends the base64url of LENGTH bytes. */
static void
append(char *to, const void *bytes, size_t length)
{
	size_t at = strlen(to);
	int n = EVP_EncodeBlock((unsigned char *)to + at, bytes, (int)length);

	for (char *c = to + at; *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	while (n > 0 && to[at + (size_t)n - 1] == '=')
		to[at + (size_t)--n] = '\0';
}

/* A signed token in memory of its own. */
static char *
sign_with(const char *header, const char *claims, size_t claims_length,
    const char *by)
{
	size_t room = 2 * (strlen(header) + claims_length) + 256;
	char *token = calloc(1, room);
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned length;

	assert_non_null(token);
	append(token, header, strlen(header));
	strcat(token, ".");
	append(token, claims, claims_length);
	assert_non_null(HMAC(EVP_sha256(), by, (int)strlen(by),
	    (unsigned char *)token, strlen(token), signature, &length));
	strcat(token, ".");
	append(token, signature, length);
	return token;
}

static char *
sign(const char *header, const char *claims)
{
	return sign_with(header, claims, strlen(claims), secret);
}

static int
read_at(const char *token, const struct token_rules *rules, int64_t now,
    char *user, struct error *error)
{
	struct identity identity = {.user = "", .claims = ""};
	struct token_rules then = *rules;
	struct arena arena;
	int rc;

	then.now = now;
	arena_init(&arena, 1 << 20);
	error_reset(error);
	rc = token_read(token, key, &then, &arena, &identity, error);
	if (rc == 0 && user != NULL)
		strcpy(user, identity.user);
	/* What a token holds is not for the log. */
	if (rc < 0)
		assert_null(strstr(error->message, "swordfish"));
	arena_fini(&arena);
	return rc;
}

/* TOKEN, which is freed, must be taken, or refused for a REASON. */
static void
judge(char *token, const struct token_rules *rules, const char *reason,
    const char *what)
{
	struct error error;
	int rc = read_at(token, rules, NOW, NULL, &error);

	free(token);
	if (reason == NULL) {
		if (rc != 0)
			fail_msg("%s: %s", what, error.message);
		return;
	}
	if (rc != -1 || error.code != ERROR_INVALID_TOKEN ||
	    strstr(error.message, reason) == NULL)
		fail_msg("%s: %d %s", what, rc, rc < 0 ? error.message : "");
}

static void
a_good_token_is_read(void **state)
{
	static const char claims[] =
	    "{ \"sub\":\"\\u00e4nn\",\"role\":[\"x\"],\"exp\":1700000001}";
	char *token = sign(good_header, claims);
	struct identity identity;
	struct arena arena;
	struct error error;

	(void)state;
	arena_init(&arena, 1 << 20);
	assert_int_equal(
	    token_read(token, key, &usual, &arena, &identity, &error), 0);
	assert_string_equal(identity.user, "\xc3\xa4nn");
	assert_string_equal(identity.claims, claims);
	arena_fini(&arena);
	free(token);
}

/* Change any character, leave any out, put any in: no token any more. */
static void
nothing_can_be_changed(void **state)
{
	static const char others[] = "A_-z.=+ \x80";
	char *token = sign(good_header, "{\"sub\":\"a\",\"exp\":1800000000}");
	size_t length = strlen(token);
	char *changed = malloc(length + 2);
	struct error error;

	(void)state;
	for (size_t i = 0; i < length; i++) {
		for (const char *c = others; *c != '\0'; c++) {
			memcpy(changed, token, length + 1);
			if (token[i] != *c) {
				changed[i] = *c;
				assert_int_equal(read_at(changed, &usual, NOW,
						     NULL, &error),
				    -1);
			}
			memcpy(changed, token, i);
			changed[i] = *c;
			memcpy(changed + i + 1, token + i, length - i + 1);
			assert_int_equal(
			    read_at(changed, &usual, NOW, NULL, &error), -1);
		}
		memcpy(changed, token, i);
		memcpy(changed + i, token + i + 1, length - i);
		assert_int_equal(
		    read_at(changed, &usual, NOW, NULL, &error), -1);
	}
	free(changed);
	free(token);
}

static void
what_is_no_token_is_refused(void **state)
{
	static const char *const bad[] = {"", ".", "..", "...", "a", "a.b",
	    "a.b.c", "a.b.c.d", "e30.e30.", "e30..e30", ".e30.e30", "e30.e30.e30",
	    "Basic YTpi", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
	    "\xff\xfe.\x80.\x80"};

	(void)state;
	for (size_t i = 0; i < LENGTH(bad); i++)
		judge(strdup(bad[i]), &usual, "the token", bad[i]);
}

/* As long as may be, and one more; and far longer. */
static void
long_tokens_are_refused_unread(void **state)
{
	static const char text[] =
	    "{\"sub\":\"a\",\"exp\":1800000000,\"x\":\"";
	/* With a header of 36 and a signature of 43 characters. */
	size_t length = (TOKEN_MAX - 36 - 43 - 2) / 4 * 3;
	char *claims = calloc(1, 1 << 20);

	(void)state;
	memset(claims, 'x', length + 1);
	memcpy(claims, text, sizeof(text) - 1);
	memcpy(claims + length - 2, "\"}", 3);
	judge(sign(good_header, claims), &usual, NULL, "the longest");
	memset(claims, 'x', (1 << 20) - 1);
	judge(sign_with(good_header, claims, length + 3, secret), &usual,
	    "is too long", "one longer");
	judge(sign_with(good_header, claims, 500000, secret), &usual,
	    "is too long", "a huge one");
	memset(claims, '.', (1 << 20) - 1);
	judge(strdup(claims), &usual, "is too long", "dots");
	free(claims);
}

static void
another_key_is_none(void **state)
{
	static const char claims[] = "{\"sub\":\"a\",\"exp\":1800000000}";

	(void)state;
	judge(sign_with(good_header, claims, strlen(claims),
		  "0123456789abcdef0123456789abcdeF"),
	    &usual, "is not signed", "another secret");
	judge(sign_with(good_header, claims, strlen(claims), ""), &usual,
	    "is not signed", "no secret");
}

static void
headers_are_judged(void **state)
{
	static const struct {
		const char *header, *reason;
	} cases[] = {
	    {"{\"alg\":\"HS256\"}", NULL},
	    {"{\"alg\":\"HS256\",\"kid\":\"../../etc/passwd\","
	     "\"jku\":\"http://evil\",\"jwk\":{},\"x5u\":\"u\"}",
		NULL},
	    {"{\"alg\":\"none\"}", "alg"},
	    {"{\"alg\":\"None\"}", "alg"},
	    {"{\"alg\":\"nOnE\"}", "alg"},
	    {"{\"alg\":\"\"}", "alg"},
	    {"{\"alg\":\"HS384\"}", "alg"},
	    {"{\"alg\":\"RS256\"}", "alg"},
	    {"{\"alg\":\"hs256\"}", "alg"},
	    {"{\"alg\":\"HS256 \"}", "alg"},
	    {"{\"alg\":null}", "alg"},
	    {"{\"alg\":[\"HS256\"]}", "alg"},
	    {"{}", "alg"},
	    {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "twice"},
	    {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "crit"},
	    {"{\"alg\":\"HS256\",\"crit\":null}", "crit"},
	    {"\"HS256\"", "objects"},
	    {"[]", "objects"},
	    {"{\"alg\":\"HS256\"", "JSON"},
	    {"", "JSON"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		judge(sign(cases[i].header,
			  "{\"sub\":\"a\",\"exp\":1800000000}"),
		    &usual, cases[i].reason, cases[i].header);
}

static void
claims_are_judged(void **state)
{
	static const struct {
		const char *claims, *reason;
	} cases[] = {
	    {"{\"sub\":\"a\",\"exp\":1700000060}", NULL},
	    {"{\"sub\":\"a\",\"exp\":1700000060.5}", NULL},
	    {"{\"sub\":\"a\",\"exp\":1.70000006e9}", NULL},
	    {"{\"sub\":\"a\",\"exp\":9007199254740991}", NULL},
	    /* exp: with the leeway until 60 s after it. */
	    {"{\"sub\":\"a\",\"exp\":1699999941}", NULL},
	    {"{\"sub\":\"a\",\"exp\":1699999940}", "expired 60 s ago"},
	    {"{\"sub\":\"a\",\"exp\":0}", "expired"},
	    {"{\"sub\":\"a\"}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":null}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":\"1800000000\"}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":-1800000000}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":-1.8e9}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":1e308}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":1e400}", "can't hold"},
	    {"{\"sub\":\"a\",\"exp\":9007199254740992}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":99999999999999999999999}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":"
	     "1800000000.00000000000000000000000000000000000}",
		"exp"},
	    {"{\"sub\":\"a\",\"exp\":true}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":[1800000000]}", "exp"},
	    {"{\"sub\":\"a\",\"exp\":{}}", "exp"},
	    /* nbf, likewise. */
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":1700000060}", NULL},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":1700000061}",
		"another 61 s"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":\"1\"}", "nbf"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":null}", "nbf"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"nbf\":1e308}", "nbf"},
	    /* sub. */
	    {"{\"exp\":1800000000}", "sub"},
	    {"{\"sub\":\"\",\"exp\":1800000000}", "empty"},
	    {"{\"sub\":7,\"exp\":1800000000}", "sub"},
	    {"{\"sub\":null,\"exp\":1800000000}", "sub"},
	    {"{\"sub\":[\"a\"],\"exp\":1800000000}", "sub"},
	    {"{\"sub\":\"a\\u0000b\",\"exp\":1800000000}", "can't hold"},
	    {"{\"sub\":\"\\ud800\",\"exp\":1800000000}", "can't hold"},
	    {"{\"\\u0073ub\":\"a\",\"exp\":1800000000}", NULL},
	    /* The whole. */
	    {"{\"sub\":\"a\",\"sub\":\"b\",\"exp\":1800000000}", "twice"},
	    {"{\"sub\":\"a\",\"s\\u0075b\":\"b\",\"exp\":1800000000}", "twice"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"exp\":1}", "twice"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"r\":1,\"r\":2}", "twice"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"\":1,\"\":2}", "twice"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"r\":{\"r\":1}}", NULL},
	    {"{\"sub\":\"a\",\"exp\":1800000000,\"r\":\"\\u0000\"}",
		"can't hold"},
	    {"{\"sub\":\"a\",\"exp\":1800000000}x", "JSON"},
	    {"{\"sub\":\"a\",\"exp\":1800000000,}", "JSON"},
	    {"{'sub':'a'}", "JSON"},
	    {"\xef\xbb\xbf{\"sub\":\"a\",\"exp\":1800000000}", "JSON"},
	    {"{\"sub\":\"\xc0\x80\",\"exp\":1800000000}", "JSON"},
	    {"[\"sub\",\"a\",\"exp\",1800000000]", "objects"},
	    {"\"swordfish\"", "objects"},
	    {"null", "objects"},
	    {"", "JSON"},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++)
		judge(sign(good_header, cases[i].claims), &usual,
		    cases[i].reason, cases[i].claims);
	judge(sign_with(good_header, "{\"sub\":\"a\",\"exp\":1800000000}\0", 31,
		  secret),
	    &usual, "JSON", "a NUL behind the claims");
}

static void
users_have_a_length(void **state)
{
	char claims[512];
	struct error error;

	(void)state;
	for (int n = TOKEN_USER_MAX; n <= TOKEN_USER_MAX + 1; n++) {
		char user[TOKEN_USER_MAX + 2];
		char *token;
		int rc;

		snprintf(claims, sizeof(claims),
		    "{\"sub\":\"%0*d\",\"exp\":1800000000}", n, 7);
		token = sign(good_header, claims);
		rc = read_at(token, &usual, NOW, user, &error);
		assert_int_equal(rc, n <= TOKEN_USER_MAX ? 0 : -1);
		if (rc == 0)
			assert_int_equal(strlen(user), n);
		free(token);
	}
}

static void
audiences_are_judged(void **state)
{
	static const struct {
		const char *wanted, *claim, *reason;
	} cases[] = {
	    {"app", "\"app\"", NULL},
	    {"app", "[\"app\"]", NULL},
	    {"app", "[\"other\",7,\"app\"]", NULL},
	    {"app", "\"app2\"", "another `aud`"},
	    {"app", "\"ap\"", "another `aud`"},
	    {"app", "\"APP\"", "another `aud`"},
	    {"app", "[]", "another `aud`"},
	    {"app", "[[\"app\"]]", "another `aud`"},
	    {"app", "{\"app\":\"app\"}", "another `aud`"},
	    {"app", "null", "another `aud`"},
	    {"app", NULL, "another `aud`"},
	    {"", "\"app\"", "jwt_audience"},
	    {"", "null", "jwt_audience"},
	    {"", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct token_rules rules = usual;
		char claims[256];

		rules.audience = cases[i].wanted;
		snprintf(claims, sizeof(claims),
		    "{\"sub\":\"a\",\"exp\":1800000000%s%s}",
		    cases[i].claim == NULL ? "" : ",\"aud\":",
		    cases[i].claim == NULL ? "" : cases[i].claim);
		judge(sign(good_header, claims), &rules, cases[i].reason,
		    claims);
	}
}

static void
issuers_are_judged(void **state)
{
	static const struct {
		const char *claim, *reason;
	} cases[] = {{"\"https://login\"", NULL},
	    {"\"https://login/\"", "another `iss`"},
	    {"[\"https://login\"]", "another `iss`"},
	    {"null", "another `iss`"}, {NULL, "another `iss`"}};

	(void)state;
	for (size_t i = 0; i < LENGTH(cases); i++) {
		struct token_rules rules = usual;
		char claims[256];

		rules.issuer = "https://login";
		snprintf(claims, sizeof(claims),
		    "{\"sub\":\"a\",\"exp\":1800000000%s%s}",
		    cases[i].claim == NULL ? "" : ",\"iss\":",
		    cases[i].claim == NULL ? "" : cases[i].claim);
		judge(sign(good_header, claims), &rules, cases[i].reason,
		    claims);
	}
}

static void
another_claim_may_name_the_user(void **state)
{
	static const char claims[] =
	    "{\"sub\":\"a\",\"email\":\"a@b\",\"exp\":1800000000}";
	struct token_rules rules = usual;
	char *token = sign(good_header, claims);
	char user[TOKEN_USER_MAX + 1];
	struct error error;

	(void)state;
	rules.subject = "email";
	assert_int_equal(read_at(token, &rules, NOW, user, &error), 0);
	assert_string_equal(user, "a@b");
	rules.subject = "exp";
	assert_int_equal(read_at(token, &rules, NOW, user, &error), -1);
	free(token);
}

/* One token, as time goes by. */
static void
time_decides(void **state)
{
	char *token = sign(
	    good_header, "{\"sub\":\"a\",\"nbf\":1000,\"exp\":2000}");
	struct token_rules rules = usual;
	struct error error;

	(void)state;
	rules.leeway = 0;
	assert_int_equal(read_at(token, &rules, 999, NULL, &error), -1);
	assert_int_equal(read_at(token, &rules, 1000, NULL, &error), 0);
	assert_int_equal(read_at(token, &rules, 1999, NULL, &error), 0);
	assert_int_equal(read_at(token, &rules, 2000, NULL, &error), -1);
	assert_int_equal(read_at(token, &rules, -5, NULL, &error), -1);
	rules.leeway = 600;
	assert_int_equal(read_at(token, &rules, 400, NULL, &error), 0);
	assert_int_equal(read_at(token, &rules, 399, NULL, &error), -1);
	assert_int_equal(read_at(token, &rules, 2599, NULL, &error), 0);
	assert_int_equal(read_at(token, &rules, 2600, NULL, &error), -1);
	free(token);
}

/* A token that is known again is judged by the clock all the same. */
static void
what_is_known_expires(void **state)
{
	static const char header[] = "{\"alg\":\"RS256\"}";
	static const char claims[] =
	    "{\"sub\":\"a\",\"nbf\":1000,\"exp\":2000}";
	char token[2048] = "", path[] = "/tmp/token-XXXXXX";
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[512];
	size_t length = sizeof(signature);
	struct token_key *secret_key = key;
	struct error error;
	FILE *file;

	(void)state;
	file = fdopen(mkstemp(path), "w");
	assert_int_equal(PEM_write_PUBKEY(file, rsa), 1);
	fclose(file);
	append(token, header, strlen(header));
	strcat(token, ".");
	append(token, claims, strlen(claims));
	assert_int_equal(EVP_DigestSignInit(
			     context, NULL, EVP_sha256(), NULL, rsa),
	    1);
	assert_int_equal(EVP_DigestSign(context, signature, &length,
			     (unsigned char *)token, strlen(token)),
	    1);
	strcat(token, ".");
	append(token, signature, length);

	key = token_key_load(TOKEN_RS256, path, &error);
	assert_non_null(key);
	assert_int_equal(read_at(token, &usual, 900, NULL, &error), -1);
	assert_int_equal(read_at(token, &usual, 1500, NULL, &error), 0);
	assert_int_equal(read_at(token, &usual, 2059, NULL, &error), 0);
	assert_int_equal(read_at(token, &usual, 2060, NULL, &error), -1);
	assert_int_equal(error.code, ERROR_INVALID_TOKEN);
	token_key_free(key);
	key = secret_key;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(rsa);
	unlink(path);
}

static void
without_memory_it_is_not_the_tokens_fault(void **state)
{
	char *token = sign(good_header, "{\"sub\":\"a\",\"exp\":1800000000}");
	struct identity identity;
	struct error error;

	(void)state;
	for (size_t max = 0; max < 4096; max += 16) {
		struct arena arena;
		int rc;

		arena_init(&arena, max);
		rc = token_read(
		    token, key, &usual, &arena, &identity, &error);
		assert_true(rc == 0 || error.code == ERROR_UNAVAILABLE);
		arena_fini(&arena);
	}
	free(token);
}

static int
load_key(void **state)
{
	char path[] = "/tmp/token-XXXXXX";
	int fd = mkstemp(path);
	struct error error;

	(void)state;
	if (fd < 0 || write(fd, secret, strlen(secret)) < 0 || close(fd) < 0)
		return -1;
	key = token_key_load(TOKEN_HS256, path, &error);
	unlink(path);
	return key == NULL ? -1 : 0;
}

static int
free_key(void **state)
{
	(void)state;
	token_key_free(key);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_good_token_is_read),
	    cmocka_unit_test(nothing_can_be_changed),
	    cmocka_unit_test(what_is_no_token_is_refused),
	    cmocka_unit_test(long_tokens_are_refused_unread),
	    cmocka_unit_test(another_key_is_none),
	    cmocka_unit_test(headers_are_judged),
	    cmocka_unit_test(claims_are_judged),
	    cmocka_unit_test(users_have_a_length),
	    cmocka_unit_test(audiences_are_judged),
	    cmocka_unit_test(issuers_are_judged),
	    cmocka_unit_test(another_claim_may_name_the_user),
	    cmocka_unit_test(time_decides),
	    cmocka_unit_test(what_is_known_expires),
	    cmocka_unit_test(without_memory_it_is_not_the_tokens_fault),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load_key, free_key);
}

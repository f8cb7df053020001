/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target: any bytes are read as a token, and as the header and the claims
 * of a token that is properly signed. Only a signed one is ever taken, and then
 * what it says is what the database can hold.
 */
#include "config.h"

#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "error.h"
#include "identity.h"
#include "scan.h"
#include "token.h"
#include "token_key.h"

const struct fuzz_target fuzz_target =
    FUZZ_TARGET("fuzz/token", FUZZ_SPICE_JSON);

#define NOW 1700000000

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct token_key *
get_key(void)
{
	static struct token_key *key;
	char path[] = "/tmp/fuzz-token-XXXXXX";
	struct error error;
	int fd;

	if (key != NULL)
		return key;
	fd = mkstemp(path);
	fuzz_check(fd >= 0 && write(fd, secret, strlen(secret)) > 0);
	close(fd);
	key = token_key_load(TOKEN_HS256, path, &error);
	unlink(path);
	fuzz_check(key != NULL);
	return key;
}

/* What was taken holds together. */
static void
check_identity(const struct identity *identity)
{
	struct scan_value claims;
	struct error error;
	unsigned flags;

	fuzz_check(identity->user[0] != '\0');
	fuzz_check(strlen(identity->user) <= TOKEN_USER_MAX);
	fuzz_check(scan_document(identity->claims, strlen(identity->claims),
		       TOKEN_MAX, &flags, &error) == 0);
	fuzz_check(flags == 0);
	scan_root(identity->claims, strlen(identity->claims), &claims);
	fuzz_check(claims.kind == SCAN_OBJECT);
}

/* True if TOKEN is taken. */
static bool
is_taken(const char *token)
{
	const struct token_rules rules = {.audience = "",
	    .issuer = "",
	    .subject = "sub",
	    .leeway = 60,
	    .now = NOW};
	struct identity identity;
	struct error error = {0};
	struct arena arena;
	int rc;

	arena_init(&arena, 1 << 20);
	rc = token_read(token, get_key(), &rules, &arena, &identity, &error);
	if (rc == 0)
		check_identity(&identity);
	else
		fuzz_check(error.code == ERROR_INVALID_TOKEN);
	arena_fini(&arena);
	return rc == 0;
}

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

static bool
is_taken_signed(const void *header, size_t header_length, const void *claims,
    size_t claims_length)
{
	char *token = calloc(1, 2 * (header_length + claims_length) + 256);
	unsigned char signature[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	bool taken;

	fuzz_check(token != NULL);
	append(token, header, header_length);
	strcat(token, ".");
	append(token, claims, claims_length);
	HMAC(EVP_sha256(), secret, (int)strlen(secret), (unsigned char *)token,
	    strlen(token), signature, &length);
	strcat(token, ".");
	append(token, signature, length);
	taken = is_taken(token);
	free(token);
	return taken;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char header[] = "{\"alg\":\"HS256\"}";
	static const char claims[] = "{\"sub\":\"a\",\"exp\":1800000000}";
	char *token = calloc(1, size + 1), *object = calloc(1, size + 64);
	int n;

	fuzz_check(token != NULL && object != NULL);
	memcpy(token, data, size);
	fuzz_check(!is_taken(token));
	(void)is_taken_signed(data, size, claims, sizeof(claims) - 1);
	(void)is_taken_signed(header, sizeof(header) - 1, data, size);
	/* As a claim beside good ones: whatever is no JSON spoils them. */
	n = sprintf(object, "{\"sub\":\"a\",\"exp\":1800000000,\"x\":");
	memcpy(object + n, data, size);
	object[(size_t)n + size] = '}';
	(void)is_taken_signed(
	    header, sizeof(header) - 1, object, (size_t)n + size + 1);
	fuzz_check(is_taken_signed(
	    header, sizeof(header) - 1, claims, sizeof(claims) - 1));
	free(object);
	free(token);
	return 0;
}

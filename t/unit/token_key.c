/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Tests of cgi/token_key: keys made on the spot.
 */
#include "config.h"

#include "unit.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "token_key.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const char text[] = "header.claims";
static const char secret[] = "0123456789abcdef0123456789abcdef";
static char path[] = "/tmp/token-key-XXXXXX";

static EVP_PKEY *rsa, *rsa_other, *rsa_short, *p256, *p384, *ed25519;

/* Writes the key file. */
static void
put(const void *bytes, size_t length, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
put_public(EVP_PKEY *const *keys, size_t count)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(PEM_write_PUBKEY(file, keys[i]), 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static struct token_key *
load(enum token_algorithm algorithm)
{
	struct error error = {0};
	struct token_key *key = token_key_load(algorithm, path, &error);

	if (key == NULL)
		fail_msg("%s", error.message);
	return key;
}

/* Loading must fail, and tell REASON. */
static void
refuse(enum token_algorithm algorithm, const char *reason)
{
	struct error error = {0};

	assert_null(token_key_load(algorithm, path, &error));
	assert_int_equal(error.code, ERROR_CONFIG);
	if (strncmp(error.message, path, strlen(path)) != 0 ||
	    strstr(error.message, reason) == NULL ||
	    strstr(error.message, "0123456789abcdef") != NULL)
		fail_msg("%s", error.message);
}

/* Signs TEXT as a token is: its length. */
static size_t
sign(EVP_PKEY *key, const EVP_MD *hash, unsigned char *out, size_t size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	assert_int_equal(
	    EVP_DigestSignInit(context, NULL, hash, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, out, &size,
			     (const unsigned char *)text, strlen(text)),
	    1);
	EVP_MD_CTX_free(context);
	return size;
}

/* The same by ECDSA, the two numbers behind each other. */
static void
sign_es256(EVP_PKEY *key, unsigned char out[64])
{
	unsigned char der[256];
	const unsigned char *at = der;
	size_t length = sign(key, EVP_sha256(), der, sizeof(der));
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)length);

	assert_non_null(pair);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, 32), 32);
	assert_int_equal(
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + 32, 32), 32);
	ECDSA_SIG_free(pair);
}

/* As it is in a token behind the first SIGNED_LENGTH bytes of TEXT. */
static bool
verify_part(struct token_key *key, size_t signed_length,
    const unsigned char *signature, size_t length)
{
	char token[2048];
	size_t n = strlen(text);

	memcpy(token, text, n);
	token[n++] = '.';
	memcpy(token + n, signature, length);
	return token_key_verify(key, token, n + length, signed_length,
		   signature, length) == 1;
}

static bool
verify(struct token_key *key, const unsigned char *signature, size_t length)
{
	return verify_part(key, strlen(text), signature, length);
}

/* A good SIGNATURE passes; with any bit changed, or cut or longer by a byte,
 * it does not, and not for another text. */
static void
judge(struct token_key *key, const unsigned char *signature, size_t length)
{
	unsigned char changed[1024] = {0};

	assert_false(verify_part(key, strlen(text) - 1, signature, length));
	for (int i = 0; i < 3; i++)
		assert_true(verify(key, signature, length));
	memcpy(changed, signature, length);
	assert_false(verify(key, changed, length + 1));
	assert_false(verify(key, changed, length - 1));
	assert_false(verify(key, changed + 1, length - 1));
	assert_false(verify(key, changed, 0));
	for (size_t bit = 0; bit < length * 8; bit++) {
		changed[bit / 8] ^= (unsigned char)(1u << bit % 8);
		if (verify(key, changed, length))
			fail_msg("bit %zu does not matter", bit);
		changed[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	memset(changed, 0, sizeof(changed));
	assert_false(verify(key, changed, length));
	memset(changed, 0xff, sizeof(changed));
	assert_false(verify(key, changed, length));
}

static void
hs256_verifies(void **state)
{
	static const char *const ends[] = {"", "\n", "\r\n"};
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL,
	    (const unsigned char *)secret, strlen(secret));
	unsigned char signature[64];
	size_t length = sign(key, EVP_sha256(), signature, sizeof(signature));

	(void)state;
	for (size_t i = 0; i < LENGTH(ends); i++) {
		struct token_key *loaded;
		char file[64];

		snprintf(file, sizeof(file), "%s%s", secret, ends[i]);
		put(file, strlen(file), 0600);
		loaded = load(TOKEN_HS256);
		assert_string_equal(token_key_algorithm(loaded), "HS256");
		judge(loaded, signature, length);
		token_key_free(loaded);
	}
	length = sign(key, EVP_sha512(), signature, sizeof(signature));
	put(secret, strlen(secret), 0600);
	struct token_key *loaded = load(TOKEN_HS256);
	assert_false(verify(loaded, signature, length));
	assert_false(verify(loaded, signature, 32));
	token_key_free(loaded);
	EVP_PKEY_free(key);
}

static void
rs256_verifies(void **state)
{
	unsigned char signature[512];
	size_t length = sign(rsa, EVP_sha256(), signature, sizeof(signature));
	struct token_key *key;

	(void)state;
	put_public(&rsa, 1);
	key = load(TOKEN_RS256);
	assert_string_equal(token_key_algorithm(key), "RS256");
	judge(key, signature, length);
	length = sign(rsa, EVP_sha384(), signature, sizeof(signature));
	assert_false(verify(key, signature, length));
	length = sign(rsa_other, EVP_sha256(), signature, sizeof(signature));
	assert_false(verify(key, signature, length));
	token_key_free(key);
}

static void
es256_verifies(void **state)
{
	unsigned char signature[512];
	struct token_key *key;

	(void)state;
	sign_es256(p256, signature);
	put_public(&p256, 1);
	key = load(TOKEN_ES256);
	assert_string_equal(token_key_algorithm(key), "ES256");
	judge(key, signature, 64);
	/* DER is not what a token has. */
	assert_false(verify(key, signature,
	    sign(p256, EVP_sha256(), signature, sizeof(signature))));
	token_key_free(key);
}

/* What was found good is known again, and by the key that found it alone. */
static void
tokens_are_known_again(void **state)
{
	unsigned char signature[512];
	size_t length = sign(rsa, EVP_sha256(), signature, sizeof(signature));
	struct token_key *key;

	(void)state;
	put_public(&rsa, 1);
	key = load(TOKEN_RS256);
	assert_false(verify_part(key, 3, signature, length));
	assert_true(verify(key, signature, length));
	/* By all of its bytes: with others signed it would be no more. */
	assert_true(verify_part(key, 3, signature, length));
	token_key_free(key);
	put_public(&rsa_other, 1);
	key = load(TOKEN_RS256);
	assert_false(verify(key, signature, length));
	token_key_free(key);
}

/* Any of the keys in a file may have signed. */
static void
keys_stand_below_each_other(void **state)
{
	EVP_PKEY *keys[TOKEN_KEYS_MAX + 1];
	unsigned char signature[512];
	struct token_key *key;
	size_t length;

	(void)state;
	for (size_t i = 0; i < LENGTH(keys); i++)
		keys[i] = rsa;
	keys[TOKEN_KEYS_MAX - 1] = rsa_other;
	put_public(keys, TOKEN_KEYS_MAX);
	key = load(TOKEN_RS256);
	length = sign(rsa_other, EVP_sha256(), signature, sizeof(signature));
	assert_true(verify(key, signature, length));
	length = sign(rsa, EVP_sha256(), signature, sizeof(signature));
	assert_true(verify(key, signature, length));
	token_key_free(key);
	put_public(keys, TOKEN_KEYS_MAX + 1);
	refuse(TOKEN_RS256, "more than 8 keys");
}

static void
weak_secrets_are_refused(void **state)
{
	static const char *const weak[] = {"", "\n", "changeme", "secret\n",
	    "0123456789abcdef0123456789abcde",
	    "0123456789abcdef0123456789abcde\r\n"};
	static char large[TOKEN_KEY_FILE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < LENGTH(weak); i++) {
		put(weak[i], strlen(weak[i]), 0600);
		refuse(TOKEN_HS256, "too short");
	}
	put_public(&rsa, 1);
	assert_int_equal(chmod(path, 0600), 0);
	refuse(TOKEN_HS256, "PEM");
	put(large, sizeof(large), 0600);
	refuse(TOKEN_HS256, "too large");
}

static void
files_others_can_touch_are_refused(void **state)
{
	(void)state;
	put(secret, strlen(secret), 0604);
	refuse(TOKEN_HS256, "others can read");
	put(secret, strlen(secret), 0602);
	refuse(TOKEN_HS256, "others can write");
	put(secret, strlen(secret), 0640);
	token_key_free(load(TOKEN_HS256));
	put_public(&rsa, 1);
	token_key_free(load(TOKEN_RS256));
	assert_int_equal(chmod(path, 0646), 0);
	refuse(TOKEN_RS256, "others can write");
}

static void
files_that_are_none_are_refused(void **state)
{
	struct error error;

	(void)state;
	assert_null(token_key_load(TOKEN_HS256, "/nonexistent/key", &error));
	assert_non_null(strstr(error.message, "No such file"));
	assert_null(token_key_load(TOKEN_HS256, "/tmp", &error));
	assert_non_null(strstr(error.message, "is no file"));
	assert_null(token_key_load(TOKEN_HS256, "/dev/zero", &error));
	assert_non_null(strstr(error.message, "is no file"));
}

/* A file of PEM with what a private key or a certificate begins with. */
static void
put_private(EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(
	    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
}

static void
wrong_keys_are_refused(void **state)
{
	static const char begun[] = "-----BEGIN PUBLIC KEY-----\nMIIB\n";
	static const char junk[] =
	    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";

	(void)state;
	put_public(&p256, 1);
	refuse(TOKEN_RS256, "RSA");
	put_public(&ed25519, 1);
	refuse(TOKEN_RS256, "RSA");
	refuse(TOKEN_ES256, "P-256");
	put_public(&rsa, 1);
	refuse(TOKEN_ES256, "P-256");
	put_public(&p384, 1);
	refuse(TOKEN_ES256, "P-256");
	put_public(&rsa_short, 1);
	refuse(TOKEN_RS256, "2048 bits");
	put_private(rsa);
	refuse(TOKEN_RS256, "PUBLIC KEY is needed");
	put(secret, strlen(secret), 0644);
	refuse(TOKEN_RS256, "no PUBLIC KEY");
	put("", 0, 0644);
	refuse(TOKEN_ES256, "no PUBLIC KEY");
	put(begun, strlen(begun), 0644);
	refuse(TOKEN_RS256, "PEM");
	put(junk, strlen(junk), 0644);
	refuse(TOKEN_RS256, "can't be read");
}

static int
make_keys(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || close(fd) < 0)
		return -1;
	rsa = EVP_RSA_gen(2048);
	rsa_other = EVP_RSA_gen(2048);
	rsa_short = EVP_RSA_gen(1024);
	p256 = EVP_EC_gen("P-256");
	p384 = EVP_EC_gen("P-384");
	ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return rsa == NULL || rsa_other == NULL || rsa_short == NULL ||
	       p256 == NULL || p384 == NULL || ed25519 == NULL;
}

static int
free_keys(void **state)
{
	EVP_PKEY *const keys[] = {
	    rsa, rsa_other, rsa_short, p256, p384, ed25519};

	(void)state;
	for (size_t i = 0; i < LENGTH(keys); i++)
		EVP_PKEY_free(keys[i]);
	return unlink(path);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hs256_verifies),
	    cmocka_unit_test(rs256_verifies),
	    cmocka_unit_test(es256_verifies),
	    cmocka_unit_test(tokens_are_known_again),
	    cmocka_unit_test(keys_stand_below_each_other),
	    cmocka_unit_test(weak_secrets_are_refused),
	    cmocka_unit_test(files_others_can_touch_are_refused),
	    cmocka_unit_test(files_that_are_none_are_refused),
	    cmocka_unit_test(wrong_keys_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_keys, free_keys);
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Keys, by OpenSSL.
 */
#include "config.h"

#include "token_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

/* Of ECDSA on P-256: two numbers of 32 bytes (RFC 7518 section 3.4). */
#define ES256_NUMBER 32
#define ES256_SIZE 64

struct token_key {
	enum token_algorithm algorithm;
	unsigned char *secret;
	size_t secret_length;
	EVP_PKEY *keys[TOKEN_KEYS_MAX];
	size_t key_count;
	pthread_mutex_t lock;                         /* of what follows */
	unsigned char (*known)[SHA256_DIGEST_LENGTH]; /* by its first bytes */
};

const char *
token_key_algorithm(const struct token_key *key)
{
	static const char *const names[] = {
	    [TOKEN_UNSET] = "",
	    [TOKEN_HS256] = "HS256",
	    [TOKEN_RS256] = "RS256",
	    [TOKEN_ES256] = "ES256",
	};

	return names[key->algorithm];
}

void
token_key_free(struct token_key *key)
{
	if (key == NULL)
		return;
	if (key->secret != NULL)
		OPENSSL_cleanse(key->secret, key->secret_length);
	free(key->secret);
	for (size_t i = 0; i < key->key_count; i++)
		EVP_PKEY_free(key->keys[i]);
	free(key->known);
	pthread_mutex_destroy(&key->lock);
	free(key);
}

static int
refuse(const char *path, const char *what, struct error *error)
{
	return error_set(error, ERROR_CONFIG, "%s: %s", path, what);
}

/* Takes over SECRET, LENGTH bytes with their line end. */
static int
take_secret(struct token_key *key, const char *path, const unsigned char *bytes,
    size_t length, struct error *error)
{
	static const char pem[] = "-----BEGIN";

	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (length > 0 && bytes[length - 1] == '\r')
		length--;
	if (length >= sizeof(pem) - 1 &&
	    memcmp(bytes, pem, sizeof(pem) - 1) == 0)
		return refuse(path,
		    "has a key in PEM, but HS256 needs a secret that nobody "
		    "else has",
		    error);
	if (length < TOKEN_SECRET_MIN)
		return error_set(error, ERROR_CONFIG,
		    "%s: the secret is too short: HS256 needs %d random bytes "
		    "at least",
		    path, TOKEN_SECRET_MIN);
	key->secret = malloc(length);
	if (key->secret == NULL)
		return refuse(path, "out of memory", error);
	memcpy(key->secret, bytes, length);
	key->secret_length = length;
	return 0;
}

static bool
is_p256(const EVP_PKEY *key)
{
	char name[32];
	size_t length;

	return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME,
		   name, sizeof(name), &length) == 1 &&
	       strcmp(name, SN_X9_62_prime256v1) == 0;
}

/* Is KEY one for ALGORITHM, and strong enough? Gives what is wrong, or NULL. */
static const char *
judge_key(enum token_algorithm algorithm, const EVP_PKEY *key)
{
	int type = EVP_PKEY_get_base_id(key);

	if (algorithm == TOKEN_ES256)
		return type == EVP_PKEY_EC && is_p256(key)
			   ? NULL
			   : "ES256 needs a public key on the curve P-256";
	if (type != EVP_PKEY_RSA)
		return "RS256 needs a public RSA key";
	return EVP_PKEY_get_bits(key) >= TOKEN_RSA_BITS_MIN
		   ? NULL
		   : "the RSA key is too short: 2048 bits are needed at least";
}

/* Takes over one block of PEM. */
static int
take_block(struct token_key *key, const char *path, const char *name,
    const unsigned char *bytes, long length, struct error *error)
{
	EVP_PKEY *public;
	const char *fault;

	if (strcmp(name, PEM_STRING_PUBLIC) != 0)
		return error_set(error, ERROR_CONFIG,
		    "%s: has a block %s where a PUBLIC KEY is needed (openssl "
		    "pkey -pubout makes one)",
		    path, name);
	if (key->key_count == TOKEN_KEYS_MAX)
		return refuse(path, "has more than 8 keys", error);
	public = d2i_PUBKEY(NULL, &bytes, length);
	if (public == NULL)
		return refuse(path, "has a key that can't be read", error);
	key->keys[key->key_count++] = public;
	fault = judge_key(key->algorithm, public);
	return fault == NULL ? 0 : refuse(path, fault, error);
}

static int
take_public_keys(struct token_key *key, const char *path,
    const unsigned char *bytes, size_t length, struct error *error)
{
	BIO *in = BIO_new_mem_buf(bytes, (int)length);
	char *name, *header;
	unsigned char *data;
	long size;
	int rc = 0;

	if (in == NULL)
		return refuse(path, "out of memory", error);
	while (rc == 0 && PEM_read_bio(in, &name, &header, &data, &size) == 1) {
		rc = take_block(key, path, name, data, size, error);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)size);
	}
	if (rc == 0 &&
	    ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = refuse(path, "is no proper PEM", error);
	BIO_free(in);
	if (rc == 0 && key->key_count == 0)
		rc = refuse(path, "has no PUBLIC KEY in PEM", error);
	return rc;
}

/* Who may do what with the file, by STATUS. */
static int
judge_file(enum token_algorithm algorithm, const char *path,
    const struct stat *status, struct error *error)
{
	if (!S_ISREG(status->st_mode))
		return refuse(path, "is no file", error);
	if ((status->st_mode & S_IWOTH) != 0)
		return refuse(
		    path, "others can write this file: chmod o-w", error);
	if (algorithm == TOKEN_HS256 && (status->st_mode & S_IROTH) != 0)
		return refuse(
		    path, "others can read this secret: chmod o-r", error);
	return 0;
}

/* Reads all of FD into BYTES, which has room for one byte too many. */
static int
read_all(int fd, const char *path, unsigned char *bytes, size_t *length_out,
    struct error *error)
{
	size_t length = 0;
	ssize_t n;

	while (
	    (n = read(fd, bytes + length, TOKEN_KEY_FILE_MAX + 1 - length)) > 0)
		length += (size_t)n;
	if (n < 0)
		return error_set(error, ERROR_CONFIG, "%s: can't be read: %s",
		    path, strerror(errno));
	if (length > TOKEN_KEY_FILE_MAX)
		return refuse(path, "is too large to be a key", error);
	*length_out = length;
	return 0;
}

static int
load(struct token_key *key, const char *path, unsigned char *bytes,
    struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	size_t length = 0;
	int rc;

	if (fd < 0 || fstat(fd, &status) < 0) {
		rc = error_set(error, ERROR_CONFIG, "%s: can't be read: %s",
		    path, strerror(errno));
	} else {
		rc = judge_file(key->algorithm, path, &status, error);
		if (rc == 0)
			rc = read_all(fd, path, bytes, &length, error);
	}
	if (fd >= 0)
		close(fd);
	if (rc < 0)
		return -1;
	if (key->algorithm == TOKEN_HS256)
		return take_secret(key, path, bytes, length, error);
	return take_public_keys(key, path, bytes, length, error);
}

struct token_key *
token_key_load(
    enum token_algorithm algorithm, const char *path, struct error *error)
{
	struct token_key *key = calloc(1, sizeof(*key));
	unsigned char *bytes = malloc(TOKEN_KEY_FILE_MAX + 1);
	int rc;

	if (key != NULL) {
		pthread_mutex_init(&key->lock, NULL);
		key->known = calloc(TOKEN_KEY_KNOWN, sizeof(*key->known));
	}
	/* HMAC() would follow a null pointer where OpenSSL 3.0 had no memory
	 * to be made ready, which it tries but once. */
	if (key == NULL || key->known == NULL || bytes == NULL ||
	    OSSL_LIB_CTX_get0_global_default() == NULL) {
		rc = refuse(path, "out of memory", error);
	} else {
		key->algorithm = algorithm;
		rc = load(key, path, bytes, error);
		OPENSSL_cleanse(bytes, TOKEN_KEY_FILE_MAX + 1);
	}
	ERR_clear_error();
	free(bytes);
	if (rc == 0)
		return key;
	token_key_free(key);
	return NULL;
}

/* These return what token_key_verify() does. */

static int
verify_secret(const struct token_key *key, const char *text, size_t length,
    const unsigned char *signature, size_t signature_length)
{
	unsigned char expected[EVP_MAX_MD_SIZE];
	unsigned expected_length = 0;

	if (HMAC(EVP_sha256(), key->secret, (int)key->secret_length,
		(const unsigned char *)text, length, expected,
		&expected_length) == NULL) {
		/* What went wrong is left in the queue of this thread. */
		ERR_clear_error();
		return -1;
	}
	return signature_length == expected_length &&
	       CRYPTO_memcmp(signature, expected, expected_length) == 0;
}

/* The two numbers of SIGNATURE in DER, as OpenSSL wants it: its length, and in
 * *DER_OUT what OPENSSL_free() frees; or -1 without memory. */
static int
write_der(const unsigned char *signature, unsigned char **der_out)
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, ES256_NUMBER, NULL);
	BIGNUM *s = BN_bin2bn(signature + ES256_NUMBER, ES256_NUMBER, NULL);
	int length = -1;

	*der_out = NULL;
	if (pair != NULL && r != NULL && s != NULL &&
	    ECDSA_SIG_set0(pair, r, s) == 1) {
		length = i2d_ECDSA_SIG(pair, der_out);
	} else {
		BN_free(r);
		BN_free(s);
	}
	ECDSA_SIG_free(pair);
	return length;
}

/* Whether OpenSSL has had no memory since its errors were cleared. */
static bool
lacked_memory(void)
{
	unsigned long code;
	bool lacked = false;

	while ((code = ERR_get_error()) != 0)
		lacked = lacked || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	return lacked;
}

static int
verify_with(EVP_PKEY *key, const char *text, size_t length,
    const unsigned char *signature, size_t signature_length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int rc = -1;

	if (context != NULL &&
	    EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1) {
		ERR_clear_error();
		rc = EVP_DigestVerify(context, signature, signature_length,
			 (const unsigned char *)text, length) == 1;
		if (rc == 0 && lacked_memory())
			rc = -1;
	}
	EVP_MD_CTX_free(context);
	return rc;
}

/* With any of the keys. */
static int
verify_public(const struct token_key *key, const char *text, size_t length,
    const unsigned char *signature, size_t signature_length)
{
	unsigned char *der = NULL;
	int rc = 0;

	if (key->algorithm == TOKEN_ES256) {
		int der_length;

		if (signature_length != ES256_SIZE)
			return 0;
		der_length = write_der(signature, &der);
		if (der_length < 0)
			rc = -1;
		signature = der;
		signature_length = (size_t)der_length;
	}
	for (size_t i = 0; rc == 0 && i < key->key_count; i++)
		rc = verify_with(
		    key->keys[i], text, length, signature, signature_length);
	/* Why a signature is not good is left in the queue of this thread. */
	ERR_clear_error();
	OPENSSL_free(der);
	return rc;
}

/* Where a token with this DIGEST is kept. One that is all zero, as an empty
 * place is, nobody can find. */
static unsigned char *
place_of(const struct token_key *key, const unsigned char *digest)
{
	size_t number = (size_t)digest[0] << 8 | digest[1];

	return key->known[number % TOKEN_KEY_KNOWN];
}

static bool
is_known(struct token_key *key, const unsigned char *digest)
{
	bool known;

	pthread_mutex_lock(&key->lock);
	known =
	    memcmp(place_of(key, digest), digest, SHA256_DIGEST_LENGTH) == 0;
	pthread_mutex_unlock(&key->lock);
	return known;
}

static void
remember(struct token_key *key, const unsigned char *digest)
{
	pthread_mutex_lock(&key->lock);
	memcpy(place_of(key, digest), digest, SHA256_DIGEST_LENGTH);
	pthread_mutex_unlock(&key->lock);
}

int
token_key_verify(struct token_key *key, const char *token, size_t length,
    size_t signed_length, const unsigned char *signature,
    size_t signature_length)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	int rc;

	if (key->algorithm == TOKEN_HS256)
		return verify_secret(
		    key, token, signed_length, signature, signature_length);
	if (SHA256((const unsigned char *)token, length, digest) == NULL) {
		ERR_clear_error();
		return -1;
	}
	if (is_known(key, digest))
		return 1;
	rc = verify_public(
	    key, token, signed_length, signature, signature_length);
	if (rc == 1)
		remember(key, digest);
	return rc;
}

/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * Token key: the keys of one algorithm that tokens may be signed with, and the
 * one place that calls OpenSSL.
 *
 * The algorithm is the operator's choice and belongs to the key: nothing a
 * token says can have a public key taken for a secret (RFC 8725 section 3.1).
 * A key serves any number of threads.
 */
#ifndef REPLICACHE_TOKEN_KEY_H
#define REPLICACHE_TOKEN_KEY_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct token_key;

enum token_algorithm {
	TOKEN_UNSET,
	TOKEN_HS256, /* HMAC with SHA-256; the file has the secret */
	TOKEN_RS256, /* RSASSA-PKCS1-v1_5 with SHA-256; public keys */
	TOKEN_ES256, /* ECDSA on P-256 with SHA-256; public keys */
};

/* A file of keys: eight RSA keys of 16384 bits have half of it. */
#define TOKEN_KEY_FILE_MAX 65536

/* Public keys in a file: the one in use, its successor, and some to spare. */
#define TOKEN_KEYS_MAX 8

/* Bytes of a secret, at least, as many as the hash gives (RFC 7518 section
 * 3.2): a shorter one can be guessed from one token. */
#define TOKEN_SECRET_MIN 32

/* Bits of an RSA key, at least (RFC 7518 section 3.3). */
#define TOKEN_RSA_BITS_MIN 2048

/* Tokens that a key knows again: as many clients as ask within a token's life,
 * for the most part; 128 kB. */
#define TOKEN_KEY_KNOWN 4096

/*
 * Loads the file PATH. For HS256 it is the secret, byte for byte, but for the
 * end of its line; else one or more PEM blocks PUBLIC KEY, any of which may
 * have signed a token. NULL with ERROR_CONFIG, and a message that begins with
 * PATH, if it is not, if the key is too weak, if others can write the file or
 * read the secret, or if there is no memory, for OpenSSL too.
 */
struct token_key *token_key_load(
    enum token_algorithm algorithm, const char *path, struct error *error);

/* NULL is legal. */
void token_key_free(struct token_key *key);

/* The name of its algorithm as a token's header has it: "HS256" ... */
const char *token_key_algorithm(const struct token_key *key);

/*
 * Returns 1 if SIGNATURE, decoded, is one of a key's for the first
 * SIGNED_LENGTH of TOKEN's LENGTH bytes, 0 if not, -1 if there is no memory to
 * tell; the rest says the signature. The time this takes tells nothing of the
 * secret.
 *
 * A client sends the same token with each request, and public keys are slow. So
 * what KEY has found good it knows again by its SHA-256. That is of the whole
 * token, and of nothing but the signature: what the token says, and when it
 * ends, is the caller's to judge each time.
 */
int token_key_verify(struct token_key *key, const char *token, size_t length,
    size_t signed_length, const unsigned char *signature,
    size_t signature_length);

#endif

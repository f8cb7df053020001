/*
 * SPDX-License-Identifier: Apache-2.0
 *
 * The scanner against JavaScript's JSON.parse (differential.js) and Postgres's
 * jsonb, on any number of documents: each accepts what the others do, and takes
 *it to mean the same. What may differ is listed in `explained`, with its
 *reason.
 *
 *	differential SEED DOCUMENTS SCRIPT [EVERY CONNINFO]
 *
 * Every EVERYth batch goes to Postgres too, whose function judge(bytea[]) gives
 * for each document its SQLSTATE, "" if it is a jsonb, and its text
 * (t/114-scan-differential.t). Prints what was counted, by TERM earlier; fails
 *if anything has no explanation.
 *
 * What a document means is compared by a digest (digest.h).
 */
#include "config.h"

#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "digest.h"
#include "documents.h"
#include "error.h"
#include "scan.h"

/* Documents in a batch: a round trip each. */
#define BATCH 1000

/* Bytes that Node answers for a document. */
#define ANSWER 5

/* Differences that are told; all are counted. */
#define TOLD_MAX 20

enum explanation {
	TOO_DEEP_NODE,
	TOO_DEEP_POSTGRES,
	NUL,
	SURROGATE,
	NUMBER,
	SAME_KEYS,
	EXPLANATIONS
};

static const char *const explained[EXPLANATIONS] = {
    [TOO_DEEP_NODE] = "too deep for us (128 levels), not for JSON.parse",
    [TOO_DEEP_POSTGRES] = "too deep for us (128 levels), not for jsonb",
    [NUL] = "\\u0000 is no text of Postgres: accepted, with a flag",
    [SURROGATE] =
	"half a surrogate pair is no text of Postgres: accepted, with a flag",
    [NUMBER] = "a number that is no finite double, or that Postgres can't read "
	       "or writes as kilobytes of zeros: accepted, with a flag",
    [SAME_KEYS] = "keys that differ only in what we decode to U+FFFD",
};

struct document {
	size_t at, length; /* in the batch */
	bool accepted;
	enum error_code code;
	unsigned flags;
	uint32_t digest;
	bool same_keys;
};

/* A batch as it is sent to Node: its size and count, then length and bytes of
 * each document. */
struct batch {
	unsigned char *bytes;
	size_t size, room;
	struct document documents[BATCH];
	size_t count;
};

static struct batch batch;
static uint64_t counts[EXPLANATIONS];
static uint64_t done, unexplained, accepted, seen_by_postgres;
static volatile sig_atomic_t stopped;

static void *
must(void *memory)
{
	if (memory == NULL) {
		fputs("differential: out of memory\n", stderr);
		exit(2);
	}
	return memory;
}

static void
differ(const struct document *document, const char *what, const char *detail)
{
	const unsigned char *at = batch.bytes + document->at;
	size_t told = document->length < 300 ? document->length : 300;

	if (++unexplained > TOLD_MAX)
		return;
	printf("# %s (%s): ", what, detail);
	for (size_t i = 0; i < told; i++) {
		if (at[i] >= ' ' && at[i] < 0x7f && at[i] != '\\')
			putchar(at[i]);
		else
			printf("\\%03o", at[i]);
	}
	putchar('\n');
}

static void
judge(struct document *document)
{
	const char *bytes = (const char *)batch.bytes + document->at;
	struct scan_value root;
	struct error error = {0};

	document->accepted =
	    scan_document(bytes, document->length, SCAN_TOKENS_MAX,
		&document->flags, &error) == 0;
	document->code = error.code;
	document->same_keys = false;
	if (!document->accepted)
		return;
	accepted++;
	scan_root(bytes, document->length, &root);
	document->digest = digest(&root, &document->same_keys);
}

static void
compare_node(const struct document *document, const unsigned char *answer)
{
	bool theirs = answer[0] == 1;
	uint32_t meaning;

	memcpy(&meaning, answer + 1, sizeof(meaning));
	if (document->code == ERROR_TOO_DEEP && !document->accepted) {
		counts[TOO_DEEP_NODE]++;
		return;
	}
	if (document->accepted != theirs) {
		differ(document, "JSON.parse", theirs ? "accepts" : "refuses");
		return;
	}
	if (!theirs || meaning == document->digest)
		return;
	if (document->same_keys)
		counts[SAME_KEYS]++;
	else
		differ(document, "JSON.parse", "another meaning");
}

/* What jsonb says of a document that we accept, with flags: it refuses it for
 * one of them, whichever comes first. */
static void
compare_flagged(const struct document *document, const char *state)
{
	unsigned flags = document->flags;

	if ((flags & SCAN_SURROGATE) != 0 && strcmp(state, "22P02") == 0)
		counts[SURROGATE]++;
	else if ((flags & SCAN_NUL) != 0 && strcmp(state, "22P05") == 0)
		counts[NUL]++;
	else if ((flags & SCAN_NUMBER) != 0 && strcmp(state, "22003") == 0)
		counts[NUMBER]++;
	else if (flags == SCAN_NUMBER && state[0] == '\0')
		counts[NUMBER]++;
	else
		differ(document, "jsonb, of one with flags", state);
}

/* What jsonb has written out must have been counted. It puts a space behind
 * each comma and colon. */
static void
compare_written(const struct document *document, const char *text)
{
	const char *bytes = (const char *)batch.bytes + document->at;
	struct scan_value root;
	size_t most;

	scan_root(bytes, document->length, &root);
	most = scan_written(&root);
	for (size_t i = 0; i < document->length; i++)
		most += bytes[i] == ',' || bytes[i] == ':';
	if (strlen(text) > most)
		differ(document, "jsonb writes more than was counted", text);
}

static void
compare_postgres(
    const struct document *document, const char *state, const char *text)
{
	struct scan_value root;
	struct error error;
	unsigned flags;
	bool same_keys = false;

	if (!document->accepted) {
		if (document->code == ERROR_TOO_DEEP)
			counts[TOO_DEEP_POSTGRES]++;
		else if (state[0] == '\0')
			differ(document, "jsonb accepts", text);
		return;
	}
	if (document->flags != 0) {
		compare_flagged(document, state);
		return;
	}
	if (state[0] != '\0') {
		differ(document, "jsonb refuses", state);
		return;
	}
	/* What it gives is what a pull sends. */
	if (scan_document(text, strlen(text), SCAN_TOKENS_MAX, &flags, &error) <
	    0) {
		differ(document, "jsonb gives what we refuse", text);
		return;
	}
	compare_written(document, text);
	scan_root(text, strlen(text), &root);
	if (digest(&root, &same_keys) != document->digest)
		differ(document, "jsonb, another meaning", text);
}

static void
reserve(size_t size)
{
	if (batch.size + size <= batch.room)
		return;
	batch.room = 2 * (batch.size + size);
	batch.bytes = must(realloc(batch.bytes, batch.room));
}

static void
put_number(size_t at, size_t number)
{
	const uint32_t n = (uint32_t)number;

	memcpy(batch.bytes + at, &n, sizeof(n));
}

static void
fill(struct documents *documents, size_t count)
{
	batch.size = 8;
	batch.count = count;
	reserve(0);
	for (size_t i = 0; i < count; i++) {
		struct document *document = &batch.documents[i];

		documents_next(documents);
		reserve(4 + documents->length);
		put_number(batch.size, documents->length);
		document->at = batch.size + 4;
		document->length = documents->length;
		memcpy(batch.bytes + document->at, documents->bytes,
		    documents->length);
		batch.size += 4 + documents->length;
	}
	put_number(0, batch.size - 8);
	put_number(4, count);
}

/* Node, a child, by two pipes. */
struct node {
	pid_t pid;
	int to, from;
};

static void
start_node(struct node *node, const char *script)
{
	int to[2], from[2];

	if (pipe(to) < 0 || pipe(from) < 0 || (node->pid = fork()) < 0)
		exit(2);
	if (node->pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		execlp("node", "node", script, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	node->to = to[1];
	node->from = from[0];
}

static void
ask_node(const struct node *node)
{
	for (size_t sent = 0; sent < batch.size;) {
		ssize_t n =
		    write(node->to, batch.bytes + sent, batch.size - sent);

		if (n <= 0) {
			fputs("differential: node is gone\n", stderr);
			exit(2);
		}
		sent += (size_t)n;
	}
}

static void
hear_node(const struct node *node)
{
	static unsigned char answers[BATCH * ANSWER];

	for (size_t got = 0; got < batch.count * ANSWER;) {
		ssize_t n =
		    read(node->from, answers + got, batch.count * ANSWER - got);

		if (n <= 0) {
			fputs("differential: node is gone\n", stderr);
			exit(2);
		}
		got += (size_t)n;
	}
	for (size_t i = 0; i < batch.count; i++)
		compare_node(&batch.documents[i], answers + i * ANSWER);
}

static bool
end_node(const struct node *node)
{
	int status;

	close(node->to);
	return waitpid(node->pid, &status, 0) == node->pid && status == 0;
}

static void
put_big(unsigned char *to, size_t number)
{
	to[0] = (unsigned char)(number >> 24);
	to[1] = (unsigned char)(number >> 16);
	to[2] = (unsigned char)(number >> 8);
	to[3] = (unsigned char)number;
}

/* The batch as an array of bytea in binary form. The same bytes as for Node,
 * but for the order in which a length has its own. */
static void
ask_postgres(PGconn *conn)
{
	static unsigned char *array;
	unsigned char head[20] = {0};
	const char *params[1];
	int lengths[1], binary[] = {1};
	const Oid bytea_array[] = {1001};

	array = must(realloc(array, batch.size + sizeof(head)));
	put_big(head, 1);                /* dimensions */
	put_big(head + 8, 17);           /* bytea */
	put_big(head + 12, batch.count); /* elements */
	put_big(head + 16, 1);           /* the first index */
	memcpy(array, head, sizeof(head));
	memcpy(array + sizeof(head), batch.bytes + 8, batch.size - 8);
	for (size_t i = 0; i < batch.count; i++) {
		const struct document *document = &batch.documents[i];

		put_big(
		    array + sizeof(head) + document->at - 12, document->length);
	}
	params[0] = (const char *)array;
	lengths[0] = (int)(sizeof(head) + batch.size - 8);
	if (!PQsendQueryParams(conn, "select state, value from judge($1)", 1,
		bytea_array, params, lengths, binary, 0)) {
		fprintf(stderr, "differential: %s", PQerrorMessage(conn));
		exit(2);
	}
}

static void
hear_postgres(PGconn *conn)
{
	PGresult *result = PQgetResult(conn);

	if (PQresultStatus(result) != PGRES_TUPLES_OK ||
	    PQntuples(result) != (int)batch.count) {
		fprintf(stderr, "differential: %s", PQerrorMessage(conn));
		exit(2);
	}
	for (size_t i = 0; i < batch.count; i++)
		compare_postgres(&batch.documents[i],
		    PQgetvalue(result, (int)i, 0),
		    PQgetvalue(result, (int)i, 1));
	seen_by_postgres += batch.count;
	PQclear(result);
	while ((result = PQgetResult(conn)) != NULL)
		PQclear(result);
}

/* Somebody has lost patience: what was done so far is told. */
static void
stop(int number)
{
	(void)number;
	stopped = 1;
}

static void
run(uint64_t seed, uint64_t count, const struct node *node, PGconn *conn,
    uint64_t every)
{
	static struct documents documents;

	documents_init(&documents, seed);
	for (uint64_t n = 0; done < count && !stopped; n++) {
		size_t some =
		    count - done < BATCH ? (size_t)(count - done) : BATCH;
		bool postgres = conn != NULL && n % every == 0;

		fill(&documents, some);
		ask_node(node);
		if (postgres)
			ask_postgres(conn);
		for (size_t i = 0; i < some; i++)
			judge(&batch.documents[i]);
		hear_node(node);
		if (postgres)
			hear_postgres(conn);
		done += some;
	}
}

int
main(int argc, char **argv)
{
	uint64_t every = 1, count;
	PGconn *conn = NULL;
	struct node node;

	if (argc != 4 && argc != 6)
		return 2;
	count = strtoull(argv[2], NULL, 10);
	if (argc == 6) {
		every = strtoull(argv[4], NULL, 10);
		conn = PQconnectdb(argv[5]);
		if (PQstatus(conn) != CONNECTION_OK) {
			fprintf(
			    stderr, "differential: %s", PQerrorMessage(conn));
			return 2;
		}
	}
	start_node(&node, argv[3]);
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	run(strtoull(argv[1], NULL, 10), count, &node, conn, every);
	printf("documents %llu accepted %llu postgres %llu unexplained %llu\n",
	    (unsigned long long)done, (unsigned long long)accepted,
	    (unsigned long long)seen_by_postgres,
	    (unsigned long long)unexplained);
	for (int i = 0; i < EXPLANATIONS; i++)
		printf("explained %llu: %s\n", (unsigned long long)counts[i],
		    explained[i]);
	PQfinish(conn);
	return end_node(&node) && unexplained == 0 ? 0 : 1;
}
